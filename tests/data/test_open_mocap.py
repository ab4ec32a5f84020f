"""The archive reader: a small archive written here, every way it can be broken, and the real one."""

import io

import numpy as np
import pytest

from mpm_keras.data.open_mocap import is_open_mocap, read_open_mocap
from mpm_keras.errors import InputError
from mpm_keras.skeletons import H36M_17

pytestmark = pytest.mark.numpy_only


def small_archive() -> dict:
    """Two clips of 3 and 2 frames."""
    rng = np.random.default_rng(0)
    relative = rng.normal(size=(5, 17, 3)).astype(np.float16)
    relative[:, 0] = 0
    return {
        "root": rng.normal(size=(5, 3)).astype(np.float32),
        "relative": relative,
        "sequence_start": np.array([0, 3, 5]),
        "sequence_name": np.array(["cmu/01/01_01", "accad/male1/walk"]),
        "subject": np.array(["cmu01", "accad_male1"]),
        "fps": np.array([50, 50], np.float32),
        "source": np.array(["a", "b"]),
        "license": np.array(["free", "CC BY 3.0"]),
        "skeleton": np.array(["own", "own"]),
        "description": np.array(["walk", ""]),
    }


def test_reads_every_field(tmp_path):
    arrays = small_archive()
    path = tmp_path / "a.npz"
    np.savez(path, **arrays)
    motion = read_open_mocap(path)
    np.testing.assert_array_equal(motion.positions, arrays["root"][:, None] + arrays["relative"].astype(np.float32))
    assert motion.positions.dtype == np.float32
    assert motion.offsets.tolist() == [0, 3, 5]
    assert motion.names == ("cmu/01/01_01", "accad/male1/walk")
    assert motion.subjects == ("cmu01", "accad_male1")
    assert motion.actions == ("walk", "")
    assert motion.licenses == ("free", "CC BY 3.0")
    assert motion.provenance == ("a", "b") and motion.dataset == "open_mocap"
    assert motion.fps.tolist() == [50, 50]
    assert motion.skeleton is H36M_17
    assert is_open_mocap(path)


def nan_in_second_clip(arrays):
    arrays["relative"][4, 2, 1] = np.nan


BROKEN = {
    "lacks the arrays fps": lambda a: a.pop("fps"),
    r"relative of shape \(frames, 17, 3\), found \(5, 16, 3\)": lambda a: a.update(relative=a["relative"][:, :16]),
    r"root of shape \(5, 3\)": lambda a: a.update(root=a["root"][:4]),
    "must ascend from 0 to 5": lambda a: a.update(sequence_start=np.array([0, 4, 3])),
    "must ascend from 0 to 5, the number": lambda a: a.update(sequence_start=np.array([0, 3, 6])),
    "integer type": lambda a: a.update(sequence_start=np.array([0.0, 3.0, 5.0])),
    r"subject of shape \(2,\)": lambda a: a.update(subject=a["subject"][:1]),
    "subject to hold text": lambda a: a.update(subject=np.array([1, 2])),
    "source to hold text": lambda a: a.update(source=np.array([1, 2])),
    "fps must be positive": lambda a: a.update(fps=np.array([50, 0])),
    "real numbers": lambda a: a.update(root=a["root"].astype(complex)),
    "all be different": lambda a: a.update(sequence_name=np.array(["x", "x"])),
    "clip accad/male1/walk: 1 of 2 frames hold NaN": nan_in_second_clip,
    "pickle|Object arrays": lambda a: a.update(license=np.array([{}, {}], object)),
}


@pytest.mark.parametrize("message", BROKEN)
def test_broken_archive_is_one_line_naming_the_file(tmp_path, message):
    arrays = small_archive()
    BROKEN[message](arrays)
    path = tmp_path / "broken.npz"
    np.savez(path, **arrays)
    with pytest.raises(InputError, match=message) as caught:
        read_open_mocap(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


@pytest.mark.parametrize("compressed", [False, True])
def test_truncated_or_damaged_archive_never_fails_otherwise(tmp_path, compressed):
    buffer = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(buffer, **small_archive())
    whole, path = buffer.getvalue(), tmp_path / "cut.npz"
    rng = np.random.default_rng(1)
    for trial in range(200):
        if trial % 2:
            content = whole[: int(rng.integers(len(whole)))]
        else:
            content = bytearray(whole)
            content[int(rng.integers(len(whole)))] ^= 1 << int(rng.integers(8))
        path.write_bytes(content)
        try:
            read_open_mocap(path)
        except InputError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("content", [b"", b"hello", bytes(range(256)) * 8])
def test_not_an_archive(tmp_path, content):
    path = tmp_path / "x.npz"
    path.write_bytes(content)
    assert not is_open_mocap(path)
    with pytest.raises(InputError, match=r"not an \.npz"):
        read_open_mocap(path)


def test_other_archives_and_missing_files_are_told_apart(tmp_path):
    path = tmp_path / "views.npz"
    np.savez(path, positions_2d=np.zeros(3))
    assert not is_open_mocap(path) and not is_open_mocap(tmp_path / "none.npz")
    with pytest.raises(InputError, match="no such file"):
        read_open_mocap(tmp_path / "none.npz")


@pytest.mark.shared
def test_real_archive(shared_data):
    motion = read_open_mocap(shared_data / "open_mocap_h36m17.npz")
    assert motion.positions.shape == (311762, 17, 3) and motion.num_clips == 835
    assert len(set(motion.subjects)) == 37
    assert (motion.fps == 50).all() and all(motion.licenses)
    starts = motion.positions[motion.offsets[:-1], 0]
    assert np.abs(starts[:, :2]).max() == 0 and (starts[:, 2] > 0).all()
