"""The project's own archive: aligned, mappable, checked; of motion and of views."""

import dataclasses
import os
import struct
import zipfile

import numpy as np
import pytest
from fuzzing import fuzz
from pose_views import make_views

from mpm_keras.data.archive import MOTION, VIEWS, archive_kind
from mpm_keras.data.cameras import film
from mpm_keras.data.motion import Motion
from mpm_keras.data.views import Views
from mpm_keras.errors import InputError
from mpm_keras.skeletons import H36M_16, H36M_17

pytestmark = pytest.mark.numpy_only


def make_motion(lengths=(4, 9), **changes):
    rng = np.random.default_rng(3)
    clips = [rng.normal(size=(n, 17, 3)).astype(np.float32) for n in lengths]
    count = len(lengths)
    fields = dict(names=[f"ü/{i}" for i in range(count)], subjects=["anna"] * count, fps=[50.0] * count)
    fields |= dict(licenses=["CC BY 3.0"] * count, provenance=[f"file {i}" for i in range(count)], dataset="walks")
    return Motion.from_clips(clips, **(fields | changes))


def members(path):
    """{member: where its data begin}, from the local headers."""
    found, raw = {}, path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            header = struct.unpack("<4s5H3L2H", raw[info.header_offset : info.header_offset + 30])
            start = info.header_offset + 30 + header[9] + header[10]
            assert info.compress_type == zipfile.ZIP_STORED
            found[info.filename] = start + 10 + struct.unpack("<H", raw[start + 8 : start + 10])[0]
    return found


@pytest.mark.parametrize("mapped", [False, True])
def test_motion_comes_back_bit_for_bit(tmp_path, mapped):
    motion = make_motion()
    motion.save(tmp_path / "a.npz")
    loaded = Motion.load(tmp_path / "a.npz", mapped=mapped)
    for field in dataclasses.fields(Motion):
        np.testing.assert_array_equal(getattr(loaded, field.name), getattr(motion, field.name))
    assert loaded.positions.dtype == np.float32 and loaded.skeleton is H36M_17
    loaded.save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_arrays_begin_at_multiples_of_64_bytes_and_numpy_reads_them(tmp_path):
    views = make_views((30, 40), confidence=True)
    views.save(tmp_path / "a.npz")
    assert all(start % 64 == 0 for start in members(tmp_path / "a.npz").values())
    with np.load(tmp_path / "a.npz", allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["pose_3d"], views.pose_3d)
        assert str(archive["format"]) == "mpm_keras views" and int(archive["version"]) == 2
        assert all(archive[name].dtype != object for name in archive.files)


def test_mapped_arrays_are_the_file(tmp_path):
    views = make_views((30, 40))
    views.save(tmp_path / "a.npz")
    loaded = Views.load(tmp_path / "a.npz", mapped=True)
    np.testing.assert_array_equal(loaded.pose_2d, views.pose_2d)
    assert not loaded.pose_2d.flags.writeable and loaded.pose_2d.flags.aligned
    base = loaded.pose_2d
    while base.base is not None and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap)


def test_compressed_archives_are_read_in_place_of_mapping(tmp_path):
    views = make_views((30, 40))
    views.save(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as archive:
        np.savez_compressed(tmp_path / "b.npz", **archive)
    np.testing.assert_array_equal(Views.load(tmp_path / "b.npz", mapped=True).pose_3d, views.pose_3d)


@pytest.mark.parametrize("mapped", [False, True])
def test_one_wrong_bit_is_noticed(tmp_path, mapped):
    path = tmp_path / "a.npz"
    make_motion().save(path)
    whole, start = path.read_bytes(), members(path)["positions.npy"]
    for place in (start, start + 400, start + 13 * 17 * 12 - 1):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(InputError, match="checksum|CRC"):
            Motion.load(path, mapped=mapped)


def test_kinds_are_told_apart(tmp_path):
    make_motion().save(tmp_path / "m.npz")
    make_views().save(tmp_path / "v.npz")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    kinds = [archive_kind(tmp_path / name) for name in ("m.npz", "v.npz", "other.npz", "none.npz")]
    assert kinds == [MOTION, VIEWS, None, None]
    with pytest.raises(InputError, match=r"m\.npz: not an archive of views: its format is 'mpm_keras motion'"):
        Views.load(tmp_path / "m.npz")
    with pytest.raises(InputError, match=r"none\.npz: no such file"):
        Motion.load(tmp_path / "none.npz")


BROKEN = {
    "names: 'x' stands for more than one clip": dict(names=("x", "x")),
    "provenance: expected 2 entries, found 1": dict(provenance=("x",)),
    "fps: expected positive": dict(fps=np.array([50, np.nan], np.float32)),
    r"positions: expected float32 \(13, 16, 3\)": dict(skeleton=H36M_16),
    "offsets: expected to start at 0": dict(offsets=np.array([0, 13, 13])),
}


@pytest.mark.parametrize("message", BROKEN)
def test_motion_that_does_not_fit_is_not_written(tmp_path, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(make_motion(), **BROKEN[message]).save(tmp_path / "a.npz")
    assert not list(tmp_path.iterdir())


def test_motion_with_nan_is_refused_by_clip_and_frame(tmp_path):
    motion = make_motion()
    motion.positions[6, 3, 1] = np.nan
    with pytest.raises(InputError, match="positions: 1 frames hold NaN or infinity, the first is clip 'ü/1', frame 2"):
        motion.save(tmp_path / "a.npz")


def test_filmed_clips_keep_licence_and_provenance():
    motion = make_motion()
    motion.positions[:] = np.abs(motion.positions)
    views = film(motion, 2)
    assert views.licenses == ("CC BY 3.0",) * 4 and views.dataset == "walks"
    assert views.provenance == ("file 0", "file 0", "file 1", "file 1")
    assert motion.select([1]).provenance == ("file 1",) and motion.select([1]).dataset == "walks"


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("kind", [Motion, Views])
def test_damaged_archives_end_in_one_line(tmp_path, kind, mapped):
    path, cases = tmp_path / "a.npz", int(os.environ.get("FUZZ_CASES", "2000")) // 2
    (make_motion((2, 3)) if kind is Motion else make_views((2, 3))).save(path)
    assert fuzz(lambda p: kind.load(p, mapped=mapped), path, cases, seed=mapped) > cases / 2
