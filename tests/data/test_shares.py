"""Shares of the training clips: exact, nested, of whole clips, and with epochs as long as ever."""

import dataclasses

import numpy as np
import pytest
from pose_views import make_views

from mpm_keras.data.shares import take_share
from mpm_keras.data.sources import SourceOptions, load_splits, make_batches

pytestmark = pytest.mark.numpy_only


def two_cameras(clips=20, frames=50):
    """Views of `clips` clips by two cameras; joint 1 holds the number of the frame."""
    views = make_views((frames,) * 2 * clips)
    return dataclasses.replace(views, names=tuple(f"clip{i // 2}@cam{i % 2}" for i in range(2 * clips)))


def frames_of(views) -> set:
    return {int(number) for number in views.pose_2d[:, 1, 0]}


@pytest.mark.parametrize("share", [0.01, 0.03, 0.1, 0.3, 0.72])
def test_a_share_is_exact_and_of_whole_clips(share):
    views = two_cameras()
    taken = take_share(views, share)
    assert taken.num_frames == round(share * views.num_frames)
    assert (taken.lengths < 50).sum() <= 2  # both cameras of the clip that is cut
    cameras = [{name[-4:] for name in taken.names if name.startswith(f"{clip}@")} for clip in clips_of(taken)]
    assert all(found == {"cam0", "cam1"} for found in cameras)
    np.testing.assert_allclose(taken.weights, 1 / share, rtol=1e-6)


def clips_of(views) -> set:
    return {name.partition("@")[0] for name in views.names}


def test_a_smaller_share_lies_within_a_larger_one():
    views = two_cameras()
    found = [frames_of(take_share(views, share)) for share in (0.01, 0.03, 0.1, 0.3, 1)]
    for smaller, larger in zip(found, found[1:], strict=False):
        assert smaller < larger
    renamed = dataclasses.replace(views, names=tuple(f"other/{name}" for name in views.names))
    assert frames_of(take_share(renamed, 0.3)) != found[3]  # the names decide, and nothing else


def test_all_is_all_and_too_little_is_refused():
    views = two_cameras(2)
    assert take_share(views, 1) is views
    with pytest.raises(ValueError, match="expected a share from 0.001 to 1, found 0"):
        take_share(views, 0)


def test_epochs_stay_as_long_and_validation_as_it_is(tmp_path):
    two_cameras().save(tmp_path / "views.npz")
    every, tenth = (
        load_splits([tmp_path / "views.npz"], SourceOptions(train_share=share)) for share in (1.0, 0.1)
    )  # fmt: skip
    counts = [make_batches(splits["train"], 9, 1, 8, step=5).num_windows for splits in (every, tenth)]
    assert counts[0] == counts[1] > 300
    assert tenth["train"][0].num_frames * 10 == every["train"][0].num_frames
    assert tenth["validation"][0].names == every["validation"][0].names
