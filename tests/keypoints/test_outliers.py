"""Joints that leap away and back are hidden; those that move are not."""

import dataclasses

import numpy as np
import pytest
from walkers import tracks

from mpm_keras.keypoints.outliers import drop_outliers
from mpm_keras.keypoints.readers import read_keypoints
from mpm_keras.keypoints.tracking import find_tracks
from mpm_keras.skeletons import COCO_17

pytestmark = pytest.mark.numpy_only
KINDS = (["walk"], ["run"], ["punch"], ["kick", "throw"], ["dance", "jump"])


def height(track):
    return np.nanmax(track.points[..., 1]) - np.nanmin(track.points[..., 1])


@pytest.mark.parametrize("fps", [10, 30, 60, 240])
def test_clean_motion_is_left_alone(fps):
    for kind in KINDS:
        for track in tracks(2, 5.0, fps, activities=kind):
            assert drop_outliers(track, fps=fps) is track


@pytest.mark.parametrize("fps, frames", [(10, 1), (30, 1), (30, 3), (60, 4), (240, 6)])
def test_leaps_and_only_they_are_hidden(fps, frames):
    track = tracks(1, 4.0, fps, activities=["walk"])[0]
    wrist, start = COCO_17.index("left_wrist"), len(track.points) // 2
    points = track.points.copy()
    points[start : start + frames, wrist] += 1.2 * height(track)
    found = drop_outliers(dataclasses.replace(track, points=points), fps=fps)
    hidden = np.zeros(track.scores.shape, bool)
    hidden[start : start + frames, wrist] = True
    np.testing.assert_array_equal(np.isnan(found.points).all(axis=-1), hidden)
    np.testing.assert_array_equal(found.scores, np.where(hidden, 0, track.scores))
    assert found.notes == (f"{frames} joints that leapt away and back within 0.1 s are taken as not found",)
    assert found.points.dtype == found.scores.dtype == np.float32


def test_what_stays_away_or_takes_the_body_along_is_no_leap():
    track = tracks(1, 4.0, activities=["walk"])[0]
    for change in (np.s_[60:90, 9], np.s_[60:, 9], np.s_[60:61, :]):
        points = track.points.copy()
        points[change] += 1.2 * height(track)
        moved = dataclasses.replace(track, points=points)
        assert drop_outliers(moved, fps=30) is moved


def test_a_joint_found_once_and_a_track_of_one_frame():
    track = tracks(1, 1.0)[0]
    points, scores = np.full_like(track.points, np.nan), np.zeros_like(track.scores)
    points[3], scores[3] = track.points[3], 1.0
    once = dataclasses.replace(track, points=points, scores=scores)
    assert drop_outliers(once) is once


@pytest.mark.shared
def test_real_tracks_lose_few_joints(shared_data):
    folder = shared_data / "keypoints"
    for file, fps in (("sports2d_demo/mmpose/demo.json", 30), ("pose2sim_cam01/mmpose/cam01.json", 60)):
        for track in find_tracks(read_keypoints(folder / file)):
            lost = (track.scores > 0).sum() - (drop_outliers(track, fps=fps).scores > 0).sum()
            assert lost <= 0.01 * (track.scores > 0).sum()
