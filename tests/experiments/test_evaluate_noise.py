"""experiments/evaluate_noise.py and inspect_lift.py: the jobs behind them, with a tiny network."""

import csv
import json

import numpy as np
import pytest
from harness import seed_weights
from PIL import Image

from mpm_keras.errors import InputError
from mpm_keras.inference.inspect_run import inspect_files
from mpm_keras.inference.robustness_run import evaluate_conditions
from mpm_keras.models import MPMLifter, save_preset
from mpm_keras.skeletons import MEDIAPIPE_33

pytestmark = pytest.mark.once
TINY = {"frames": 9, "joints": 17, "layers": 1, "width": 8, "encoder_width": 8, "heads": 2, "feed_forward": 8}
FACTS = {"skeleton": "h36m17", "stride": 2, "fps": 50.0, "detector": "noisy", "confidence_threshold": 0.3}


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("preset")
    network = MPMLifter(**TINY, normalization="window")
    seed_weights(network, scale=0.1)
    save_preset(network, folder, **FACTS, mean_pose_3d=np.zeros((17, 3)).tolist())
    return folder


def noise_config(preset, folder, **changes):
    return {
        "data": ["synthetic"], "workdir": str(folder), "config": None, "batch_size": 64, "cameras": 1,
        "val_subjects": [], "test_subjects": [], "without_licenses": [], "data_seed": 0,
        "synthetic_clips": 8, "network": str(preset),
        "split": "validation", "groups": ["Joints not found"], "max_clips": 2, "seconds": 1.0, "nearest": 200,
        "progress": False, **changes,
    }  # fmt: skip


def test_a_table_of_conditions(preset, tmp_path):
    evaluate_conditions(noise_config(preset, tmp_path))
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert [row["condition"] for row in metrics["conditions"]] == ["10%", "30%", "50%"]
    for row in metrics["conditions"]:
        assert row["clips"] == 2 and row["frames"] == 10
        assert 0 < row["nearest_pose_p_mpjpe_mm"] < row["mean_pose_mpjpe_mm"]
        assert row["network_mpjpe_mm"] >= row["network_p_mpjpe_mm"] > 0
    with open(tmp_path / "conditions.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == 3
    assert "| **Joints not found** | 10% |" in (tmp_path / "conditions.md").read_text()
    with Image.open(tmp_path / "conditions.png") as image:
        image.verify()


def test_settings_that_make_no_sense_are_named(preset, tmp_path):
    for changes, message in (
        ({"groups": ["Weather"]}, "unknown group 'Weather'; known: Detector, "),
        ({"split": "train"}, "--nearest compares with training poses"),
        ({"network": "nowhere"}, "nowhere: no such folder"),
    ):
        with pytest.raises(InputError, match=message):
            evaluate_conditions(noise_config(preset, tmp_path / "out", **changes))
    assert not (tmp_path / "out").exists()


def test_real_keypoints_are_inspected(preset, tmp_path):
    rng = np.random.default_rng(0)
    body = rng.uniform(0.3, 0.7, (33, 3)) + 0.02 * np.sin(np.linspace(0, 6, 40))[:, None, None]
    names = MEDIAPIPE_33.joints
    frames = [
        {"frame": f, "pose_landmarks": {"landmark": [dict(x=x, y=y, z=z, visibility=0.9) for x, y, z in pose.tolist()]}}
        for f, pose in enumerate(body)
    ]
    path = tmp_path / "film.json"
    path.write_text(json.dumps({"width": 400, "height": 300, "fps": 25, "landmark_names": names, "frames": frames}))
    config = {
        "preset": str(preset), "out": str(tmp_path / "out"), "layout": None, "image_size": None, "fps": None,
        "video": None, "mend": True, "mode": "sequence", "flip": False, "threshold": None, "fill_seconds": 2.0,
        "fit": True, "smooth": "none", "steady_bones": False, "intrinsics": [], "moments": 3, "config": None,
    }  # fmt: skip
    rows = inspect_files([path], config)
    assert [row["3d"] for row in rows] == ["lifted", "lifted, same frames", "detector's own 3D"]
    own = rows[2]  # a stiff body that moves to and fro
    assert own["frames"] == 40 and own["found_share"] == 1.0 and own["forearm_variation"] < 1e-5 and own["flips"] == 0
    assert json.loads((tmp_path / "out" / "steadiness.json").read_text()) == rows
    assert "| thigh mm |" in (tmp_path / "out" / "steadiness.md").read_text()
    with Image.open(tmp_path / "out" / "film_person1.png") as image:
        image.verify()
