import dataclasses

import numpy as np
import pytest
from pose_views import make_views

from mpm_keras.data.motion import Motion
from mpm_keras.data.protocols import OPEN_MOCAP_PROTOCOL, Protocol
from mpm_keras.data.sources import (
    SourceOptions,
    load_splits,
    make_batches,
    mean_of,
    split_names,
    split_single_clip,
)
from mpm_keras.data.windows import UnpairedBatches, WindowBatches
from mpm_keras.errors import InputError

pytestmark = pytest.mark.numpy_only

SMALL = SourceOptions(synthetic_clips=6, synthetic_seconds=1.0, cameras=1)


def subjects_of(views):
    return {subject for v in views for subject in v.subjects}


def test_synthetic_motion_is_split_by_subject():
    splits = load_splits(["synthetic"], SMALL)
    train, validation = subjects_of(splits["train"]), subjects_of(splits["validation"])
    assert train and validation and not train & validation
    again = load_splits(["synthetic"], SMALL)
    for split in splits:
        np.testing.assert_array_equal(splits[split][0].pose_2d, again[split][0].pose_2d)


@pytest.mark.parametrize("roll, lean", [(0.0, (0, 12)), (90.0, (30, 60))])  # uniform in ±90: 45 degrees on average
def test_cameras_are_rolled_as_far_as_asked(roll, lean):
    options = dataclasses.replace(SMALL, synthetic_clips=40, roll=roll)
    (views,) = load_splits(["synthetic"], options)["train"]
    head, hip = (views.pose_2d[views.offsets[:-1], views.skeleton.index(joint)] for joint in ("Head", "Hip"))
    found = np.degrees(np.abs(np.arctan2(*(head - hip).T * [[1], [-1]])))  # off the picture's vertical
    assert lean[0] <= np.median(found) <= lean[1]


def test_archives_of_views(tmp_path):
    views = make_views((5,) * 20)
    views.save(tmp_path / "views.npz")
    splits = load_splits([tmp_path / "views.npz"], SMALL, ("train", "validation", "test"))
    train, validation, test = (subjects_of(splits[name]) for name in ("train", "validation", "test"))
    assert (len(train), len(validation), len(test)) == (16, 2, 2) and len(train | validation | test) == 20
    chosen = load_splits([tmp_path / "views.npz"], SourceOptions(validation_subjects=("clip3", "clip4")))
    assert subjects_of(chosen["validation"]) == {"clip3", "clip4"}
    assert not subjects_of(chosen["train"]) & {"clip3", "clip4"}
    only = load_splits([tmp_path / "views.npz"], SMALL, splits=("train",))
    assert set(only) == {"train"}


def test_another_skeleton(tmp_path):
    make_views((5,) * 6).save(tmp_path / "views.npz")
    splits = load_splits([tmp_path / "views.npz"], SourceOptions(skeleton="h36m16"))
    assert splits["train"][0].pose_3d.shape[1:] == (16, 3)
    splits["train"][0].save(tmp_path / "views16.npz")
    with pytest.raises(InputError, match=r"views16.npz: .*lacks Neck/Nose"):
        load_splits([tmp_path / "views16.npz"], SMALL, splits=("train",))


@pytest.mark.parametrize(
    ("paths", "options", "message"),
    [
        ([], SMALL, "no data: name at least one source"),
        (["gone.npz"], SMALL, "gone.npz: no such file"),
        (["gone"], SMALL, "gone: no such file or folder"),
        (["synthetic"], SourceOptions(synthetic_clips=3, synthetic_seconds=1.0, validation_subjects=("nobody",)),
         "synthetic: no clip for validation; choose --val_subjects otherwise"),
    ],
)  # fmt: skip
def test_impossible_sources_are_refused(paths, options, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        load_splits(paths, options)


def test_protocol():
    protocol = Protocol(validation=("v",), test=("t",))
    assert [protocol.split_of(s) for s in ("v", "t", "x")] == ["validation", "test", "train"]
    assert not set(OPEN_MOCAP_PROTOCOL.validation) & set(OPEN_MOCAP_PROTOCOL.test)


@pytest.mark.shared
@pytest.mark.slow  # filming the held-out clips of the whole archive takes some ten seconds
def test_open_motion_protocol_holds_out_whole_subjects(shared_data):
    splits = load_splits(
        [shared_data / "open_mocap_h36m17.npz"], SourceOptions(cameras=1), splits=("validation", "test")
    )
    assert subjects_of(splits["validation"]) == set(OPEN_MOCAP_PROTOCOL.validation)
    assert subjects_of(splits["test"]) == set(OPEN_MOCAP_PROTOCOL.test)


def make_motion(lengths, subjects):
    rng = np.random.default_rng(0)
    return Motion.from_clips(
        [rng.normal(size=(n, 17, 3)) for n in lengths],
        names=[f"clip{i}" for i in range(len(lengths))], subjects=subjects, fps=[50] * len(lengths),
    )  # fmt: skip


def test_a_single_clip_is_split_in_ten_pieces():
    motion = make_motion([50], ["anna"])
    parts = split_single_clip(motion)
    assert parts.num_clips == 10 and np.diff(parts.offsets).tolist() == [5] * 10
    np.testing.assert_array_equal(parts.positions, motion.positions)
    names = split_names(parts, None)
    assert [names.count(split) for split in ("train", "validation", "test")] == [8, 1, 1]
    assert split_single_clip(make_motion([50, 50], ["anna", "bert"])).num_clips == 2


def test_one_subject_is_split_by_clip():
    names = split_names(make_motion([3] * 10, ["anna"] * 10), None)
    assert [names.count(split) for split in ("train", "validation", "test")] == [8, 1, 1]


def test_two_subjects_have_no_test():
    names = split_names(make_motion([3, 3], ["anna", "bert"]), None)
    assert sorted(names) == ["train", "validation"]


def test_batches_of_several_sources():
    both = [make_views((9,), "a"), make_views((7,), "b", 1)]
    joined = make_batches(both, 5, 1, 4)
    assert isinstance(joined, WindowBatches) and joined.index.num_windows == 16
    mixed = make_batches([both[0], make_views((7,), "c", 2, ("3d",))], 5, 1, 4)
    assert isinstance(mixed, UnpairedBatches)
    assert [(set(p.arrays()), p.index.num_windows) for p in mixed.parts] == [({"pose_2d"}, 9), ({"pose_3d"}, 16)]
    flat = make_batches([make_views((9,), "a", 0, ("2d",))], 5, 1, 64)
    assert set(flat.batch(0, 0)) == {"pose_2d"} and flat.batch_size == 9


def test_mean_pose_over_all_sources():
    views = [make_views((9,), "a"), make_views((3,), "b", 1, ("2d",))]
    expected = np.concatenate([v.pose_2d for v in views]).mean(0)
    np.testing.assert_allclose(mean_of(views, "2d"), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(mean_of(views, "3d"), views[0].pose_3d.mean(0), rtol=1e-5, atol=1e-6)
    assert mean_of(views[1:], "3d") is None
