import csv
import json

import numpy as np
import pytest
from harness import seed_weights

from mpm_keras.data.cameras import film
from mpm_keras.data.synthetic import synthetic_motion
from mpm_keras.errors import InputError
from mpm_keras.inference.motion_gaps import Gap, gaps, hidden_by, measure_gap
from mpm_keras.inference.motion_gaps_run import evaluate_gaps
from mpm_keras.inference.pose_lifter import PoseLifter
from mpm_keras.models import MPMLifter, MPMPretrainer, save_preset
from mpm_keras.skeletons import H36M_17

pytestmark = pytest.mark.once
TINY = {"frames": 9, "joints": 17, "layers": 1, "width": 8, "encoder_width": 8, "heads": 2, "feed_forward": 8}
FACTS = {"skeleton": "h36m17", "stride": 2, "fps": 50.0}


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("preset")
    for network, part in ((MPMLifter(**TINY), folder), (MPMPretrainer(**TINY), folder / "completion")):
        seed_weights(network, scale=0.1)
        save_preset(network, part, **FACTS, mean_pose_3d=np.zeros((17, 3)).tolist())
    return folder


@pytest.mark.parametrize("gap", gaps(), ids=lambda gap: f"{gap.parts} {gap.name}")
def test_gaps_are_as_long_as_they_say(gap):
    frames, fps = 400, 50.0
    hidden = hidden_by(gap, frames, fps, H36M_17, "walk")
    joints = {"1 joint": 1, "left arm": 3, "two legs": 6, "whole frames": 16}[gap.parts]
    assert not hidden[:, H36M_17.root].any()
    assert set(hidden.sum(axis=1)) <= {0, joints}
    lacking = hidden.any(axis=1)
    if gap.seconds is None:
        assert lacking.all()
        return
    starts, stops = (np.flatnonzero(np.diff(lacking.astype(int), prepend=0, append=0) == sign) for sign in (1, -1))
    assert set(stops - starts) == {round(gap.seconds * fps)}
    assert len(starts) == int(frames / (gap.seconds * fps + 2 * fps))
    assert starts[0] >= 25 and stops[-1] <= frames - 25, "half a second observed on either side"
    np.testing.assert_array_equal(hidden, hidden_by(gap, frames, fps, H36M_17, "walk"))
    assert (hidden != hidden_by(gap, frames, fps, H36M_17, "run")).any()


def test_a_clip_may_be_too_short():
    assert hidden_by(Gap("left arm", 1.0), 90, 50.0, H36M_17, "short") is None
    assert hidden_by(Gap("left arm", 1.0), 101, 50.0, H36M_17, "long enough").any()


def test_errors_are_of_hidden_joints_alone(preset):
    views = film(synthetic_motion(clips=2, seconds=4.0, fps=50.0, seed=0), 1)
    clips = [views.view(i) for i in range(2)]
    truth = {len(view.pose_3d): view.pose_3d for view in clips}[200]
    ways = {
        "off": lambda poses, hidden, fps: poses + np.where(hidden[..., None], [0, 0, 0.01], [5, 5, 5]),
        "zero": lambda poses, hidden, fps: np.zeros_like(truth),
    }
    lifter = PoseLifter.from_preset(preset)
    row = measure_gap(Gap("left arm", None), clips, lifter, ways)
    arm = np.concatenate([view.pose_3d for view in clips])[:, H36M_17.limb("left_arm")]
    assert row["clips"] == 2 and row["frames"] == 400
    assert row["zero_hidden_mpjpe_mm"] == pytest.approx(1000 * np.linalg.norm(arm, axis=-1).mean(), rel=1e-5)
    moved = 1000 * np.linalg.norm(arm - [0, 0, 0.01], axis=-1).mean()  # hidden joints are given as zero
    assert row["off_hidden_mpjpe_mm"] == pytest.approx(moved, rel=1e-5)
    assert measure_gap(Gap("left arm", 3.5), clips, lifter, ways)["clips"] == 0


def config(preset, folder, **changes):
    return {
        "data": ["synthetic"], "workdir": str(folder), "config": None, "batch_size": 64, "cameras": 1,
        "val_subjects": [], "test_subjects": [], "without_licenses": [], "data_seed": 0, "synthetic_clips": 8,
        "network": str(preset), "split": "validation", "fps": 50.0, "max_clips": 2, "progress": False, **changes,
    }  # fmt: skip


def test_a_table_of_gaps(preset, tmp_path):
    evaluate_gaps(config(preset, tmp_path))
    rows = json.loads((tmp_path / "metrics.json").read_text())["gaps"]
    assert len(rows) == len(gaps())
    by_name = {(row["parts"], row["gap"]): row for row in rows}
    short, long = by_name["two legs", "0.1 s"], by_name["two legs", "1 s"]
    assert 0 < short["linear_hidden_mpjpe_mm"] < long["linear_hidden_mpjpe_mm"]
    assert short["spline_hidden_mpjpe_mm"] < short["linear_hidden_mpjpe_mm"], "motion is smooth"
    far = short["network_alone_hidden_mpjpe_mm"]  # the weights are random
    assert short["completed_hidden_mpjpe_mm"] < short["spline_hidden_mpjpe_mm"] + 1e-3 * far
    always = by_name["two legs", "all along"]
    assert always["completed_hidden_mpjpe_mm"] == always["network_alone_hidden_mpjpe_mm"]
    with open(tmp_path / "gaps.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == len(rows)
    assert "| **two legs** | 0.1 s |" in (tmp_path / "gaps.md").read_text()


def test_a_preset_that_completes_nothing_is_named(preset, tmp_path):
    save_preset(PoseLifter.from_preset(preset).network, tmp_path / "alone", **FACTS)
    with pytest.raises(InputError, match="alone: holds no completion network"):
        evaluate_gaps(config(tmp_path / "alone", tmp_path / "out"))
    assert not (tmp_path / "out").exists()
