// What a frame looks like: the traces that Plotly draws.

const NAMES = 8; // of more people the names would hide each other

const jointColour = (person, j) => (sides[j] === "middle" ? person.colour : colours[sides[j]]);

// Mixed with the white page: what opacity would look like, also where Plotly has none per point.
function faded(colour, share) {
  const part = (k) => Math.round(255 + (parseInt(colour.slice(k, k + 2), 16) - 255) * share);
  return `rgb(${part(1)},${part(3)},${part(5)})`;
}

const dotColour = (person, frame, j) => faded(jointColour(person, j), 0.25 + 0.75 * sure(person, frame, j));

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
  if (people.length < 2 || state.chosen.length > NAMES || !shown.length) return;
  const height = (point) => (trace.z ? point[2] : -point[1]);
  const [x, y, z] = shown.reduce((a, b) => (height(b) > height(a) ? b : a));
  trace.x.push(x);
  trace.y.push(y);
  if (trace.z) trace.z.push(z + 0.08);
  trace.text.push(person.label);
  trace.textfont.color.push(person.colour);
}

function addJoints({ seen, filled, named }, person, frame, points) {
  for (const [j, point] of points.entries()) {
    if (!known(point)) continue;
    const text = jointText(person, frame, j);
    if (isFilled(person, frame, j)) addDot(filled, point, colours.filled, text);
    else addDot(seen, point, dotColour(person, frame, j), text);
  }
  addName(named, points, person);
}

// How thick lines and dots are: a crowd is drawn finer.
const weight = () => (state.chosen.length > 4 ? 0.6 : 1);

function flatTraces(frame) {
  const line = (color, more) => lines("scatter", { line: { color, width: 3 * weight(), ...more }, cliponaxis: false });
  const dotted = (color) => line(faded(color, 0.7), { width: 2, dash: "2px,3px" });
  const left = line(colours.left);
  const right = line(colours.right);
  const guesses = { left: dotted(colours.left), right: dotted(colours.right), middle: dotted("#2b2f36") };
  const seen = dots("scatter", { size: 8 * weight(), line: { color: "#fff", width: 1 } }, { cliponaxis: false });
  const ring = { size: 9 * weight(), symbol: "circle-open", line: { width: 2 } };
  const filled = dots("scatter", ring, { cliponaxis: false });
  const named = names("scatter", { cliponaxis: false });
  const middles = [];
  for (const [k, person] of people.entries()) {
    const middle = line(person.colour);
    middles.push(middle);
    if (!state.chosen.includes(k)) continue;
    const points = joints.map((_, j) => keypoint(k, frame, j));
    for (const [a, b] of bones) {
      if (!known(points[a]) || !known(points[b])) continue;
      const guess = isFilled(person, frame, a) || isFilled(person, frame, b);
      addBone((guess ? guesses : { left, right, middle })[sides[b]], [points[a], points[b]]);
    }
    addJoints({ seen, filled, named }, person, frame, points);
  }
  return [...Object.values(guesses), ...middles, left, right, seen, filled, named];
}

function sceneTraces(frame) {
  const line = (more) => lines("scatter3d", { z: [], line: { color: [], ...more } });
  const solid = line({ width: 7 * weight() });
  const dotted = line({ width: 5, dash: "dash" });
  const seen = dots("scatter3d", { size: 4.5 * weight(), line: { width: 0 } }, { z: [] });
  const ring = { size: 6 * weight(), symbol: "circle-open", line: { color: colours.filled, width: 2 } };
  const filled = dots("scatter3d", ring, { z: [] });
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
    addJoints({ seen, filled, named }, person, frame, points);
  }
  return [floor, solid, dotted, seen, filled, named];
}
