"use strict";
// Plays the motion that `write_viewer` put into the page. One frame is drawn at a time: `flatTraces` and
// `sceneTraces` say what a frame looks like, Plotly.react changes what is different.
(() => {
  const $$ = (id) => document.getElementById(id);
  const motion = JSON.parse($$("motions").textContent);
  const { frames, fps, joints, bones, root, sides, colours, missing } = motion;
  const [width, height] = motion.imageSize;
  const J = joints.length;
  const COLUMNS = 4; // people in the table of confidences
  const BESIDE = 1.4; // metres between people whose places are not known
  const REACH = 1.5; // metres from the root joint that no joint of a person exceeds

  // ---- data -----------------------------------------------------------------------------------------

  function bytes(text) {
    return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  }

  function unpack({ step, data }) {
    return Float32Array.from(new Int16Array(bytes(data).buffer), (n) => (n === missing ? NaN : n * step));
  }

  const people = motion.people.map((person) => ({
    name: person.name,
    label: person.name.replace(/[<>&]/g, " ").slice(0, 24), // Plotly reads tags in its texts
    colour: person.colour,
    assumptions: person.assumptions,
    positions: unpack(person.positions),
    keypoints: unpack(person.keypoints),
    confidence: bytes(person.confidence),
    filled: bytes(person.filled),
    trajectory: person.trajectory ? unpack(person.trajectory) : null,
  }));
  const paths = people.every((person) => person.trajectory);

  function meanColumn(person) {
    const columns = person.keypoints.filter((value, n) => n % 2 === 0 && !Number.isNaN(value));
    return columns.reduce((sum, value) => sum + value / columns.length, 0);
  }

  // Where people's places in the scene are not shown, they stand in a row, in the order of the picture.
  const fromLeft = people.map(meanColumn);
  const rank = (k, chosen) => chosen.filter((other) => fromLeft[other] < fromLeft[k]).length;


  let places = []; // people's places in the row
  const everybody = people.map((_, k) => k);
  const state = { frame: 0, playing: false, chosen: everybody, path: false };

  function keypoint(person, frame, j) {
    const at = 2 * (frame * J + j);
    return [person.keypoints[at], person.keypoints[at + 1]];
  }

  // A joint in the scene: x right, y away from the camera, z up.
  function position(k, frame, j) {
    const person = people[k];
    const at = 3 * (frame * J + j);
    const [x, y, z] = person.positions.subarray(at, at + 3);
    if (state.path) {
      const [right, down, forward] = person.trajectory.subarray(3 * frame, 3 * frame + 3);
      return [x + right, z + forward, -y - down];
    }
    return [x + BESIDE * (places[k] - (state.chosen.length - 1) / 2), z, -y];
  }

  const sure = (person, frame, j) => person.confidence[frame * J + j] / 255;
  const isFilled = (person, frame, j) => person.filled[frame * J + j] === 1;
  const isThere = (person, frame) => !Number.isNaN(person.positions[3 * (frame * J + root)]);

  // ---- colours --------------------------------------------------------------------------------------

  const jointColour = (person, j) => (sides[j] === "middle" ? person.colour : colours[sides[j]]);

  // Mixed with the white page: what opacity would look like, also where Plotly has none per point.
  function faded(colour, share) {
    const part = (k) => Math.round(255 + (parseInt(colour.slice(k, k + 2), 16) - 255) * share);
    return `rgb(${part(1)},${part(3)},${part(5)})`;
  }

  const dotColour = (person, frame, j) => faded(jointColour(person, j), 0.25 + 0.75 * sure(person, frame, j));

  // ---- what a frame looks like ----------------------------------------------------------------------

  // Lines as Plotly wants them: the two ends of a bone, then a gap.
  function addBone(trace, ends, colour) {
    for (const point of [...ends, [null, null, null]]) {
      trace.x.push(point[0]);
      trace.y.push(point[1]);
      if (trace.z) trace.z.push(point[2]);
      if (trace.z) trace.line.color.push(colour);
    }
  }

  function addDot(trace, point, colour, text) {
    trace.x.push(point[0]);
    trace.y.push(point[1]);
    if (trace.z) trace.z.push(point[2]);
    trace.marker.color.push(colour);
    trace.text.push(text);
  }

  const known = (point) => point.every((value) => !Number.isNaN(value));

  function jointText(person, frame, j) {
    const note = isFilled(person, frame, j) ? "filled in" : `confidence ${sure(person, frame, j).toFixed(2)}`;
    return `${person.label}: ${joints[j].replace(/[<>&]/g, " ")}, ${note}`;
  }

  const lines = (type, more) => ({ type, mode: "lines", x: [], y: [], hoverinfo: "skip", ...more });
  const dots = (type, marker, more) => ({
    type, mode: "markers", x: [], y: [], text: [], hoverinfo: "text", marker: { color: [], ...marker }, ...more,
  });
  const names = (type, more) => ({
    type, mode: "text", x: [], y: [], text: [], hoverinfo: "skip", textposition: "top center",
    textfont: { size: 12, color: [] }, ...more,
  });

  function addName(trace, points, person) {
    const shown = points.filter(known);
    if (people.length < 2 || !shown.length) return;
    const up = trace.z ? 2 : 1;
    const above = shown.reduce((a, b) => ((trace.z ? b[up] > a[up] : b[up] < a[up]) ? b : a));
    trace.x.push(above[0]);
    trace.y.push(above[1]);
    if (trace.z) trace.z.push(above[2] + 0.08);
    trace.text.push(person.label);
    trace.textfont.color.push(person.colour);
  }

  function flatTraces(frame) {
    const line = (color, more) => lines("scatter", { line: { color, width: 3, ...more }, cliponaxis: false });
    const dotted = (color) => line(faded(color, 0.7), { width: 2, dash: "2px,3px" });
    const left = line(colours.left);
    const right = line(colours.right);
    const guesses = { left: dotted(colours.left), right: dotted(colours.right), middle: dotted("#2b2f36") };
    const seen = dots("scatter", { size: 8, line: { color: "#fff", width: 1 } }, { cliponaxis: false });
    const ring = { size: 9, symbol: "circle-open", line: { width: 2 } };
    const filled = dots("scatter", ring, { cliponaxis: false });
    const named = names("scatter", { cliponaxis: false });
    const middles = [];
    for (const [k, person] of people.entries()) {
      const middle = line(person.colour);
      middles.push(middle);
      if (!state.chosen.includes(k)) continue;
      const points = joints.map((_, j) => keypoint(person, frame, j));
      for (const [a, b] of bones) {
        if (!known(points[a]) || !known(points[b])) continue;
        const guess = isFilled(person, frame, a) || isFilled(person, frame, b);
        addBone((guess ? guesses : { left, right, middle })[sides[b]], [points[a], points[b]]);
      }
      for (const [j, point] of points.entries()) {
        if (!known(point)) continue;
        const text = jointText(person, frame, j);
        if (isFilled(person, frame, j)) addDot(filled, point, colours.filled, text);
        else addDot(seen, point, dotColour(person, frame, j), text);
      }
      addName(named, points, person);
    }
    return [...Object.values(guesses), ...middles, left, right, seen, filled, named];
  }

  function sceneTraces(frame) {
    const line = (more) => lines("scatter3d", { z: [], line: { color: [], ...more } });
    const solid = line({ width: 7 });
    const dotted = line({ width: 5, dash: "dash" });
    const seen = dots("scatter3d", { size: 4.5, line: { width: 0 } }, { z: [] });
    const filled = dots("scatter3d", { size: 6, symbol: "circle-open", line: { color: colours.filled, width: 2 } }, { z: [] });
    const named = names("scatter3d", { z: [] });
    for (const k of state.chosen) {
      const person = people[k];
      const points = joints.map((_, j) => position(k, frame, j));
      for (const [a, b] of bones) {
        if (!known(points[a]) || !known(points[b])) continue;
        const guess = isFilled(person, frame, a) || isFilled(person, frame, b);
        const colour = jointColour(person, b);
        addBone(guess ? dotted : solid, [points[a], points[b]], guess ? faded(colour, 0.7) : colour);
      }
      for (const [j, point] of points.entries()) {
        if (!known(point)) continue;
        const text = jointText(person, frame, j);
        if (isFilled(person, frame, j)) addDot(filled, point, colours.filled, text);
        else addDot(seen, point, dotColour(person, frame, j), text);
      }
      addName(named, points, person);
    }
    return [floor, solid, dotted, seen, filled, named];
  }

  // ---- axes -----------------------------------------------------------------------------------------

  const bare = { showgrid: false, zeroline: false, showticklabels: false, title: { text: "" } };
  const common = {
    margin: { l: 8, r: 8, t: 4, b: 8 },
    showlegend: false,
    paper_bgcolor: "#fff",
    font: { family: "system-ui, sans-serif" },
  };
  const border = 0.03 * Math.max(width, height);
  const flatLayout = {
    ...common,
    uirevision: 0, // while it stays the same, so does what the user moved and zoomed
    plot_bgcolor: "#fff",
    dragmode: "pan",
    xaxis: { ...bare, constrain: "domain" },
    yaxis: { ...bare, scaleanchor: "x", constrain: "domain" },
    shapes: [{ type: "rect", x0: 0, y0: 0, x1: width, y1: height, layer: "below", fillcolor: "#f3f4f6",
               line: { color: "#c9ced6", width: 1 } }],
  };
  const CAMERAS = {
    camera: { eye: { x: 0, y: -1.75, z: 0.12 } },
    side: { eye: { x: -1.25, y: -1.15, z: 0.45 } },
    top: { eye: { x: 0, y: -0.35, z: 1.8 } },
  };
  let camera = CAMERAS.side;
  let sceneRevision = 0;
  const settings = { displayModeBar: false, scrollZoom: true, responsive: true, doubleClick: "reset" };
  let sceneLayout;
  let floor;

  // The box that holds the chosen people in every frame. Joints beyond a person's reach do not widen it.
  function sceneBox() {
    const low = [Infinity, Infinity, Infinity];
    const high = low.map((value) => -value);
    for (const k of state.chosen) {
      for (let frame = 0; frame < frames; frame += 1) {
        const middle = position(k, frame, root);
        for (let j = 0; j < J; j += 1) {
          const point = position(k, frame, j);
          if (!known(point) || point.some((value, i) => Math.abs(value - middle[i]) > REACH)) continue;
          for (let i = 0; i < 3; i += 1) {
            low[i] = Math.min(low[i], point[i]);
            high[i] = Math.max(high[i], point[i]);
          }
        }
      }
    }
    return low.map((value, i) => (Number.isFinite(value) ? [value - 0.1, high[i] + (i === 2 ? 0.25 : 0.1)] : [-1, 1]));
  }

  // Squares of half a metre under the lowest joint, level as the camera is.
  function floorOf(box) {
    const trace = lines("scatter3d", { z: [], line: { color: [], width: 1 } });
    const [[left, right], [near, far]] = [0, 1].map((i) => [
      Math.floor(2 * box[i][0]) / 2, Math.ceil(2 * box[i][1]) / 2,
    ]);
    const z = box[2][0];
    const step = 0.5 * Math.ceil(Math.max(right - left, far - near) / 20); // some forty lines at most
    for (let x = left; x <= right; x += step) addBone(trace, [[x, near, z], [x, far, z]], "#c9ced6");
    for (let y = near; y <= far; y += step) addBone(trace, [[left, y, z], [right, y, z]], "#c9ced6");
    const row = !state.path && state.chosen.length > 1 ? ", side by side in place" : "";
    $$("scene-note").textContent = `squares of ${step} m${row}`;
    return { trace, box: [[left, right], [near, far], [z, box[2][1]]] };
  }

  // The whole picture, or the part of it in which the chosen people are.
  function layOutFlat() {
    let [left, right, top, bottom] = [-border, width + border, -border, height + border];
    if ($$("near").checked) {
      const points = state.chosen.flatMap((k) => {
        const { keypoints } = people[k];
        return Array.from({ length: frames * J }, (_, n) => [keypoints[2 * n], keypoints[2 * n + 1]]).filter(
          (point) => known(point) && point[0] >= 0 && point[0] <= width && point[1] >= 0 && point[1] <= height);
      });
      for (const [n, [x, y]] of points.entries()) {
        if (n === 0) [left, right, top, bottom] = [x, x, y, y];
        [left, right] = [Math.min(left, x), Math.max(right, x)];
        [top, bottom] = [Math.min(top, y), Math.max(bottom, y)];
      }
      const room = 0.08 * Math.max(right - left, bottom - top, 1);
      [left, right, top, bottom] = [left - room, right + room, top - 2 * room, bottom + room];
    }
    flatLayout.xaxis = { ...flatLayout.xaxis, range: [left, right] };
    flatLayout.yaxis = { ...flatLayout.yaxis, range: [bottom, top] };
    flatLayout.uirevision += 1;
  }

  function layOutScene() {
    const laid = floorOf(sceneBox());
    floor = laid.trace;
    const lengths = laid.box.map(([low, high]) => high - low);
    const scale = Math.min(2.1 / Math.hypot(...lengths), 1.3 / Math.max(...lengths)); // fills the view
    const [x, y, z] = lengths.map((length) => scale * length);
    const axis = (i) => ({ ...bare, visible: false, range: laid.box[i], autorange: false });
    sceneLayout = {
      ...common,
      margin: { l: 0, r: 0, t: 0, b: 0 },
      uirevision: sceneRevision,
      scene: { xaxis: axis(0), yaxis: axis(1), zaxis: axis(2), aspectmode: "manual", aspectratio: { x, y, z },
               camera, dragmode: "turntable" },
    };
  }

  // ---- drawing --------------------------------------------------------------------------------------

  let drawing = false;
  let stale = false;

  // While a frame is being drawn only the latest request is remembered: a slow machine leaves frames out.
  async function draw() {
    stale = true;
    if (drawing) return;
    drawing = true;
    while (stale) {
      stale = false;
      const frame = state.frame;
      await Promise.all([
        Plotly.react("flat", flatTraces(frame), flatLayout, settings),
        Plotly.react("scene", sceneTraces(frame), sceneLayout, settings),
      ]);
      document.body.dataset.drawn = frame;
    }
    drawing = false;
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
    for (const button of document.querySelectorAll("[data-camera]")) {
      button.addEventListener("click", () => {
        camera = CAMERAS[button.dataset.camera];
        sceneRevision += 1;
        layOutScene();
        draw();
      });
    }
    window.addEventListener("resize", drawStrip);
  }

  $$("image-size").textContent = `${width} × ${height}`;
  $$("slider").max = frames - 1;
  $$("path-choice").hidden = !paths;
  $$("path").checked = state.path;
  buildPeople();
  listen();
  choose(state.chosen);
})();
