"""lift.py from a detector's file to 3D files."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from harness import seed_weights

from mpm_keras.errors import InputError
from mpm_keras.inference import lift_run
from mpm_keras.inference.lift_run import lift_file
from mpm_keras.models import MPMLifter, save_preset

SCRIPT = Path(__file__).parents[2] / "experiments" / "lift.py"
PLAIN = dict(
    layout=None, image_size=None, fps=30.0, video=None, person="main", formats=["npz"], view=False, animation=[],
    mode="sequence", flip=False, threshold=None, fill_seconds=2.0, fit=True, mend=True, smooth="none",
    steady_bones=False, height=None, trajectory=False, intrinsics=[], camera_pitch=0.0, floor="clip", config=None,
)  # fmt: skip


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("preset")
    network = MPMLifter(
        frames=9, layers=1, width=8, encoder_width=12, heads=2, feed_forward=8, normalization="window"
    )  # fmt: skip
    seed_weights(network, scale=0.1)
    save_preset(network, folder, skeleton="h36m17", stride=2, fps=50.0, detector="noisy", confidence_threshold=0.3)
    return folder


def somebody(place, frames=40):
    """(F, 17, 2) pixels of a COCO person who waves and drifts."""
    body = [(0, -80), (4, -84), (-4, -84), (8, -80), (-8, -80), (20, -55), (-20, -55), (28, -20), (-28, -20), (30, 10),
            (-30, 10), (12, 0), (-12, 0), (13, 45), (-13, 45), (14, 90), (-14, 90)]  # fmt: skip
    sway = 6 * np.sin(np.linspace(0, 9, frames))[:, None, None] * np.linspace(-1, 1, 17)[:, None]
    return np.array(body, float)[None] + place + sway


def mmpose(path, people):
    """MMPose's inferencer layout: a list over people of (F, 17, 2), None where absent."""
    frames = []
    for f in range(len(people[0])):
        instances = []
        for points in people:
            if np.isfinite(points[f]).all():
                box = [*points[f].min(0).tolist(), *points[f].max(0).tolist()]
                instances.append({
                    "keypoints": points[f].tolist(), "keypoint_scores": [0.9] * 17, "bbox": [box], "bbox_score": 0.9
                })  # fmt: skip
        frames.append({"frame_id": f, "instances": instances})
    path.write_text(json.dumps(frames))
    return path


@pytest.fixture
def file(tmp_path):
    return mmpose(tmp_path / "walk.json", [somebody([600, 300])])


def run(file, preset, out, **changes):
    return lift_file(file, {**PLAIN, "preset": str(preset), "out": str(out), "image_size": "1280x720", **changes})


def test_every_output_of_one_person(file, preset, tmp_path):
    formats = ["npz", "json", "csv", "trc", "bvh"]
    ((motion, files),) = run(
        file, preset, tmp_path / "out", formats=formats, view=True, animation=["gif"], trajectory=True, height=1.8,
        steady_bones=True, smooth="savitzky_golay",
    )  # fmt: skip
    names = {"view.html", "animation.gif", "person1_assumptions.json", *(f"person1.{f}" for f in formats)}
    assert {path.name for path in files} == names == {path.name for path in (tmp_path / "out").iterdir()}
    with np.load(tmp_path / "out" / "person1.npz") as archive:
        found = archive["positions_3d"]
        assert found.shape == (40, 17, 3) and found.dtype == np.float32 and not found[:, 0].any()
        assert archive["filled"].shape == (40, 17) and archive["fps"] == 30 and len(archive["joint_names"]) == 17
        np.testing.assert_array_equal(found, motion.positions_3d)
    sidecar = json.loads((tmp_path / "out" / "person1_assumptions.json").read_text())
    assert "to a height of 1.8 m" in json.dumps(sidecar) and "mmpose" in json.dumps(sidecar)


def test_two_people_in_files_of_their_own(preset, tmp_path):
    late = somebody([200, 320])
    late[:10] = np.nan
    file = mmpose(tmp_path / "two.json", [somebody([600, 300]) * 1.2, late])
    results = run(file, preset, tmp_path / "all", person="all")
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == [
        "person1.npz", "person1_assumptions.json", "person2.npz", "person2_assumptions.json"
    ]  # fmt: skip
    assert all(len(motion.positions_3d) == 40 for motion, _ in results)
    assert results[1][0].filled[:10].all() and not results[0][0].filled.any()
    ((main, _),) = run(file, preset, tmp_path / "main")
    ((second, _),) = run(file, preset, tmp_path / "second", person="person2")
    assert (main.name, second.name) == ("person1", "person2")


def test_a_long_clip_shows_its_progress_on_stderr(file, preset, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(lift_run, "LONG_CLIP", 39)
    ((motion, files),) = run(file, preset, tmp_path / "out")
    out, err = capfd.readouterr()
    assert "/window" in err and "/window" not in out
    assert {path.name for path in (tmp_path / "out").iterdir()} == {path.name for path in files}  # nothing unfinished
    monkeypatch.setattr(lift_run, "LONG_CLIP", 40)
    ((plain, _),) = run(file, preset, tmp_path / "plain")
    assert "/window" not in capfd.readouterr().err
    np.testing.assert_array_equal(plain.positions_3d, motion.positions_3d)


def test_settings_that_make_no_sense_write_nothing(file, preset, tmp_path):
    for message, changes in [
        ("--formats: unknown format 'fbx'; known: npz", dict(formats=["fbx"])),
        ("--image_size: expected WIDTHxHEIGHT such as 1920x1080, found 'big'", dict(image_size="big")),
        ("--intrinsics: expected fx,fy,cx,cy in pixels, found '1,2'", dict(intrinsics=["1", "2"])),
        ("give --image_size=WxH", dict(image_size=None)),
        ("nobody is called 'anna'; found person1", dict(person="anna")),
        ("--camera_pitch: expected -89 to 89", dict(camera_pitch=90.0)),
        ("--height: expected 0.3 to 3", dict(height=180.0)),
        ("nowhere: no such folder", dict(preset="nowhere")),
    ]:
        with pytest.raises(InputError, match=message.replace(".", r"\.")):
            run(file, **{"preset": preset, "out": tmp_path / "out", **changes})
    assert not (tmp_path / "out").exists()


@pytest.mark.once
def test_the_command(file, preset, tmp_path):
    """And what it says to nonsense, in one line."""
    command = [sys.executable, SCRIPT, file, f"--preset={preset}", "--fps=30", "--image_size=1280x720"]
    done = subprocess.run([*command, f"--out={tmp_path / 'out'}", "--noflip"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "person1: 40 frames at 30/s, 0.0 % of the joints filled in" in done.stdout
    assert (tmp_path / "out" / "person1.npz").exists()
    nonsense = tmp_path / "nonsense.json"
    nonsense.write_text('{"hello": [1, 2')
    done = subprocess.run(
        [sys.executable, SCRIPT, nonsense, f"--out={tmp_path / 'no'}"], capture_output=True, text=True
    )
    assert done.returncode == 2 and "Traceback" not in done.stderr and not (tmp_path / "no").exists()
    assert done.stderr.splitlines()[-1].startswith(f"lift.py: {nonsense}: ")
