"""Takes under conditions: what they hide, exchange and leave alone; and the errors of lifters that are known."""

from types import SimpleNamespace

import numpy as np
import pytest

from mpm_keras.data.cameras import film
from mpm_keras.data.detector import EXACT, WIDE_RANGES
from mpm_keras.data.synthetic import synthetic_motion
from mpm_keras.geometry import project
from mpm_keras.inference import report
from mpm_keras.inference.conditions import conditions
from mpm_keras.inference.robustness import Condition, RuleLifter, lift_take, measure, take_of
from mpm_keras.skeletons import COCO_17, H36M_17, from_detector

pytestmark = pytest.mark.numpy_only


@pytest.fixture(scope="module")
def view():
    return film(synthetic_motion(1, 6.0, 50.0, 2, ["walk"]), 1, WIDE_RANGES, 3).view(0)


def exact(**changes):
    return Condition("group", "name", noise=EXACT, **changes)


def test_without_errors_keypoints_are_the_projected_truth(view):
    take = take_of(view, exact(), 4.0)
    assert take.truth.shape == (200, 17, 3) and take.measured.all() and not take.truth[:, 0].any()
    points, scores = from_detector(take.track.points, take.track.scores, COCO_17)
    start = (view.num_frames - 200) // 2
    # The detector's hips are about those of motion capture, and a depth is all that is needed to compare.
    root = view.root_3d[start : start + 200, None]
    expected = project(take.truth + root, take.camera)
    ankles = [H36M_17.index(name) for name in ("LFoot", "RFoot", "LKnee", "RWrist")]
    away = np.linalg.norm(points - expected, axis=-1)[:, ankles]
    size = np.median(np.ptp(points[..., 1], axis=1))
    assert away.max() < 0.05 * size and (scores > 0.3).all()


@pytest.mark.parametrize("fps", [15.0, 60.0])
def test_films_of_other_rates_show_the_same_motion(view, fps):
    usual, other = take_of(view, exact(), 4.0), take_of(view, exact(fps=fps), 4.0)
    frames = len(other.truth)
    assert frames == round(199 / 50 * fps) + 1 and other.fps == fps
    moments = np.arange(frames) / fps * 50
    near = np.minimum(np.rint(moments).astype(int), 199)
    close = np.abs(moments - near) < 1e-6
    assert close.sum() >= 10
    np.testing.assert_allclose(other.truth[close], usual.truth[near[close]], atol=2e-4)


def test_a_rolled_camera_turns_truth_and_picture(view):
    usual, turned = take_of(view, exact(), 1.0), take_of(view, exact(roll=45.0), 1.0)
    np.testing.assert_allclose(turned.truth[..., 2], usual.truth[..., 2], atol=1e-5)
    angle = np.arctan2(*np.moveaxis(turned.truth[:, 1:, :2], -1, 0)) - np.arctan2(
        *np.moveaxis(usual.truth[:, 1:, :2], -1, 0)
    )
    assert np.degrees(np.median(np.abs((angle + np.pi) % (2 * np.pi) - np.pi))) == pytest.approx(45, abs=0.1)
    middle = np.array(usual.camera.center)
    lengths = [np.linalg.norm(take.track.points - middle, axis=-1) for take in (usual, turned)]
    np.testing.assert_allclose(*lengths, rtol=1e-3)


def test_what_is_asked_for_is_hidden_and_nothing_else(view):
    lost = take_of(view, exact(missing=0.3), 4.0).track.scores == 0
    assert lost.mean() == pytest.approx(0.3, abs=1e-3) and len(np.unique(lost.mean(axis=0))) > 5
    assert np.abs(np.diff(lost.astype(int), axis=0)).sum() < 0.1 * lost.size  # for a while each
    arm = take_of(view, exact(limbs=("left_arm",)), 4.0).track
    hidden = np.zeros(17, bool)
    hidden[list(COCO_17.limbs["left_arm"])] = True
    np.testing.assert_array_equal(arm.scores == 0, np.tile(hidden, (200, 1)))
    assert np.isnan(arm.points[:, hidden]).all() and np.isfinite(arm.points[:, ~hidden]).all()
    gap = take_of(view, exact(gap=1.0), 4.0)
    np.testing.assert_array_equal(np.flatnonzero(gap.measured), np.arange(75, 125))
    np.testing.assert_array_equal((gap.track.scores == 0).all(axis=1), gap.measured)
    assert take_of(view, exact(gap=2.0), 2.5) is None  # too little around the gap


def test_left_and_right_are_exchanged_in_that_share_of_the_frames(view):
    usual = take_of(view, exact(), 6.0).track.points
    found = take_of(view, exact(exchanged=0.33), 6.0).track.points
    changed = (found != usual).any(axis=-1)
    assert changed.any(axis=1).mean() == pytest.approx(0.33, abs=0.01)
    np.testing.assert_array_equal(found[changed], usual[:, COCO_17.flip_order][changed])


def test_errors_of_a_lifter_that_is_known():
    rng = np.random.default_rng(0)
    take = SimpleNamespace(
        truth=rng.normal(size=(50, 17, 3)), measured=np.arange(50) >= 25, fps=50.0,
        track=take_of(film(synthetic_motion(1, 1.0, 50.0), 1, WIDE_RANGES).view(0), exact(), 1.0).track,
        camera=SimpleNamespace(focal=np.ones(2), center=np.zeros(2), image_size=(10, 10)),
    )  # fmt: skip
    offset = np.zeros((50, 17, 3))
    offset[:25, 1:, 0], offset[25:, 1:, 0] = 5.0, 0.017

    class Known:
        skeleton = H36M_17

        def lift(self, points, scores, **options):
            assert options["intrinsics"] == [2.0, 2.0, 0.0, 0.0] and options["mode"] == "center"
            return SimpleNamespace(positions_3d=take.truth + offset)

    condition = Condition("a", "b", focal=2.0, options={"mode": "center"})
    row = measure({"known": Known()}, [take, take], condition, 0.1)
    assert (row["group"], row["condition"], row["clips"], row["frames"]) == ("a", "b", 2, 10)
    assert row["known_mpjpe_mm"] == pytest.approx(16.0, rel=1e-4)  # one of 17 joints is the root


def test_a_rule_takes_the_networks_place(view):
    facts = SimpleNamespace(
        skeleton="h36m17", fps=50.0, stride=2, detector="noisy", confidence_threshold=0.3, mean_pose_3d=None
    )
    pose, asked = np.random.default_rng(1).normal(size=(17, 3)).astype(np.float32), []
    pose[0] = 0

    def rule(pose_2d, hidden):
        asked.append((pose_2d.shape, hidden.shape))
        return np.repeat(pose[None], len(pose_2d), axis=0)

    found = lift_take(RuleLifter(facts, rule), take_of(view, exact(), 2.0), exact())
    assert asked == [((51, 17, 2), (51, 17))] and found.shape == (100, 17, 3)
    lengths = np.linalg.norm(found, axis=-1)  # turned back to the camera, not changed
    np.testing.assert_allclose(lengths, np.tile(np.linalg.norm(pose, axis=-1), (100, 1)), atol=1e-3)


def test_every_condition_has_a_name_of_its_own_and_a_row():
    names = [(condition.group, condition.name) for condition in conditions()]
    assert len(set(names)) == len(names) > 30
    rows = [
        {"group": "A", "condition": "x|y", "frames": 3, **{f"net_{m}mpjpe_mm": 1.04 for m in ("", "n_", "p_")}},
        {"group": "A", "condition": "z", "frames": 4},
    ]
    lines = report.condition_table(rows, ["net"]).splitlines()
    assert lines[0] == "|  | condition | frames | net MPJPE | net N-MPJPE | net P-MPJPE |"
    assert lines[2] == "| **A** | x\\|y | 3 | 1.0 | 1.0 | 1.0 |" and lines[3] == "|  | z | 4 |  |  |  |"
