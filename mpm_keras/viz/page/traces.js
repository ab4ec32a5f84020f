// What a frame looks like: the traces that Plotly draws.

const NAMES = 8; // of more people the names would hide each other

const jointColour = (person, j) => (sides[j] === "middle" ? person.colour : colours[sides[j]]);

// Mixed with the white page: what opacity would look like, also where Plotly has none per point.
function faded(colour, share) {
  const part = (k) => Math.round(255 + (parseInt(colour.slice(k, k + 2), 16) - 255) * share);
  return `rgb(${part(1)},${part(3)},${part(5)})`;
}

const dotColour = (person, frame, j) => faded(jointColour(person, j), 0.25 + 0.75 * sure(person, frame, j));

function jointText(person, frame, j) {
  const note = isFilled(person, frame, j) ? "filled in" : `confidence ${sure(person, frame, j).toFixed(2)}`;
  return `${person.label}: ${plain(joints[j])}, ${note}`;
}

// ---- traces: empty ones, then what is added to them -----------------------------------------------

const lines = (color, width, dash = "solid") => ({
  type: "scatter", mode: "lines", x: [], y: [], hoverinfo: "skip", cliponaxis: false, line: { color, width, dash },
});
const dots = (marker) => ({
  type: "scatter", mode: "markers", x: [], y: [], text: [], hoverinfo: "text", cliponaxis: false, customdata: [],
  marker: { color: [], size: [], opacity: 1, ...marker },
});
const names = () => ({
  type: "scatter", mode: "markers+text", x: [], y: [], text: [], hoverinfo: "skip", cliponaxis: false,
  textposition: "top center", textfont: { size: 12, color: [] }, marker: { size: 14, opacity: 0 }, // room for the dot
});

// Lines as Plotly wants them: points, then a gap.
function addLine(trace, points) {
  trace.x.push(...points.map((point) => point[0]), null);
  trace.y.push(...points.map((point) => point[1]), null);
}

function addDot(trace, dot) {
  trace.x.push(dot.point[0]);
  trace.y.push(dot.point[1]);
  trace.text.push(dot.text);
  trace.customdata.push(dot.data);
  trace.marker.color.push(dot.colour);
  trace.marker.size.push(dot.size);
}

function addName(trace, person, points, up) {
  const shown = points.filter(known);
  if (people.length < 2 || state.chosen.length > NAMES || !shown.length) return;
  const [x, y] = shown.reduce((a, b) => (up * b[1] > up * a[1] ? b : a));
  trace.x.push(x);
  trace.y.push(y);
  trace.text.push(person.label);
  trace.textfont.color.push(person.colour);
}

// ---- people ---------------------------------------------------------------------------------------

// A trace for each part of a person, and the mean depth that tells which is drawn over which.
function partTraces(person, frame, points, parts, guesses, width) {
  return [...new Set(parts)].map((part) => {
    const own = bones.filter(([, b]) => parts[b] === part);
    const drawn = own.filter(([a, b]) => known(points[a]) && known(points[b]));
    const depth = drawn.reduce((sum, [a, b]) => sum + (points[a][2] + points[b][2]) / (2 * drawn.length), 0);
    const trace = lines(jointColour(person, own.length ? own[0][1] : root), width * nearness(depth));
    for (const [a, b] of drawn) {
      const guess = isFilled(person, frame, a) || isFilled(person, frame, b);
      addLine(guess ? guesses[sides[b]] : trace, [points[a], points[b]]);
    }
    return { trace, depth };
  });
}

// The chosen people. `place` says where a joint is, as x, y and depth; `up` is -1 where y points down;
// `parts` names the part of the body that a joint is drawn with; `data` is what a dot is about.
function peopleTraces(frame, { place, up, parts, data }) {
  const scale = state.chosen.length > 4 ? 0.6 : 1; // a crowd is drawn finer
  const guess = (colour) => lines(faded(colour, 0.7), 2, "2px,3px");
  const guesses = { left: guess(colours.left), right: guess(colours.right), middle: guess("#2b2f36") };
  const seen = dots({ line: { color: "#fff", width: 1 } });
  const filled = dots({ symbol: "circle-open", line: { width: 2 } });
  const [named, drawn, joined] = [names(), [], []];
  for (const k of state.chosen) {
    const person = people[k];
    const points = joints.map((_, j) => place(k, frame, j));
    drawn.push(...partTraces(person, frame, points, parts, guesses, 3.5 * scale));
    for (const [j, point] of points.entries()) {
      if (!known(point)) continue;
      const guessed = isFilled(person, frame, j);
      joined.push({
        point, guessed, data: data(k, frame, j), text: jointText(person, frame, j),
        size: (guessed ? 10 : 9) * scale * nearness(point[2]),
        colour: guessed ? colours.filled : dotColour(person, frame, j),
      });
    }
    addName(named, person, points, up);
  }
  drawn.sort((a, b) => b.depth - a.depth);
  joined.sort((a, b) => b.point[2] - a.point[2]);
  for (const dot of joined) addDot(dot.guessed ? filled : seen, dot);
  return [...Object.values(guesses), ...drawn.map((part) => part.trace), seen, filled, named];
}

function flatTraces(frame) {
  const place = (k, n, j) => [...keypoint(k, n, j), 1];
  return peopleTraces(frame, { place, up: -1, parts: sides, data: keypoint });
}

// The scene needs its limbs one by one: a near arm hides a far one.
function sceneTraces(frame) {
  const project = projector();
  const place = (k, n, j) => project(position(k, n, j));
  const floor = lines("#c9ced6", 1);
  for (const line of scene.floor) addLine(floor, line.map(project));
  return [floor, ...peopleTraces(frame, { place, up: 1, parts: limbs, data: position })];
}
