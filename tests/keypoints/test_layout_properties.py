"""One video in every layout that tells all of it: the same people come back, whoever is there and whatever is lost."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from detector_files import WRITERS
from hypothesis import given, settings
from hypothesis import strategies as st

from mpm_keras.keypoints.readers import read_keypoints

pytestmark = pytest.mark.numpy_only
LAYOUTS = ("mmpose", "mmpose demo", "alphapose", "openpose", "ultralytics")


@st.composite
def videos(draw):
    """(number of people in each frame, seed, share of joints that are lost); somebody is there."""
    counts = draw(st.lists(st.integers(0, 2), min_size=1, max_size=6))
    counts[draw(st.integers(0, len(counts) - 1))] = draw(st.integers(1, 2))
    return counts, draw(st.integers(0, 2**32 - 1)), draw(st.sampled_from((0.0, 0.3)))


def made(counts, seed, lost, joints):
    """[frame][person] (K, 3) of x, y, score; a lost joint is (0, 0) with score 0, as tools write it."""
    rng = np.random.default_rng(seed)
    video = []
    for count in counts:
        people = np.concatenate([rng.uniform(20, 400, (count, joints, 2)), rng.uniform(0.1, 1, (count, joints, 1))], 2)
        people[:, 1:][rng.random((count, joints - 1)) < lost] = 0.0  # the first joint stays
        video.append(list(people))
    return video


@settings(max_examples=30, deadline=None, derandomize=True, database=None)
@given(st.sampled_from(LAYOUTS), videos())
def test_people_come_back(layout, video):
    write, joints, name = WRITERS[layout]
    frames = made(*video, joints)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        write(path, frames)
        found = read_keypoints(path)
    expected = np.concatenate([frame for frame in map(np.array, frames) if len(frame)])
    np.testing.assert_array_equal(found.frame, np.repeat(np.arange(len(frames)), [len(f) for f in frames]))
    seen = expected[..., 2] > 0
    np.testing.assert_array_equal(found.scores > 0, seen)
    np.testing.assert_allclose(found.scores, expected[..., 2], atol=1e-6)
    np.testing.assert_allclose(found.points[seen], expected[seen][:, :2], atol=1e-3)
    assert np.isnan(found.points[~seen]).all()
