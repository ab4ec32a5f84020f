"""Joint files of one's own: every format, unit and axis, and what is said about those that do not fit."""

import json
import re
import runpy
import warnings
from pathlib import Path

import numpy as np
import pytest
from fuzzing import CASES, fuzz
from test_c3d import c3d_bytes

from mpm_keras.data.custom import fill_gaps, read, read_clip, read_mapping
from mpm_keras.data.smpl import MEAN_BODY, forward
from mpm_keras.errors import InputError
from mpm_keras.skeletons import H36M_17

pytestmark = pytest.mark.numpy_only
J = H36M_17.index
NAMES = ["pelvis_left", "pelvis_right", *H36M_17.joints[1:]]
JOINTS = {joint: joint for joint in H36M_17.joints} | {"Hip": ["pelvis_left", "pelvis_right"]}


def world(frames=50):
    """(frames, 17, 3) metres, z up, 8 cm above the floor at the ankles: somebody walks along y, facing y."""
    rotations = np.zeros((frames, 66))
    rotations[:, 18] = 0.4 * np.sin(np.linspace(0, 6, frames))  # a spine that bends
    pose = forward(MEAN_BODY, rotations, [], np.zeros((frames, 3)))[..., [2, 0, 1]][..., [1, 0, 2]] * [-1, 1, 1]
    pose[..., 2] -= pose[:, J("LFoot"), 2].min() - 0.08
    pose[..., 1] += np.linspace(0, 1, frames)[:, None]
    return pose - [*pose[0, 0, :2], 0]


def markers(pose):
    """(frames, 18, 3): the hip as two markers to its sides."""
    side = np.array([0.1, 0, 0])
    return np.concatenate([pose[:, :1] - side, pose[:, :1] + side, pose[:, 1:]], axis=1)


def mapping(**changes):
    made = {"joints": JOINTS, "units": "m", "up": "z", "fps": 50, "names": NAMES, **changes}
    return {key: value for key, value in made.items() if value is not None}


def write_npz(path, values, **more):
    np.savez(path, positions=values, **more)
    return path


def write_csv(path, values, names=NAMES, pattern="{}_{}", delimiter=","):
    header = ["frame", *(pattern.format(n, axis) for n in names for axis in "xyz")]
    rows = [[str(i), *(f"{v:.6f}" for v in row.reshape(-1))] for i, row in enumerate(values)]
    path.write_text("\n".join(delimiter.join(row) for row in [header, *rows]) + "\n")
    return path


def test_the_body_of_these_tests_stands():
    pose = world()
    assert pose[0, J("Head"), 2] > 1.6 and pose[0, J("LHip"), 0] < pose[0, J("RHip"), 0]  # faces +y, left is -x
    assert pose[0, J("Neck/Nose"), 1] > pose[0, J("Head"), 1]


def test_three_formats_are_one(tmp_path):
    values = markers(world())
    (tmp_path / "c.c3d").write_bytes(c3d_bytes(values * 1000, NAMES, fps=50))
    files = {
        write_npz(tmp_path / "a.npz", values): mapping(),
        write_npz(tmp_path / "n.npz", values, names=np.array(NAMES)): mapping(names="names"),
        write_npz(tmp_path / "o.npz", values.astype(np.float32)): mapping(array="positions"),
        write_csv(tmp_path / "b.csv", values): mapping(),
        write_csv(tmp_path / "d.csv", values * 100, pattern="{}.{}", delimiter=";"): mapping(units="cm"),
        write_csv(tmp_path / "e.csv", values / 0.0254, pattern="{} {}", delimiter="\t"): mapping(units=0.0254),
        tmp_path / "c.c3d": mapping(units=None, fps=None),
    }
    for path, table in files.items():
        found = read(path, table)
        np.testing.assert_allclose(found.positions, world(), atol=2e-5, err_msg=path.name)
        assert found.names == (path.stem,) and found.fps.tolist() == [50]


# The axes of a file in terms of x, y, z of the world: a row each.
FRAMES = {
    ("z", "right"): [(1, 0, 0), (0, 1, 0), (0, 0, 1)],
    ("y", "right"): [(1, 0, 0), (0, 0, 1), (0, -1, 0)],
    ("x", "right"): [(0, 0, 1), (1, 0, 0), (0, 1, 0)],
    ("-y", "right"): [(1, 0, 0), (0, 0, -1), (0, 1, 0)],  # a camera's frame
    ("-z", "right"): [(1, 0, 0), (0, -1, 0), (0, 0, -1)],
    ("y", "left"): [(1, 0, 0), (0, 0, 1), (0, 1, 0)],  # Unity
    ("z", "left"): [(1, 0, 0), (0, -1, 0), (0, 0, 1)],  # Unreal
    ("-y", "left"): [(1, 0, 0), (0, 0, -1), (0, -1, 0)],
}


@pytest.mark.parametrize("up, handed", FRAMES)
def test_axes(tmp_path, up, handed):
    axes = np.array(FRAMES[up, handed])
    assert np.linalg.det(axes) == (1 if handed == "right" else -1)
    path = write_npz(tmp_path / "a.npz", markers(world()) @ axes.T)
    clip = read(path, mapping(up=up, handed=handed)).clip(0)
    expected = world()
    np.testing.assert_allclose(clip[..., 2], expected[..., 2], atol=1e-5)
    # About the vertical any turn will do, but no mirror: left stays left.
    left, ahead = clip[0, J("LHip")] - clip[0, J("RHip")], clip[0, J("Neck/Nose")] - clip[0, J("Head")]
    assert np.cross(ahead, left)[2] > 0
    np.testing.assert_allclose(np.linalg.norm(np.diff(clip[:, 0], axis=0), axis=-1).sum(), 1, atol=1e-4)


def test_the_floor(tmp_path):
    path = write_npz(tmp_path / "a.npz", markers(world()) + [3, 0, 5])
    assert read(path, mapping()).clip(0)[0, 0, 0] == 0
    np.testing.assert_allclose(read(path, mapping(floor="keep")).clip(0), world() + [3, 0, 5], atol=1e-5)


def test_weights_and_rates(tmp_path):
    path = write_npz(tmp_path / "a.npz", markers(world(101)))
    table = mapping(joints={**JOINTS, "Hip": {"pelvis_left": 0.25, "pelvis_right": 0.75}}, fps=100)
    clip = read(path, table, fps=50).clip(0)
    assert len(clip) == 51
    shift = clip[0, J("RHip")] - clip[0, 0] - (world()[0, J("RHip")] - world()[0, 0])
    np.testing.assert_allclose(shift, [-0.05, 0, 0], atol=1e-5)


def test_gaps(tmp_path):
    values = markers(world())
    values[10:13, NAMES.index("LWrist")] = np.nan
    path = write_npz(tmp_path / "a.npz", values)
    with pytest.raises(InputError, match="LWrist is missing in frames 10 to 12; see 'fill_gaps'"):
        read(path, mapping())
    clip = read(path, mapping(fill_gaps=0.06)).clip(0)
    np.testing.assert_allclose(clip, world(), atol=0.02)
    line = clip[9:14, J("LWrist")]
    np.testing.assert_allclose(np.diff(line, axis=0), np.broadcast_to((line[4] - line[0]) / 4, (4, 3)), atol=1e-5)


def test_gaps_at_the_ends():
    points = world(10)
    points[:2, 3] = np.nan
    with pytest.raises(InputError, match="RFoot is missing in frames 0 to 1 of the clip; cut it there"):
        fill_gaps(points, 5)
    points[:, 3] = np.nan
    with pytest.raises(InputError, match="RFoot is missing in frames 0 to 9"):
        fill_gaps(points, 5)


def test_a_folder(tmp_path):
    folder = tmp_path / "data"
    (folder / "anna").mkdir(parents=True)
    write_csv(folder / "anna" / "a.csv", markers(world()))
    write_csv(folder / "anna" / "b.csv", markers(world())[:, 1:], names=NAMES[1:])
    write_npz(folder / "c.npz", markers(world()))
    (tmp_path / "mapping.json").write_text(json.dumps(mapping(license="mine")))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        motion = read(folder, tmp_path / "mapping.json")
    assert motion.names == ("anna/a", "c") and motion.subjects == ("anna", "c") and motion.licenses == ("mine",) * 2
    messages = [str(w.message) for w in caught]
    assert "has no joint 'pelvis_left'" in messages[0] and messages[1] == "1 of 3 files were left out"


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"up": None}, "'up' is missing"),
        ({"units": "feet"}, "units: expected"),
        ({"units": True}, "units: expected"),
        ({"up": "north"}, "up: expected x, y, z"),
        ({"fps": 0}, "fps: expected"),
        ({"fps": "50"}, "fps: expected"),
        ({"frames": 3}, "unknown key 'frames'"),
        ({"names": [1]}, "names: expected"),
        ({"array": 3}, "array: expected text"),
        ({"joints": []}, "joints: expected an object"),
        ({"joints": {"Hips": "a"}}, "'Hips' is none of"),
        ({"joints": {"Hip": "a"}}, "RHip is missing"),
        ({"joints": {**JOINTS, "Hip": []}}, "Hip: expected a name"),
        ({"joints": {**JOINTS, "Hip": {"a": 0.5}}}, "add up to 0.5"),
        ({"joints": {**JOINTS, "Hip": {"a": 10**400}}}, "not readable"),
    ],
)
def test_mappings_that_do_not_fit(tmp_path, changes, message):
    path = tmp_path / "mapping.json"
    path.write_text(json.dumps(mapping(**changes)))
    for given in (path, mapping(**changes)):
        with pytest.raises(InputError, match=message) as raised:
            read_mapping(given)
        assert "\n" not in str(raised.value)
    assert str(path) not in str(raised.value)


@pytest.mark.parametrize("text", ["", "[1]", "{", '{"joints": ' + "[" * 100000, b"\xff\xfe"])
def test_mappings_that_are_none(tmp_path, text):
    path = tmp_path / "mapping.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=re.escape(str(path))):
        read_mapping(path)


def csv_text(change):
    def make(folder):
        path = write_csv(folder / "a.csv", markers(world(3)))
        path.write_text(change(path.read_text()))
        return path

    return make


@pytest.mark.parametrize(
    "make, changes, message",
    [
        (lambda p: p / "none.npz", {}, "no such file"),
        (lambda p: write_npz(p / "a.npz", markers(world())[:, 1:]), {}, "17 joints, but 18 names"),
        (lambda p: write_npz(p / "a.npz", np.zeros((5, 18))), {}, "positions: expected shape"),
        (lambda p: write_npz(p / "a.npz", markers(world())), {"array": "xyz"}, "'xyz' is missing"),
        (
            lambda p: write_npz(p / "a.npz", markers(world()), n=np.arange(18)),
            {"names": "n"},
            "n: expected joint names",
        ),
        (lambda p: write_npz(p / "a.npz", markers(world())), {"fps": None}, "needs 'fps'"),
        (lambda p: write_npz(p / "a.npz", markers(world())), {"units": None}, "needs 'units'"),
        (lambda p: write_npz(p / "a.npz", markers(world())), {"units": "mm"}, "check 'units'"),
        (lambda p: write_npz(p / "a.npz", np.full((50, 18, 3), np.inf)), {}, "is missing in frames 0"),
        (csv_text(lambda t: t.replace("LWrist_y", "LWrist_q")), {}, "has no joint 'LWrist'"),
        (csv_text(lambda t: t.replace("\n1,", "\n1,x")), {}, "row 3, pelvis_left_x: expected a number"),
        (csv_text(lambda t: t[:-30]), {}, "row 4: "),
        (csv_text(lambda t: t.splitlines()[0]), {}, "at least one row"),
        (csv_text(lambda t: ""), {}, "has no joint"),
    ],
)
def test_files_that_do_not_fit(tmp_path, make, changes, message):
    path = make(tmp_path)
    with pytest.raises(InputError, match=message) as raised:
        read(path, mapping(**changes))
    assert str(path) in str(raised.value)


@pytest.mark.parametrize("suffix", ["npz", "csv", "c3d"])
def test_damaged_files(tmp_path, suffix):
    path, values = tmp_path / f"a.{suffix}", markers(world(6))
    if suffix == "c3d":
        path.write_bytes(c3d_bytes(values * 1000, NAMES, fps=50))
        table = read_mapping(mapping(units="mm"))
    else:
        (write_npz if suffix == "npz" else write_csv)(path, values)
        table = read_mapping(mapping())
    assert fuzz(lambda p: read_clip(p, table), path) > CASES / 8


def test_damaged_mappings(tmp_path):
    path = tmp_path / "mapping.json"
    path.write_text(json.dumps(mapping()))
    assert fuzz(read_mapping, path, cases=CASES // 3) > CASES / 20


def test_the_example_of_the_documentation(tmp_path, monkeypatch):
    """The Python of docs/custom_data.md, in its order, in a fresh folder."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "custom_data.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "example.py").write_text("\n".join(blocks))
    monkeypatch.chdir(tmp_path)
    scope = runpy.run_path(str(tmp_path / "example.py"))
    assert blocks and scope["motion"].num_clips == 1 and scope["motion"].clip(0).shape[1:] == (17, 3)
