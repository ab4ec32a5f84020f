"""Evaluation against numbers worked out by hand, with predictors whose errors are known."""

import csv
import dataclasses
import json

import numpy as np
import pytest

from mpm_keras import metrics
from mpm_keras.data.views import Views
from mpm_keras.errors import InputError
from mpm_keras.inference import evaluate_run, report
from mpm_keras.inference.evaluation import (
    METRICS,
    POSE_METRICS,
    VELOCITY,
    action_name,
    evaluate_clips,
    frame_errors,
    joint_errors_mm,
    lifters,
    mean_pose_predictor,
)
from mpm_keras.skeletons import H36M_17

pytestmark = pytest.mark.numpy_only

ACTIONS = ("Walk take 001", "walk", "Sit", "")
SUBJECTS = ("anna", "bert", "anna", "bert")


def make_views(lengths=(6, 1, 3, 10), seed=0):
    """Four clips of random poses; coordinate 0 of joint 1 in 2D is the frame's number in the flat arrays."""
    rng, frames = np.random.default_rng(seed), sum(lengths)
    pose_3d = rng.normal(scale=0.4, size=(frames, 17, 3)).astype(np.float32)
    pose_3d -= pose_3d[:, :1]
    pose_2d = rng.normal(scale=0.3, size=(frames, 17, 2)).astype(np.float32)
    pose_2d[:, 1, 0] = np.arange(frames)
    return Views(
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        names=tuple(f"clip{i}@cam0" for i in range(4)),
        subjects=SUBJECTS, actions=ACTIONS, cameras=("cam0",) * 4,
        fps=np.full(4, 50, np.float32),
        intrinsics=np.full((4, 9), np.nan, np.float32),
        image_size=np.full((4, 2), 1000, np.int32),
        pose_2d=pose_2d, pose_3d=pose_3d,
    )  # fmt: skip


def clips_of(views):
    return [views.view(i) for i in range(views.num_views)]


def truth(view):
    return view.pose_3d


class KnowAll:
    """A network that returns the truth: it finds the frames in a table by their number in the 2D input."""

    frames, joints = 5, 17

    def __init__(self, views):
        self.truth = views.pose_3d

    def predict_on_batch(self, batch):
        pose = self.truth[np.rint(batch["pose_2d"][:, :, 1, 0]).astype(int)]
        return {"sequence": pose, "center": pose[:, 2:3]}


def test_a_network_that_knows_the_truth_has_no_errors():
    views = make_views()
    for step in (1, 2):
        predictors = lifters(KnowAll(views), H36M_17, stride=2, flip=False, step=step)
        for mode, found in evaluate_clips(clips_of(views), predictors, step).items():
            expected = {"pck_150mm": 1.0, "auc": 30 / 31}
            if step == 1 or mode == "sequence":
                expected[VELOCITY] = 0.0
            total = found.total()
            assert set(total) == {*POSE_METRICS, *expected}
            for name, value in total.items():
                assert value == pytest.approx(expected.get(name, 0.0), abs=1e-3), (mode, name)
            assert found.num_frames == (20 if step == 1 else 3 + 1 + 2 + 5)


def test_known_shifts_give_known_errors_per_joint():
    shifts = np.arange(17) * 0.0101  # joint j is j times 10.1 mm off, in a direction of its own
    rng = np.random.default_rng(3)
    direction = rng.normal(size=(17, 3))
    offset = shifts[:, None] * direction / np.linalg.norm(direction, axis=-1, keepdims=True)
    found = evaluate_clips(clips_of(make_views()), {"shifted": lambda view: view.pose_3d + offset})["shifted"]
    np.testing.assert_allclose(found.per_joint(), shifts * 1000, atol=1e-3)
    assert found.total()["mpjpe_mm"] == pytest.approx(80.8, abs=1e-3) == found.per_joint().mean()
    assert found.total()["pck_150mm"] == pytest.approx(15 / 17, abs=1e-6)  # joints 15 and 16 are too far
    assert found.total()[VELOCITY] == pytest.approx(0.0, abs=1e-3)


def test_errors_are_relative_to_the_root():
    views = make_views()
    moved = evaluate_clips(clips_of(views), {"moved": lambda view: view.pose_3d + [0.3, 0.0, 2.0]})["moved"]
    assert moved.total()["mpjpe_mm"] == pytest.approx(0.0, abs=1e-3) and not moved.per_joint().max() > 1e-3
    np.testing.assert_allclose(joint_errors_mm(views.pose_3d + 1.0, views.pose_3d), 0, atol=1e-3)


def off_by_clip(view):
    """All joints but the root 10, 20, 30, 40 mm off in clips 0, 1, 2, 3."""
    offset = np.zeros((17, 3))
    offset[1:, 2] = 0.01 * (int(view.names[0][4]) + 1)
    return view.pose_3d + offset


def test_groups_and_the_average_over_actions():
    found = evaluate_clips(clips_of(make_views()), {"off": off_by_clip})["off"]
    share = 16 / 17  # the root is right
    walk = (6 * 10 + 1 * 20) / 7
    actions = found.by("action")
    assert list(actions) == ["sit", "unknown", "walk"]
    assert [actions[name]["frames"] for name in actions] == [3, 10, 7]
    for name, value in {"sit": 30, "unknown": 40, "walk": walk}.items():
        assert actions[name]["mpjpe_mm"] == pytest.approx(share * value, rel=1e-5)
    subjects = found.by("subject")
    assert subjects["anna"]["mpjpe_mm"] == pytest.approx(share * (6 * 10 + 3 * 30) / 9, rel=1e-5)
    assert subjects["bert"]["mpjpe_mm"] == pytest.approx(share * (20 + 10 * 40) / 11, rel=1e-5)
    per_frame = share * (6 * 10 + 20 + 3 * 30 + 10 * 40) / 20
    per_action = share * (30 + 40 + walk) / 3
    assert found.total()["mpjpe_mm"] == pytest.approx(per_frame, rel=1e-5)
    assert found.over_actions()["mpjpe_mm"] == pytest.approx(per_action, rel=1e-5)
    assert abs(per_frame - per_action) > 1


def test_velocity_does_not_cross_clips():
    def moving(view):  # joint 1 drifts by 5 mm a frame, from an offset that differs from clip to clip
        drift = np.zeros((view.num_frames, 17, 3))
        drift[:, 1, 0] = 0.005 * np.arange(view.num_frames) + int(view.names[0][4])
        return view.pose_3d + drift

    found = evaluate_clips(clips_of(make_views()), {"moving": moving})["moving"]
    assert found.total()[VELOCITY] == pytest.approx(5 / 17, abs=1e-3)
    velocities = [clip.frames[:, METRICS.index(VELOCITY)] for clip in found.clips]
    assert all(np.isnan(v[0]) and np.isfinite(v[1:]).all() for v in velocities)
    alone = evaluate_clips(clips_of(make_views())[1:2], {"moving": moving})["moving"]  # one frame: no velocity
    assert VELOCITY not in alone.total() and VELOCITY not in alone.over_actions()


def test_frame_errors_are_those_of_the_metrics():
    rng = np.random.default_rng(5)
    predicted, target = rng.normal(size=(2, 12, 17, 3))
    found = frame_errors(predicted, target)
    assert found.dtype == np.float32 and found.shape == (12, len(METRICS))
    for k, (name, function) in enumerate(POSE_METRICS.items()):
        np.testing.assert_allclose(found[:, k], function(predicted, target), rtol=1e-6, err_msg=name)
    np.testing.assert_allclose(found[1:, -1], metrics.velocity_error_mm(predicted, target), rtol=1e-6)
    every = frame_errors(predicted, target, step=5)
    np.testing.assert_array_equal(every, found[::5])
    sparse = frame_errors(predicted[::5], target, step=5)
    np.testing.assert_array_equal(sparse[:, :-1], found[::5, :-1])
    assert np.isnan(sparse[:, -1]).all()
    with pytest.raises(ValueError, match="two equal shapes"):
        frame_errors(predicted[:5], target, step=5)


def test_low_confidence_is_hidden():
    views, seen = make_views(), []

    class Spy(KnowAll):
        def predict_on_batch(self, batch):
            seen.append(batch.get("hidden"))
            return super().predict_on_batch(batch)

    confidence = np.ones((20, 17), np.float32)
    confidence[:, 5] = 0.2
    views = dataclasses.replace(views, confidence=confidence)
    evaluate_clips(clips_of(views), lifters(Spy(views), H36M_17, flip=False, confidence_threshold=0.5))
    assert all(hidden[..., 5].all() and hidden.sum() == hidden[..., 5].size for hidden in seen)
    seen.clear()
    evaluate_clips(clips_of(views), lifters(Spy(views), H36M_17, flip=False))
    assert seen and all(hidden is None for hidden in seen)


def test_mean_pose():
    pose = np.zeros((17, 3))
    found = evaluate_clips(clips_of(make_views()), {"mean_pose": mean_pose_predictor(pose)})["mean_pose"]
    assert found.total()["mpjpe_mm"] == pytest.approx(1000 * np.linalg.norm(make_views().pose_3d, axis=-1).mean())


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("", "unknown"),
        ("  ", "unknown"),
        ("walk", "walk"),
        ("Walking 1", "walking"),
        ("a15 Skip to stand take 001", "a15 skip to stand"),
        ("squat1Reps 004", "squat"),
        ("kick lfront1reps 012", "kick lfront"),
        ("squat 3 reps", "squat"),
        ("climb 3 steps", "climb 3 steps"),
        ("walk  turn left45", "walk turn left45"),
        ("walk, 90-degree left turn", "walk, 90-degree left turn"),
        ("d9 victory1", "d9 victory1"),
    ],
)
def test_action_names(text, name):
    assert action_name(text) == name


def make_report():
    views = make_views()
    found = evaluate_clips(clips_of(views), {"center": off_by_clip, "sequence": truth})
    return {"frames": 20, "center_ms_per_frame": 1.5, **report.nested(found, H36M_17)}


def test_the_report_is_plain_numbers_with_units():
    numbers = make_report()
    assert json.loads(json.dumps(numbers, allow_nan=False)) == numbers
    assert numbers["sequence_mpjpe_mm"] == 0.0 and numbers["averaged_over_actions"]["actions"] == 3
    assert numbers["per_action"]["sit"]["center_mpjpe_mm"] == pytest.approx(16 / 17 * 30, rel=1e-5)
    assert set(numbers["per_subject"]) == {"anna", "bert"} and set(numbers["per_joint"]) == set(H36M_17.joints)
    assert numbers["per_joint"]["Hip"]["center_mpjpe_mm"] == pytest.approx(0.0, abs=1e-3)
    assert report.predictors_of(numbers) == ["center", "sequence"]


def test_csv_has_a_row_per_group(tmp_path):
    numbers = make_report()
    report.write_csv(tmp_path / "metrics.csv", report.rows(numbers, ["center", "sequence"]))
    with open(tmp_path / "metrics.csv", newline="") as file:
        table = list(csv.DictReader(file))
    kinds = [row["kind"] for row in table]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "total": 1, "averaged over actions": 1, "action": 3, "subject": 2, "joint": 17
    }  # fmt: skip
    sit = next(row for row in table if row["name"] == "sit")
    assert sit["frames"] == "3" and float(sit["center_mpjpe_mm"]) == pytest.approx(16 / 17 * 30, rel=1e-5)
    assert table[-1]["name"] == "RWrist" and table[-1]["center_auc"] == ""


def test_tables_for_the_screen():
    numbers = make_report()
    text = report.tables(numbers, ["center", "sequence"])
    blocks = [block.splitlines() for block in text.split("\n\n")]
    starts = [block[0].split("  ")[0] for block in blocks]
    assert starts == [
        "Averaged over frames",
        "Averaged over 3 actions",
        "Per subject, mm",
        "Per action, mm",
        "Per joint, mm",
    ]
    assert all(len({len(line) for line in block}) == 1 for block in blocks)
    assert "N-MPJPE mm" in text and blocks[0][0].endswith("speed ms/frame") and blocks[0][2].endswith("1.50")
    short = report.tables(numbers, ["center"], most=2)
    assert "worst 2 of 3" in short and "unknown" in short and "\nwalk" not in short


def test_examples_go_from_better_to_worse():
    found = evaluate_clips(clips_of(make_views()), {"off": off_by_clip})["off"]
    assert [k for k, _ in evaluate_run.pick_examples(found, 2)] == [1, 2]
    assert len(evaluate_run.pick_examples(found, 50)) <= 4
    assert all(0 <= frame < len(found.clips[k].frames) for k, frame in evaluate_run.pick_examples(found, 4))


def test_chosen_clips_are_spread_evenly():
    views = make_views()
    chosen = [clip.names[0] for clip in evaluate_run.chosen_clips([views], 2)]
    assert chosen == ["clip0@cam0", "clip3@cam0"]
    assert len(evaluate_run.chosen_clips([views], 0)) == len(evaluate_run.chosen_clips([views], 9)) == 4


def test_labels_fit_their_line():
    clip = make_views().view(0)
    assert evaluate_run.label(clip, 3) == "clip0@cam0  ·  Walk take 001  ·  frame 3"
    assert evaluate_run.label(make_views().view(3)) == "clip3@cam0"
    assert evaluate_run.label(clip, 3, most=25) == "clip0@cam0  ·  Walk ta…  ·  frame 3"


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({}, "the fact 'skeleton' is missing"),
        ({"skeleton": "h36m17", "stride": 2.5, "fps": 50.0}, "'stride' is missing or no stride, found 2.5"),
        ({"skeleton": "coco", "stride": 2, "fps": 50.0}, "unknown skeleton 'coco'"),
        ({"skeleton": "h36m16", "stride": 2, "fps": 50.0}, "does not fit a network of 17 joints"),
        ({"skeleton": "h36m17", "stride": 0, "fps": 50.0}, "stride and fps must be at least 1"),
        ({"skeleton": "h36m17", "stride": 1, "fps": 50, "mean_pose_3d": [[1, 2], [3]]}, "inhomogeneous"),
        ({"skeleton": "h36m17", "stride": 1, "fps": 50, "mean_pose_3d": [[1, 2, 3]]}, "does not fit"),
    ],
)
def test_facts_that_make_no_sense_are_named(tmp_path, facts, message):
    header = {"format": "mpm_keras preset", "version": 1, "network": "MPMLifter", "config": {}, "facts": facts}
    (tmp_path / "preset.json").write_text(json.dumps(header))
    with pytest.raises(InputError, match=rf"preset\.json: .*{message}"):
        evaluate_run.network_facts(tmp_path, KnowAll(make_views()))
