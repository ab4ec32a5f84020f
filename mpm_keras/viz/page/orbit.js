// How the user turns the scene. Plotly's own turning would be undone by every frame that is drawn meanwhile.

const DEGREE = Math.PI / 180;
const ORBITS = {
  camera: { azimuth: -90 * DEGREE, elevation: 4 * DEGREE, distance: 1.75, centre: [0, 0, 0] },
  side: { azimuth: -137 * DEGREE, elevation: 15 * DEGREE, distance: 1.75, centre: [0, 0, 0] },
  top: { azimuth: -90 * DEGREE, elevation: 80 * DEGREE, distance: 1.85, centre: [0, 0, 0] },
};
const TURN = 0.4 * DEGREE; // a pixel of dragging
let orbit = ORBITS.side;

// Plotly's camera: an eye on a sphere around a point, z up.
function cameraOf({ azimuth, elevation, distance, centre }) {
  const { clientWidth, clientHeight } = $$("scene");
  const radius = distance * Math.max(1, clientHeight / Math.max(clientWidth, 1)); // a narrow scene is seen from further
  const across = radius * Math.cos(elevation);
  const [x, y, z] = centre;
  return {
    eye: { x: x + across * Math.cos(azimuth), y: y + across * Math.sin(azimuth), z: z + radius * Math.sin(elevation) },
    center: { x, y, z },
    up: { x: 0, y: 0, z: 1 },
  };
}

const within = (value, low, high) => Math.min(Math.max(value, low), high);

function turned(dx, dy) {
  const elevation = within(orbit.elevation + TURN * dy, -89 * DEGREE, 89 * DEGREE);
  return { ...orbit, azimuth: orbit.azimuth - TURN * dx, elevation };
}

function shifted(dx, dy) {
  const scale = orbit.distance / $$("scene").clientHeight;
  const [x, y, z] = orbit.centre;
  const [right, forward] = [-Math.sin(orbit.azimuth), Math.cos(orbit.azimuth)];
  return { ...orbit, centre: [x - scale * dx * right, y - scale * dx * forward, z + scale * dy] };
}

function zoomed(factor) {
  return { ...orbit, distance: within(orbit.distance * factor, 0.15, 8) };
}

let turning = false;

// While the motion plays the next frame brings the new camera with it.
function look(changed) {
  orbit = changed;
  sceneLayout.scene.camera = cameraOf(orbit);
  if (state.playing || turning) return;
  turning = true;
  requestAnimationFrame(() => {
    turning = false;
    Plotly.relayout("scene", { "scene.camera": cameraOf(orbit) });
  });
}

// Drag: turn. Drag with shift or another button: shift. Wheel: zoom. Double click: back.
function listenToScene() {
  const scene = $$("scene");
  let last = null;
  let preset = ORBITS.side;
  scene.addEventListener("pointerdown", (event) => {
    last = [event.clientX, event.clientY];
    scene.setPointerCapture(event.pointerId);
  });
  scene.addEventListener("pointermove", (event) => {
    if (!last) return;
    const [dx, dy] = [event.clientX - last[0], event.clientY - last[1]];
    last = [event.clientX, event.clientY];
    look(event.shiftKey || event.buttons > 1 ? shifted(dx, dy) : turned(dx, dy));
  });
  for (const end of ["pointerup", "pointercancel"]) scene.addEventListener(end, () => { last = null; });
  scene.addEventListener("contextmenu", (event) => event.preventDefault());
  scene.addEventListener("wheel", (event) => {
    event.preventDefault();
    look(zoomed(Math.exp(0.0012 * event.deltaY)));
  }, { passive: false });
  scene.addEventListener("dblclick", () => look(preset));
  for (const button of document.querySelectorAll("[data-camera]")) {
    button.addEventListener("click", () => {
      preset = ORBITS[button.dataset.camera];
      look(preset);
    });
  }
}
