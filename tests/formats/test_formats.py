"""Every format, read back by a reader that is not the writer's."""

import csv
import json
import warnings

import numpy as np
import pytest
from lifted_person import FPS, first_frames, person

from mpm_keras.errors import InputError
from mpm_keras.formats import FORMATS, Placement, scene_positions, write_motion
from mpm_keras.skeletons import H36M_17

pytestmark = pytest.mark.numpy_only


def with_unknown_joints(**changes):
    motion = person(**changes)
    motion.positions_3d[3, 6] = np.nan
    motion.positions_3d[5] = np.nan
    return motion


def test_all_formats_and_the_assumptions(tmp_path):
    motion = person(name="person2")
    paths = write_motion(motion, tmp_path / "new" / "folder", FORMATS)
    names = [f"person2.{name}" for name in FORMATS]
    assert [path.name for path in paths] == [*names, "person2_assumptions.json"]
    assert sorted(p.name for p in (tmp_path / "new" / "folder").iterdir()) == sorted([*names, paths[-1].name])
    sidecar = json.loads(paths[-1].read_text(), parse_constant=pytest.fail)
    assert sidecar["assumptions"] == {"scale": "as trained", "focal_px": 1000.0, "unknown": None}
    assert list(sidecar["conventions"]) == names and "millimetres" in sidecar["conventions"]["person2.trc"]
    assert sidecar["scene"]["root"] == "moves by the trajectory"


def test_npz(tmp_path):
    motion = person()
    path, _ = write_motion(motion, tmp_path, ["npz"])
    with np.load(path, allow_pickle=False) as arrays:
        for key in ("positions_3d", "filled", "keypoints_2d", "confidence", "trajectory"):
            np.testing.assert_array_equal(arrays[key], getattr(motion, key))
        assert arrays["positions_3d"].dtype == np.float32 and arrays["filled"].dtype == bool
        assert tuple(arrays["joint_names"]) == H36M_17.joints
        assert float(arrays["fps"]) == FPS and arrays["image_size"].tolist() == [1920, 1080]
        assert str(arrays["format"]) == "mpm_keras lifted motion" and int(arrays["version"]) == 1
    path, _ = write_motion(person(moves=False), tmp_path, ["npz"])
    with np.load(path) as arrays:
        assert "trajectory" not in arrays


def test_json(tmp_path):
    motion = with_unknown_joints()
    path, _ = write_motion(motion, tmp_path, ["json"])
    content = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert content["fps"] == FPS and content["joint_names"][9] == "Neck/Nose" and content["parents"][0] == -1
    frames = content["frames"]
    assert len(frames) == len(motion.positions_3d) and frames[30]["frame"] == 30
    assert frames[30]["time"] == pytest.approx(30 / FPS, abs=1e-6)
    assert frames[3]["positions_3d"][6] is None and frames[5]["positions_3d"] == [None] * 17
    for key, tolerance in (("positions_3d", 6e-7), ("keypoints_2d", 6e-4), ("trajectory", 6e-7), ("confidence", 6e-5)):
        width = 1 if key == "confidence" else getattr(motion, key).shape[-1]
        read = [[entry if entry is not None else [np.nan] * width for entry in frame[key]] for frame in frames]
        np.testing.assert_allclose(read, getattr(motion, key), atol=tolerance)
    assert [frame["filled"] for frame in frames] == motion.filled.tolist()


def test_json_without_a_trajectory(tmp_path):
    path, _ = write_motion(person(moves=False), tmp_path, ["json"])
    assert json.loads(path.read_text())["frames"][0]["trajectory"] is None


def test_csv(tmp_path):
    motion = with_unknown_joints()
    path, _ = write_motion(motion, tmp_path, ["csv"])
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:5] == ["frame", "time_s", "Hip_x_m", "Hip_y_m", "Hip_z_m"]
    assert len(rows) == len(motion.positions_3d) and len(rows[0]) == 2 + 7 * 17 + 3
    assert rows[3]["LFoot_x_m"] == "" and rows[5]["Hip_z_m"] == ""
    assert float(rows[30]["time_s"]) == pytest.approx(30 / FPS, abs=1e-6)
    for j, joint in enumerate(name.replace("/", "_") for name in H36M_17.joints):
        read = [[float(row[f"{joint}_{axis}_m"] or "nan") for axis in "xyz"] for row in rows]
        np.testing.assert_allclose(read, motion.positions_3d[:, j], atol=6e-7)
        read = [[float(row[f"{joint}_{axis}_px"] or "nan") for axis in "uv"] for row in rows]
        np.testing.assert_allclose(read, motion.keypoints_2d[:, j], atol=6e-4)
        assert [row[f"{joint}_filled"] == "1" for row in rows] == motion.filled[:, j].tolist()
        np.testing.assert_allclose([float(row[f"{joint}_confidence"]) for row in rows], motion.confidence[:, j])
    read = [[float(row[f"trajectory_{axis}_m"]) for axis in "xyz"] for row in rows]
    np.testing.assert_allclose(read, motion.trajectory, atol=6e-7)


def test_trc_by_another_reader(tmp_path):
    from trc import TRCData

    motion = with_unknown_joints()
    path, _ = write_motion(motion, tmp_path, ["trc"])
    read = TRCData()
    read.load(str(path))
    assert read["Units"] == "mm" and read["DataRate"] == FPS and read["NumFrames"] == len(motion.positions_3d)
    assert read["Markers"] == [joint.replace("/", "_") for joint in H36M_17.joints]
    points = np.array([read[marker] for marker in read["Markers"]], float).transpose(1, 0, 2)
    np.testing.assert_allclose(points, 1000 * scene_positions(motion), atol=1e-3)
    np.testing.assert_allclose(read["Time"], np.arange(len(points)) / FPS, atol=1e-6)


def test_trc_has_the_lines_that_opensim_insists_on(tmp_path):
    """The rules of OpenSim's TRCFileAdapter: keys in this order, X1 Y1 Z1 ..., one cell a column in all rows."""
    path, _ = write_motion(person(), tmp_path, ["trc"])
    lines = [line.split("\t") for line in path.read_text().split("\n")]
    assert lines[0] == ["PathFileType", "4", "(X/Y/Z)", "person1.trc"]
    keys = "DataRate,CameraRate,NumFrames,NumMarkers,Units,OrigDataRate,OrigDataStartFrame,OrigNumFrames"
    assert ",".join(lines[1]) == keys
    assert lines[2] == ["29.97", "29.97", "100", "17", "mm", "29.97", "1", "100"]
    assert lines[3][:6] == ["Frame#", "Time", "Hip", "", "", "RHip"]
    assert lines[4] == ["", ""] + [f"{axis}{i}" for i in range(1, 18) for axis in "XYZ"]
    assert lines[5] == [""] and lines[-1] == [""]
    assert [row[0] for row in lines[6:-1]] == [str(i) for i in range(1, 101)]
    assert {len(row) for row in lines[6:-1]} == {2 + 3 * 17}
    assert not set("\\*+ /").intersection("".join(lines[3]))  # no marker may have these in its name


@pytest.mark.parametrize("frames", [1, 100])
def test_c3d_by_another_reader(tmp_path, frames):
    import c3d

    motion = first_frames(with_unknown_joints(), frames)
    path, _ = write_motion(motion, tmp_path, ["c3d"])
    with open(path, "rb") as file, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "No analog data")
        reader = c3d.Reader(file)
        read = np.array([points for _, points, _ in reader.read_frames()])
        labels = [label.strip() for label in reader.point_labels]
    assert reader.point_rate == pytest.approx(FPS) and reader.get("POINT:UNITS").string_value.strip() == "mm"
    assert reader.get("POINT:Y_SCREEN").string_value.strip() == "+Z"
    assert labels == [joint.replace("/", "_") for joint in H36M_17.joints]
    x, y, z = np.moveaxis(1000 * scene_positions(motion), -1, 0)
    known = np.isfinite(x)
    np.testing.assert_array_equal(read[..., 3], np.where(known, 0, -1))
    np.testing.assert_allclose(read[known][:, :3], np.stack([x, -z, y], axis=-1)[known], atol=1e-3)


def test_a_file_is_replaced_or_left_as_it_was(tmp_path, monkeypatch):
    path, _ = write_motion(person(), tmp_path, ["c3d"])
    before = path.read_bytes()
    monkeypatch.setattr("ezc3d.c3d.write", lambda self, path: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_motion(person("run"), tmp_path, ["c3d"])
    assert path.read_bytes() == before
    monkeypatch.undo()
    write_motion(person("run"), tmp_path, ["c3d"])
    assert path.read_bytes() != before and len(list(tmp_path.iterdir())) == 2


def test_unknown_formats_and_impossible_folders(tmp_path):
    with pytest.raises(InputError, match="unknown format fbx; expected some of npz, json"):
        write_motion(person(), tmp_path, ["npz", "fbx"])
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="expected a folder"):
        write_motion(person(), tmp_path / "file", ["npz"])


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "../person"},
        {"name": ""},
        {"filled": np.zeros((3, 17), bool)},
        {"positions_3d": np.full((100, 17, 3), np.inf)},
        {"trajectory": np.zeros((100, 2))},
        {"fps": 0.0},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_motions_that_do_not_fit_are_refused(tmp_path, changes):
    with pytest.raises(ValueError, match=r"name|expected|infinity|positive"):
        write_motion(person(**changes), tmp_path)
    assert not list(tmp_path.iterdir())


def test_missing_library_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ezc3d", None)
    with pytest.raises(InputError, match="pip install ezc3d"):
        write_motion(person(), tmp_path, ["c3d"], Placement())
