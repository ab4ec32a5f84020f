"""The sample that the documentation uses: made by its script, and read as what it is."""

import json
from pathlib import Path

import numpy as np
import pytest
from walkers import make_samples

from mpm_keras.keypoints.exchanges import mend_exchanges
from mpm_keras.keypoints.outliers import drop_outliers
from mpm_keras.keypoints.readers import read_keypoints
from mpm_keras.keypoints.tracking import find_tracks
from mpm_keras.skeletons import COCO_17

pytestmark = pytest.mark.numpy_only
SAMPLE = Path(make_samples.__file__).with_name("walk_mmpose.json")


def test_the_sample_is_what_its_script_makes():
    made = make_samples.as_mmpose(*make_samples.walker())
    for frame, kept in zip(made, json.loads(SAMPLE.read_text()), strict=True):
        assert frame["frame_id"] == kept["frame_id"]
        a, b = frame["instances"][0], kept["instances"][0]
        # Rounded to 0.01 pixels, where another machine's arithmetic may differ in the last digit.
        np.testing.assert_allclose(a["keypoints"], b["keypoints"], atol=0.02)
        np.testing.assert_allclose(a["keypoint_scores"], b["keypoint_scores"], atol=0.002)


def test_the_sample_is_one_walker_with_an_arm_hidden_for_a_while():
    found = read_keypoints(SAMPLE)
    assert found.layout == "mmpose" and found.skeleton is COCO_17 and found.num_frames == 90
    (track,) = find_tracks(found)
    assert mend_exchanges(track, fps=30) is track and drop_outliers(track, fps=30) is track
    assert (track.points >= 0).all() and (track.points <= [1280, 720]).all()
    unsure = track.scores < 0.5
    assert set(np.flatnonzero(unsure.any(axis=0))) == {COCO_17.index("left_elbow"), COCO_17.index("left_wrist")}
    assert SAMPLE.stat().st_size < 200_000
