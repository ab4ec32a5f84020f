// The page: draws one frame at a time, plays, and listens to its user.

const COLUMNS = 4; // people in the table of confidences

let drawing = false;
let stale = false;

// While a frame is being drawn only the latest request is remembered: a slow machine leaves frames out.
async function draw() {
  stale = true;
  document.body.dataset.drawn = ""; // nothing, until all is as it should be
  if (drawing) return;
  drawing = true;
  let frame;
  while (stale) {
    stale = false;
    frame = state.frame;
    await Promise.all([
      Plotly.react("flat", flatTraces(frame), flatLayout, settings),
      Plotly.react("scene", sceneTraces(frame), sceneLayout, sceneSettings),
    ]);
  }
  drawing = false;
  document.body.dataset.drawn = frame;
}

function show(frame) {
  state.frame = Math.min(Math.max(Math.round(frame), 0), frames - 1);
  $$("slider").value = state.frame;
  const digits = String(frames - 1).length;
  const seconds = (n) => (n / fps).toFixed(2);
  $$("clock").textContent =
    `frame ${String(state.frame).padStart(digits)} / ${frames - 1}   ` +
    `${seconds(state.frame).padStart(seconds(frames).length)} / ${seconds(frames - 1)} s`;
  showConfidence();
  draw();
}

// ---- confidences ----------------------------------------------------------------------------------

let cells = [];

function element(tag, text = "", properties = {}) {
  return Object.assign(document.createElement(tag), { textContent: text }, properties);
}

function buildTable() {
  const shown = state.chosen.slice(0, COLUMNS);
  const head = element("tr");
  head.append(element("th", state.chosen.length > COLUMNS ? `first ${COLUMNS} people` : ""));
  for (const k of shown) {
    const cell = element("th", people[k].name, { title: people[k].name });
    cell.style.color = people[k].colour;
    head.append(cell);
  }
  cells = [];
  const rows = joints.map((joint, j) => {
    const row = element("tr");
    row.append(element("td", joint, { className: sides[j], title: joint }));
    for (const k of shown) {
      const [bar, level, number] = [element("div", "", { className: "bar" }), element("i"), element("span")];
      bar.append(level);
      const cell = element("td");
      cell.append(bar, number);
      row.append(cell);
      cells.push({ k, j, bar, level, number });
    }
    return row;
  });
  $$("joints").dataset.columns = shown.length;
  $$("joints").tHead.replaceChildren(head);
  $$("joints").tBodies[0].replaceChildren(...rows);
}

function showConfidence() {
  for (const { k, j, bar, level, number } of cells) {
    const there = isThere(people[k], state.frame);
    const filled = there && isFilled(people[k], state.frame, j);
    const share = there && !filled ? sure(people[k], state.frame, j) : 0;
    bar.className = there ? (filled ? "bar filled" : "bar") : "bar away";
    level.style.width = `${100 * share}%`;
    number.textContent = there ? (filled ? "○" : share.toFixed(2).replace("0.", ".")) : "–";
  }
}

// The whole clip at a glance: a column per pixel with the means of its frames.
function drawStrip() {
  const canvas = $$("strip");
  const wide = Math.max(Math.round(canvas.clientWidth * devicePixelRatio), 1);
  const high = Math.round(canvas.clientHeight * devicePixelRatio);
  Object.assign(canvas, { width: wide, height: high });
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#f3f4f6";
  pen.fillRect(0, 0, wide, high);
  for (let x = 0; x < wide; x += 1) {
    const first = Math.floor((x * frames) / wide);
    const end = Math.max(Math.ceil(((x + 1) * frames) / wide), first + 1);
    const { confidence, filled } = means(first, end);
    pen.fillStyle = "#cbdbe7";
    pen.fillRect(x, high * (1 - confidence), 1, high * confidence);
    pen.fillStyle = colours.filled;
    pen.fillRect(x, high * (1 - filled), 1, high * filled);
  }
}

function means(first, end) {
  let [confidence, filled, count] = [0, 0, 0];
  for (const k of state.chosen) {
    for (let n = first * J; n < end * J; n += 1) {
      confidence += people[k].confidence[n] / 255;
      filled += people[k].filled[n];
      count += 1;
    }
  }
  return { confidence: confidence / count, filled: filled / count };
}

// ---- people ---------------------------------------------------------------------------------------

function choose(chosen) {
  state.chosen = chosen;
  places = people.map((_, k) => rank(k, chosen));
  for (const button of $$("people").children) {
    button.setAttribute("aria-pressed", String(button.dataset.people === String(chosen)));
  }
  layOutFlat();
  layOutScene();
  buildTable();
  drawStrip();
  show(state.frame);
}

function peopleButton(name, chosen, colour) {
  const button = element("button", "", { title: name });
  button.dataset.people = chosen;
  if (colour) {
    const swatch = element("i");
    swatch.style.background = colour;
    button.append(swatch);
  }
  button.append(element("span", name));
  button.addEventListener("click", () => choose(chosen));
  return button;
}

function buildPeople() {
  if (people.length > 1) $$("people").append(peopleButton("Everybody", everybody));
  for (const [k, person] of people.entries()) $$("people").append(peopleButton(person.name, [k], person.colour));
  const list = $$("assumptions").querySelector("div");
  for (const person of people) {
    const entries = Object.entries(person.assumptions);
    if (entries.length) list.append(element("h3", person.name));
    for (const [key, value] of entries) {
      const line = element("p", ` ${value}`);
      line.prepend(element("b", `${key}:`));
      list.append(line);
    }
  }
  $$("assumptions").hidden = !list.children.length;
}

// ---- time -----------------------------------------------------------------------------------------

const speed = () => Number($$("speed").value);
let origin; // a moment and the frame that was shown then

const startClock = () => { origin = { time: performance.now(), frame: state.frame }; };

function play(on) {
  if (on && state.frame >= frames - 1) show(0);
  state.playing = on;
  $$("play").textContent = on ? "Pause" : "Play";
  startClock();
  if (on) requestAnimationFrame(tick);
}

function tick(now) {
  if (!state.playing) return;
  const frame = Math.floor(origin.frame + (Math.max(now - origin.time, 0) / 1000) * fps * speed());
  if (frame >= frames && !$$("loop").checked) {
    show(frames - 1);
    play(false);
    return;
  }
  if (frame % frames !== state.frame) show(frame % frames);
  requestAnimationFrame(tick);
}

function jump(frame) {
  show(frame);
  startClock();
}

// ---- what the user does ---------------------------------------------------------------------------

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const step = event.shiftKey ? 10 : 1;
  const actions = {
    " ": () => play(!state.playing),
    ArrowLeft: () => jump(state.frame - step),
    ArrowRight: () => jump(state.frame + step),
    Home: () => jump(0),
    End: () => jump(frames - 1),
  };
  const action = actions[event.key];
  if (!action || event.target.matches("select, summary, input[type=checkbox]")) return;
  event.preventDefault(); // neither scroll nor press the button that has the focus
  if (event.type === "keydown") action();
}

function listen() {
  document.addEventListener("keydown", onKey);
  document.addEventListener("keyup", onKey); // Firefox presses a button when the space bar is let go
  $$("play").addEventListener("click", () => play(!state.playing));
  $$("back").addEventListener("click", () => jump(state.frame - 1));
  $$("forward").addEventListener("click", () => jump(state.frame + 1));
  $$("slider").addEventListener("input", (event) => jump(Number(event.target.value)));
  $$("speed").addEventListener("change", startClock);
  $$("strip").addEventListener("pointerdown", (event) =>
    jump(Math.floor((event.offsetX / $$("strip").clientWidth) * frames)));
  $$("path").addEventListener("change", (event) => {
    state.path = event.target.checked;
    choose(state.chosen);
  });
  $$("near").addEventListener("change", () => {
    layOutFlat();
    draw();
  });
  listenToScene();
  window.addEventListener("resize", drawStrip);
}

$$("image-size").textContent = `${width} × ${height}`;
$$("slider").max = frames - 1;
$$("path-choice").hidden = !paths;
$$("path").checked = state.path;
buildPeople();
listen();
choose(state.chosen);
