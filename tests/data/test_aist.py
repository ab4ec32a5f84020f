"""The AIST++ reader on files in its layout, with numbers of our own."""

import pickle
import warnings

import numpy as np
import pytest
from fuzzing import CASES, fuzz

from mpm_keras.data.aist import read, read_clip
from mpm_keras.errors import InputError
from mpm_keras.skeletons import COCO_17, H36M_17

pytestmark = pytest.mark.numpy_only
NAME = "gBR_sBM_cAll_d04_mBR0_ch01"
# A standing dancer, centimetres, y up, facing +z, left towards +x; x is mirrored for the right side.
STANDING = {
    "nose": (0, 160, 10), "eye": (3, 164, 8), "ear": (7, 162, 0), "shoulder": (18, 142, 0), "elbow": (22, 113, 0),
    "wrist": (24, 88, 3), "hip": (10, 92, 0), "knee": (11, 50, 2), "ankle": (11, 9, 0),
}  # fmt: skip


def dancer(frames=61):
    """(frames, 17, 3) centimetres: the dancer glides to its left, 1 cm a frame."""
    body = []
    for joint in COCO_17.joints:
        x, y, z = STANDING[joint.removeprefix("left_").removeprefix("right_")]
        body.append((-x if joint.startswith("right_") else x, y, z))
    return np.array(body, float) + np.arange(frames)[:, None, None] * [1.0, 0, 0]


def write(path, frames=61, protocol=4, **changes):
    path.parent.mkdir(parents=True, exist_ok=True)
    contents = {"keypoints3d": dancer(frames), "keypoints3d_optim": dancer(frames), **changes}
    path.write_bytes(pickle.dumps({k: v for k, v in contents.items() if v is not None}, protocol=protocol))
    return path


def test_a_dancer(tmp_path):
    motion = read(write(tmp_path / f"{NAME}.pkl"), fps=60)
    assert (motion.names, motion.subjects, motion.actions) == ((NAME,), ("aist_d04",), ("break",))
    clip, j = motion.clip(0), H36M_17.index
    assert clip.shape == (61, 17, 3)
    # y up became z up, and what was +x (the dancer's left) is y now; the hip of the first frame is the origin.
    np.testing.assert_allclose(clip[0, j("Hip"), :2], 0, atol=1e-6)
    np.testing.assert_allclose(clip[0, j("LHip")] - clip[0, j("RHip")], [0, 0.2, 0], atol=1e-6)
    np.testing.assert_allclose(clip[-1, j("Hip")] - clip[0, j("Hip")], [0, 0.6, 0], atol=1e-6)
    np.testing.assert_allclose(clip[:, j("LFoot"), 2], 0.08, atol=0.02)  # ankles are some 8 cm over the floor
    np.testing.assert_allclose(clip[0, j("Thorax")] - clip[0, j("Hip")], [0, 0, 0.5], atol=1e-6)
    np.testing.assert_allclose(clip[0, j("Neck/Nose")] - clip[0, j("Hip")], [0.1, 0, 0.68], atol=1e-6)


def test_resampling(tmp_path):
    motion = read(write(tmp_path / "a.pkl"), fps=30)
    assert motion.fps.tolist() == [30] and motion.clip(0).shape == (31, 17, 3) and motion.subjects == ("a",)


def test_which_keypoints(tmp_path):
    path = write(tmp_path / "a.pkl", keypoints3d=dancer() * 1.05)
    knee, foot = H36M_17.index("LKnee"), H36M_17.index("LFoot")
    shank = [np.linalg.norm(c[0, knee] - c[0, foot]) for c in (read_clip(path), read_clip(path, "keypoints3d"))]
    np.testing.assert_allclose(shank[1] / shank[0], 1.05, rtol=1e-5)


def test_a_folder_with_bad_and_ignored_files(tmp_path):
    folder = tmp_path / "keypoints3d"
    for dancer_number in (4, 5, 6):
        write(folder / f"gJB_sFM_cAll_d{dancer_number:02d}_mJB0_ch01.pkl")
    (tmp_path / "ignore_list.txt").write_text("gJB_sFM_cAll_d05_mJB0_ch01\n")
    write(folder / "nan.pkl", keypoints3d_optim=np.full((9, 17, 3), np.nan))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        motion = read(folder)
    assert motion.subjects == ("aist_d04", "aist_d06") and motion.actions == ("ballet jazz",) * 2
    messages = [str(w.message) for w in caught]
    assert len(messages) == 2 and "9 rows hold NaN" in messages[0] and messages[1] == "1 of 3 files were left out"


class Evil:
    ran = False

    def __reduce__(self):
        return (setattr, (Evil, "ran", True))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"keypoints3d_optim": None}, "with keypoints3d_optim"),
        ({"keypoints3d_optim": np.zeros((5, 16, 3))}, "expected shape"),
        ({"keypoints3d_optim": dancer() / 100}, "expected centimetres"),
        ({"other": Evil()}, "setattr"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, changes, message):
    path = write(tmp_path / "a.pkl", **changes)
    with pytest.raises(InputError, match=message) as raised:
        read(path)
    assert str(path) in str(raised.value) and not Evil.ran


def test_damaged_files(tmp_path):
    assert fuzz(read_clip, write(tmp_path / "a.pkl", frames=8)) > CASES / 8
