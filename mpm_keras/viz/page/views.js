// What the two pictures show: axes, floor and camera, and how the user turns the scene.

const REACH = 1.5; // metres from the root joint that no joint of a person exceeds
const FIELD = 0.36; // tangent of half the angle that the scene is seen under

const bare = { visible: false };
const common = {
  margin: { l: 8, r: 8, t: 4, b: 8 },
  showlegend: false,
  paper_bgcolor: "#fff",
  font: { family: "system-ui, sans-serif" },
  hoverlabel: { bgcolor: "#fff", bordercolor: "#c9ced6", font: { color: "#2b2f36" } },
};
const flatLayout = {
  ...common,
  uirevision: 1, // while it stays the same, so does what the user moved and zoomed
  plot_bgcolor: "#fff",
  dragmode: "pan",
  xaxis: { ...bare, constrain: "domain" },
  yaxis: { ...bare, scaleanchor: "x", constrain: "domain" },
  shapes: [{ type: "rect", x0: 0, y0: 0, x1: width, y1: height, layer: "below", fillcolor: "#f3f4f6",
             line: { color: "#c9ced6", width: 1 } }],
};
// The scene is drawn as its projection (`orbit.js`), so that no WebGL is needed.
const sceneLayout = {
  ...common,
  margin: { l: 0, r: 0, t: 0, b: 0 },
  plot_bgcolor: "#fff",
  dragmode: false,
  xaxis: { ...bare, range: [-FIELD, FIELD], fixedrange: true },
  yaxis: { ...bare, range: [-FIELD, FIELD], fixedrange: true, scaleanchor: "x" },
};
const settings = { displayModeBar: false, scrollZoom: true, responsive: true, doubleClick: "reset" };
const sceneSettings = { ...settings, scrollZoom: false, doubleClick: false };
const scene = {}; // the middle and radius of what is seen, metres, and the lines of the floor

// Smallest and largest coordinates of the points that `each` hands to its argument; null for no point.
function bounds(each) {
  let box = null;
  each((point) => {
    box ??= point.map((value) => [value, value]);
    for (const [i, value] of point.entries()) box[i] = [Math.min(box[i][0], value), Math.max(box[i][1], value)];
  });
  return box;
}

// The joints of the chosen people in every frame; `place` is `position` or `keypoint`.
function eachPoint(place, use) {
  for (const k of state.chosen) {
    for (let frame = 0; frame < frames; frame += 1) {
      const middle = place(k, frame, root);
      for (let j = 0; j < J; j += 1) {
        const point = place(k, frame, j);
        if (known(point)) use(point, middle);
      }
    }
  }
}

// The box that holds the chosen people in every frame. Joints beyond a person's reach do not widen it.
function sceneBox() {
  const near = (point, middle) => point.every((value, i) => Math.abs(value - middle[i]) <= REACH);
  const box = bounds((add) => eachPoint(position, (point, middle) => near(point, middle) && add(point)));
  if (!box) return [[-1, 1], [-1, 1], [-1, 1]];
  return box.map(([low, high], i) => [low - 0.1, high + (i === 2 ? 0.25 : 0.1)]);
}

// The whole picture, or the part of it in which the chosen people are.
function layOutFlat() {
  const inside = ([x, y]) => x >= 0 && x <= width && y >= 0 && y <= height;
  const people = $$("near").checked && bounds((add) => eachPoint(keypoint, (point) => inside(point) && add(point)));
  const [[left, right], [top, bottom]] = people || [[0, width], [0, height]];
  const room = (people ? 0.1 : 0.03) * Math.max(right - left, bottom - top, 1);
  flatLayout.xaxis = { ...flatLayout.xaxis, range: [left - room, right + room] };
  flatLayout.yaxis = { ...flatLayout.yaxis, range: [bottom + room, top - room] };
  flatLayout.uirevision += 1;
}

// Squares of half a metre under the lowest joint, level as the camera is.
function floorOf(box) {
  const [[left, right], [near, far]] = [0, 1].map((i) => [Math.floor(2 * box[i][0]) / 2, Math.ceil(2 * box[i][1]) / 2]);
  const step = 0.5 * Math.ceil(Math.max(right - left, far - near) / 20); // some forty lines at most
  const steps = (low, high) => Array.from({ length: Math.ceil((high - low) / step) + 1 }, (_, n) => low + n * step);
  const [across, along] = [steps(left, right), steps(near, far)];
  const z = box[2][0];
  const row = !state.path && state.chosen.length > 1 ? ", people in a row" : "";
  $$("scene-note").textContent = `squares of ${step} m${row}`;
  return [...across.map((x) => along.map((y) => [x, y, z])), ...along.map((y) => across.map((x) => [x, y, z]))];
}

function layOutScene() {
  const box = sceneBox();
  scene.middle = box.map(([low, high]) => (low + high) / 2);
  scene.radius = Math.hypot(...box.map(([low, high]) => high - low)) / 2;
  scene.floor = floorOf(box);
}
