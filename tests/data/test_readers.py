"""The single entry: kinds of paths, subjects, skeletons beside motions, frame rates, bad files."""

import os

import numpy as np
import pytest
from test_acclaim import amc_text, asf_text
from test_bvh import bvh_text
from test_open_mocap import small_archive

from mpm_keras.data.bvh import read_bvh
from mpm_keras.data.readers import find_skeleton, read_motion, subject_of
from mpm_keras.errors import InputError

pytestmark = pytest.mark.numpy_only


def put(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_bvh_file_is_resampled(tmp_path):
    path = put(tmp_path / "07_01.bvh", bvh_text([{"root": (i, 95, 0)} for i in range(31)], fps=30))
    motion = read_motion(path)
    assert (motion.names, motion.subjects, motion.fps.tolist()) == (("07_01",), ("cmu07",), [50])
    assert motion.positions.shape == (51, 17, 3)  # both ends of one second
    np.testing.assert_allclose(motion.positions[:, 0, 1], np.linspace(0, 0.3, 51), atol=1e-4)
    assert read_motion(path, 30).positions.shape == (31, 17, 3)
    np.testing.assert_array_equal(read_motion(path, 30).positions, read_bvh(path).positions)


def test_single_frame_is_a_clip(tmp_path):
    assert read_motion(put(tmp_path / "pose.bvh", bvh_text())).positions.shape == (1, 17, 3)


@pytest.mark.parametrize(
    ("amc", "others", "asf"),
    [
        ("07_01.amc", ["08.asf", "07.asf"], "07.asf"),
        ("07_01.amc", ["07.asf", "07_01.asf"], "07_01.asf"),
        ("cmu_07_01.amc", ["cmu_07.asf", "cmu.asf"], "cmu_07.asf"),
        ("HDM_bd_01-01_02_120.amc", ["HDM_bd.asf", "HDM_bk.asf"], "HDM_bd.asf"),
        ("walk.amc", ["person.ASF"], "person.ASF"),
    ],
)
def test_skeleton_beside_an_amc_file(tmp_path, amc, others, asf):
    for name in (amc, *others):
        put(tmp_path / name, "")
    assert find_skeleton(tmp_path / amc) == tmp_path / asf


def test_amc_file(tmp_path):
    put(tmp_path / "35.asf", asf_text())
    motion = read_motion(put(tmp_path / "35_17.amc", amc_text([{}] * 13)))
    assert (motion.names, motion.subjects, len(motion.positions)) == (("35_17",), ("cmu35",), 6)
    put(tmp_path / "36.asf", asf_text())
    with pytest.raises(InputError, match=r"walk\.amc: expected its skeleton walk\.asf .*found 2 of other names"):
        read_motion(put(tmp_path / "walk.amc", amc_text()))


@pytest.mark.parametrize(
    ("path", "subject"),
    [
        ("tree/07_01.bvh", "cmu07"),
        ("tree/x/cmu_131_01.amc", "cmu131"),
        ("tree/CMU_5_3_poses.bvh", "cmu05"),
        ("tree/male1/B3_Walk.bvh", "male1"),
        ("tree/a/b/walk_1.bvh", "b"),
        ("tree/walk_1.bvh", "walk_1"),
    ],
)
def test_subjects(path, subject):
    assert subject_of(path, "tree") == subject


def test_folder_is_read_in_the_order_of_its_paths(tmp_path):
    put(tmp_path / "b" / "walk.bvh", bvh_text([{}] * 4))
    put(tmp_path / "a" / "07_02.bvh", bvh_text([{}] * 4))
    put(tmp_path / "a" / "07_02.amc", amc_text([{}] * 13))
    put(tmp_path / "a" / "07.asf", asf_text())
    put(tmp_path / "c.bvh", bvh_text([{}] * 4, fps=50))
    put(tmp_path / "a" / "notes.txt", "not a motion")
    motion = read_motion(tmp_path)
    assert motion.names == ("a/07_02.amc", "a/07_02.bvh", "b/walk", "c")
    assert motion.subjects == ("cmu07", "cmu07", "b", "c")
    assert motion.fps.tolist() == [50] * 4
    assert np.diff(motion.offsets).tolist() == [6, 6, 6, 4]
    np.testing.assert_array_equal(read_motion(str(tmp_path)).positions, motion.positions)


def test_bad_file_in_a_folder(tmp_path):
    put(tmp_path / "good.bvh", bvh_text())
    put(tmp_path / "bad.bvh", "HIERARCHY\n")
    with pytest.raises(InputError, match=r"bad\.bvh: "):
        read_motion(tmp_path)
    with pytest.warns(UserWarning, match=r"left out: .*bad\.bvh: "):
        assert read_motion(tmp_path, on_error="skip").names == ("good",)
    (tmp_path / "good.bvh").unlink()
    with pytest.warns(UserWarning), pytest.raises(InputError, match="none of the 1 motion files"):
        read_motion(tmp_path, on_error="skip")


def test_archive_of_another_rate(tmp_path):
    arrays = small_archive()
    arrays["fps"][:] = 100, 50
    path = tmp_path / "a.npz"
    np.savez(path, **arrays)
    motion = read_motion(path)
    assert motion.offsets.tolist() == [0, 2, 4] and motion.fps.tolist() == [50, 50]
    assert motion.licenses == ("free", "CC BY 3.0")
    np.testing.assert_allclose(motion.clip(0)[:, 0], arrays["root"][[0, 2]], atol=1e-5)


def test_what_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="no such file or folder"):
        read_motion(tmp_path / "none.bvh")
    with pytest.raises(InputError, match=r"walk\.c3d: unknown kind of file"):
        read_motion(put(tmp_path / "walk.c3d", ""))
    with pytest.raises(InputError, match="found none"):
        read_motion(tmp_path)
    with pytest.raises(ValueError, match="on_error"):
        read_motion(tmp_path, on_error="ignore")
    with pytest.raises(ValueError, match="target_fps"):
        read_motion(tmp_path, 0)


@pytest.mark.shared
def test_real_samples(shared_data):
    motion = read_motion(shared_data / "raw_samples")
    assert motion.names == ("accad_male1_B3_Walk", "cmu_07_01.amc", "cmu_07_01.bvh", "cmu_131_01", "cmu_35_17")
    assert motion.subjects == ("accad_male1_B3_Walk", "cmu07", "cmu07", "cmu131", "cmu35")
    assert np.diff(motion.offsets).tolist() == [304, 132, 132, 414, 70]
    assert os.fspath(shared_data) not in " ".join(motion.names)
