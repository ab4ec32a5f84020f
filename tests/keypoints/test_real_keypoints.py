"""Real keypoints of two videos, one detector's numbers in the layouts of several tools."""

import numpy as np
import pytest

from mpm_keras.errors import InputError
from mpm_keras.keypoints.readers import read_keypoints
from mpm_keras.skeletons import BODY_25, COCO_17, MEDIAPIPE_33

pytestmark = [pytest.mark.numpy_only, pytest.mark.shared]

VIDEOS = {"pose2sim_cam01": ("cam01", (1080, 1920), 60.0, 100), "sports2d_demo": ("demo", (1768, 994), 30.0, 230)}
MAN = {*range(10, 169), 189, 192, *range(194, 199), *range(201, 227)}
WOMAN = set(range(76, 199))
NOBODY = {*range(10), 199, 200, 227, 228, 229}


@pytest.fixture(params=VIDEOS)
def video(request, shared_data):
    return shared_data / "keypoints" / request.param, *VIDEOS[request.param]


def test_the_same_numbers_in_every_layout(video):
    folder, name, size, _, frames = video
    mmpose = read_keypoints(folder / "mmpose" / f"{name}.json")
    assert mmpose.layout == "mmpose" and mmpose.num_frames == frames and mmpose.image_size is None
    for file, layout in (
        (f"mmpose/results_{name}.json", "mmpose"), ("alphapose/alphapose-results.json", "alphapose"),
        (f"detectron2/{name}.mp4.npz", "detectron2"),
    ):  # fmt: skip
        found = read_keypoints(folder / file)
        assert found.layout == layout and found.skeleton is COCO_17
        np.testing.assert_array_equal(found.frame, mmpose.frame)
        np.testing.assert_allclose(found.points, mmpose.points, atol=1e-3)
        np.testing.assert_allclose(found.scores, mmpose.scores, atol=1e-5)
        assert found.num_frames == (frames if layout != "alphapose" else mmpose.frame[-1] + 1)
        assert found.image_size == (size if layout == "detectron2" else None)
    openpose = read_keypoints(folder / "openpose")
    assert openpose.skeleton is BODY_25 and openpose.num_frames == frames
    np.testing.assert_array_equal(openpose.frame, mmpose.frame)
    shared = [joint for joint in COCO_17.joints if joint in BODY_25.joints]
    a = openpose.points[:, [BODY_25.index(joint) for joint in shared]]
    b = mmpose.points[:, [COCO_17.index(joint) for joint in shared]]
    np.testing.assert_allclose(a, np.where(np.isnan(a), np.nan, b), atol=0.02)
    for toe in ("left_small_toe", "right_small_toe"):
        assert np.isnan(openpose.points[:, BODY_25.index(toe)]).all()


def test_mediapipe_in_pixels_and_in_shares(video):
    folder, name, size, fps, frames = video
    pixels = read_keypoints(folder / "mediapipe" / f"{name}_landmarks.csv")
    shares = read_keypoints(folder / "mediapipe" / f"{name}_landmarks.json")
    assert pixels.fps == shares.fps == fps
    assert pixels.image_size is None and shares.image_size == size and shares.num_frames == frames
    assert pixels.skeleton is shares.skeleton is MEDIAPIPE_33
    np.testing.assert_array_equal(pixels.frame, shares.frame)
    np.testing.assert_allclose(pixels.points, shares.points, atol=2e-3)
    np.testing.assert_allclose(pixels.scores, shares.scores, atol=1e-5)


def test_who_is_in_which_frame_of_the_demo(shared_data):
    folder = shared_data / "keypoints" / "sports2d_demo"
    found = read_keypoints(folder / "alphapose")
    assert set(found.frame[found.track_ids == 1].tolist()) == MAN
    assert set(found.frame[found.track_ids == 2].tolist()) == WOMAN
    found = read_keypoints(folder / "openpose")
    assert set(range(230)) - set(found.frame.tolist()) == NOBODY
    found = read_keypoints(folder / "mediapipe" / "demo_landmarks.json")
    assert set(range(230)) - set(found.frame.tolist()) == {0, 1, 2, 169, 201, 227, 228, 229}


def test_two_videos_in_one_file(shared_data):
    file = shared_data / "keypoints" / "videopose3d" / "data_2d_custom_demos.npz"
    with pytest.raises(InputError, match=r"one of: cam01\.mp4, demo\.mp4"):
        read_keypoints(file)
    found = read_keypoints(file, video="cam01.mp4")
    mmpose = read_keypoints(shared_data / "keypoints" / "pose2sim_cam01" / "mmpose" / "cam01.json")
    assert found.image_size == (1080, 1920) and found.layout == "videopose3d" and (found.scores == 1).all()
    np.testing.assert_allclose(found.points, mmpose.points, atol=1e-3)
