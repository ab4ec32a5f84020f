"""The networks that come with the package."""

from pathlib import Path

import numpy as np
import pytest

from mpm_keras import PoseLifter
from mpm_keras.inference.bones import bone_lengths
from mpm_keras.keypoints.readers import read_keypoints
from mpm_keras.keypoints.tracking import find_tracks, main_track
from mpm_keras.skeletons import H36M_17

ROOT = Path(__file__).parents[1]
PRESETS = ROOT / "mpm_keras" / "presets"
NAMES = sorted(path.parent.name for path in PRESETS.glob("*/preset.json"))


def test_there_are_some_and_they_are_small():
    assert "detector_27" in NAMES
    assert sum(path.stat().st_size for path in PRESETS.rglob("*")) < 40e6


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_lifts_the_sample_to_a_plausible_person(name):
    """Somebody of an adult's size who walks upright, whole though an arm is hidden."""
    size = (1280, 720)
    detections = read_keypoints(ROOT / "docs" / "samples" / "walk_mmpose.json", image_size=size, fps=30.0)
    track = main_track(find_tracks(detections, image_size=size))
    motion = PoseLifter.from_preset(name).lift(track.points, track.scores, image_size=size, fps=30.0)
    poses = motion.positions_3d
    up = poses[:, H36M_17.index("Thorax")] - poses[:, H36M_17.index("LFoot")]
    assert (up[:, 1] < -0.9).all()  # y points down
    lengths = dict(zip(H36M_17.joints, bone_lengths(poses), strict=True))
    for joint, low, high in [("RKnee", 0.3, 0.5), ("LFoot", 0.3, 0.5), ("RElbow", 0.15, 0.35), ("Head", 0.05, 0.35)]:
        assert low < lengths[joint] < high, (joint, lengths[joint])
    assert motion.filled.any() and np.isfinite(poses).all()


@pytest.mark.numpy_only
@pytest.mark.parametrize("name", NAMES)
def test_a_preset_has_a_model_card(name):
    card = (PRESETS / name / "README.md").read_text()
    for part in ("mocap.cs.cmu.edu", "EIA-0196217", "CC BY 3.0", "## Limits", "## Make it again", "finetune.py"):
        assert part in card
