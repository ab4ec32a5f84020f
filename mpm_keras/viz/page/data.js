// The motion that `write_viewer` put into the page, and where joints are in it.

const $$ = (id) => document.getElementById(id);
const motion = JSON.parse($$("motions").textContent);
const { frames, fps, joints, bones, root, sides, limbs, colours, missing } = motion;
const [width, height] = motion.imageSize;
const J = joints.length;
const BESIDE = 1.4; // metres between people whose places are not shown
const ROW = 6; // people in a row of them

function bytes(text) {
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
}

function unpack({ step, data }) {
  return Float32Array.from(new Int16Array(bytes(data).buffer), (n) => (n === missing ? NaN : n * step));
}

const plain = (text) => text.replace(/[<>&]/g, " "); // Plotly reads tags in its texts

const people = motion.people.map((person) => ({
  name: person.name,
  label: plain(person.name).slice(0, 24),
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

// Where people's places in the scene are not shown, they stand in rows, in the order of the picture.
const fromLeft = people.map(meanColumn);
const isLeftOf = (a, b) => fromLeft[a] < fromLeft[b] || (fromLeft[a] === fromLeft[b] && a < b);
const rank = (k, chosen) => chosen.filter((other) => isLeftOf(other, k)).length;

let places = []; // people's places in the rows
const everybody = people.map((_, k) => k);
const state = { frame: 0, playing: false, chosen: everybody, path: false };

const known = (point) => point.every((value) => !Number.isNaN(value));

// A joint in the picture, pixels.
function keypoint(k, frame, j) {
  const at = 2 * (frame * J + j);
  const { keypoints } = people[k];
  return [keypoints[at], keypoints[at + 1]];
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
  const wide = Math.min(state.chosen.length, ROW);
  const [column, row] = [places[k] % ROW, Math.floor(places[k] / ROW)];
  return [x + BESIDE * (column - (wide - 1) / 2), z + BESIDE * row, -y];
}

const sure = (person, frame, j) => person.confidence[frame * J + j] / 255;
const isFilled = (person, frame, j) => person.filled[frame * J + j] === 1;
const isThere = (person, frame) => !Number.isNaN(person.positions[3 * (frame * J + root)]);
