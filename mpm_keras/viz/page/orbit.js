// Where the scene is looked at from, and how the user changes that.

const DEGREE = Math.PI / 180;
const FAR = 2.5; // radii of the scene from its middle to the eye, to begin with
const ORBITS = {
  camera: { azimuth: -90 * DEGREE, elevation: 3 * DEGREE, zoom: 1, shift: [0, 0, 0] },
  side: { azimuth: -137 * DEGREE, elevation: 15 * DEGREE, zoom: 1, shift: [0, 0, 0] },
  top: { azimuth: -90 * DEGREE, elevation: 80 * DEGREE, zoom: 1, shift: [0, 0, 0] },
};
const TURN = 0.4 * DEGREE; // a pixel of dragging
let orbit = ORBITS.side;

const distance = () => (FAR * scene.radius) / orbit.zoom;

// Perspective: metres of the scene -> x, y (tangents) and depth in units of the eye's distance from the
// middle. What is behind the eye, or nearly, is NaN.
function projector() {
  const [middle, away] = [scene.middle.map((value, i) => value + orbit.shift[i]), distance()];
  const [ca, sa] = [Math.cos(orbit.azimuth), Math.sin(orbit.azimuth)];
  const [ce, se] = [Math.cos(orbit.elevation), Math.sin(orbit.elevation)];
  return (point) => {
    const [x, y, z] = point.map((value, i) => value - middle[i]);
    const outwards = ca * x + sa * y;
    const depth = away - ce * outwards - se * z;
    if (!(depth > 0.05 * away)) return [NaN, NaN, NaN];
    return [(ca * y - sa * x) / depth, (ce * z - se * outwards) / depth, depth / away];
  };
}

// How much larger than in the middle something is drawn.
const nearness = (depth) => within(1 / depth, 0.6, 1.8);

const within = (value, low, high) => Math.min(Math.max(value, low), high);

function turned(dx, dy) {
  const elevation = within(orbit.elevation + TURN * dy, -89 * DEGREE, 89 * DEGREE);
  return { ...orbit, azimuth: orbit.azimuth - TURN * dx, elevation };
}

function shifted(dx, dy) {
  const metres = (2 * FIELD * distance()) / Math.min($$("scene").clientHeight, $$("scene").clientWidth);
  const [x, y, z] = orbit.shift;
  const [right, forward] = [-Math.sin(orbit.azimuth), Math.cos(orbit.azimuth)];
  return { ...orbit, shift: [x - metres * dx * right, y - metres * dx * forward, z + metres * dy] };
}

function zoomed(factor) {
  return { ...orbit, zoom: within(orbit.zoom * factor, 0.2, 8) };
}

function look(changed) {
  orbit = changed;
  draw();
}

// Drag: turn. Drag with shift or another button: shift. Wheel: zoom. Double click: back.
function listenToScene() {
  const view = $$("scene");
  let last = null;
  let preset = ORBITS.side;
  view.addEventListener("pointerdown", (event) => {
    last = [event.clientX, event.clientY];
    view.setPointerCapture(event.pointerId);
  });
  view.addEventListener("pointermove", (event) => {
    if (!last) return;
    const [dx, dy] = [event.clientX - last[0], event.clientY - last[1]];
    last = [event.clientX, event.clientY];
    look(event.shiftKey || event.buttons > 1 ? shifted(dx, dy) : turned(dx, dy));
  });
  for (const end of ["pointerup", "pointercancel"]) view.addEventListener(end, () => { last = null; });
  view.addEventListener("contextmenu", (event) => event.preventDefault());
  view.addEventListener("wheel", (event) => {
    event.preventDefault();
    look(zoomed(Math.exp(-0.0012 * event.deltaY)));
  }, { passive: false });
  view.addEventListener("dblclick", () => look(preset));
  for (const button of document.querySelectorAll("[data-camera]")) {
    button.addEventListener("click", () => {
      preset = ORBITS[button.dataset.camera];
      look(preset);
    });
  }
}
