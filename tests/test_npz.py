"""`.npz` files of others: sizes are compared before anything is unpacked."""

import io
import os
import pickle
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from fuzzing import fuzz
from pickled_values import VALUE, assert_same

from mpm_keras.data.safe_pickle import load_archive
from mpm_keras.errors import InputError

pytestmark = pytest.mark.numpy_only

CASES = int(os.environ.get("FUZZ_CASES", "2000"))


@pytest.mark.parametrize("compressed", [False, True])
def test_archives_come_back(tmp_path, compressed):
    path = tmp_path / "a.npz"
    arrays = {
        "plain": np.arange(12.0).reshape(3, 4),
        "turned": np.arange(12.0).reshape(3, 4).T,
        "empty": np.zeros((0, 3)),
    }
    arrays |= {"word": np.array("x"), "flags": np.array([True]), "none": np.float32(3)}
    (np.savez_compressed if compressed else np.savez)(path, table=np.array(VALUE, dtype=object), **arrays)
    found = load_archive(path)
    assert_same(found["table"].item(), VALUE)
    for name, array in arrays.items():
        assert_same(found[name], np.asarray(array))
    assert list(load_archive(path, ["word"])) == ["word"]
    with pytest.raises(InputError, match=r"array 'gone' is missing; found table, plain"):
        load_archive(path, ["gone"])


def zipped(path, name="a.npy", data=b"", **changes):
    with zipfile.ZipFile(path, "w", changes.pop("compression", zipfile.ZIP_DEFLATED)) as archive:
        archive.writestr(name, data)
    return path


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def header(text, version=b"\x01\x00"):
    return b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text.encode()


def test_zip_bombs_are_refused_before_they_are_unpacked(tmp_path):
    path = tmp_path / "a.npz"
    zipped(path, data=npy(np.zeros(10_000_000)))  # 80 MB in 0.1 MB
    assert path.stat().st_size < 1e5
    tracemalloc.start()
    with pytest.raises(InputError, match="claims to unpack to 80000128 bytes"):
        load_archive(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1e6


def test_members_that_lie_about_their_size_are_cut_off(tmp_path):
    path = zipped(tmp_path / "a.npz", data=npy(np.zeros(3_000_000)))
    raw = bytearray(path.read_bytes())
    at = raw.rindex(b"PK\1\2") + 24
    raw[at : at + 4] = struct.pack("<I", 128 + 80)
    path.write_bytes(raw)
    tracemalloc.start()
    with pytest.raises(InputError):
        load_archive(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2e6


ODD_MEMBERS = {
    "is not a plain array": dict(name="a.txt", data=b"hello"),
    "in another way than NumPy": dict(data=npy(np.zeros(3)), compression=zipfile.ZIP_LZMA),
    "do not make the 24 bytes": dict(data=npy(np.zeros(3)).replace(b"(3,)", b"(9,)")),
    "absurd array shape (-3,)": dict(
        data=header("{'descr': '<f8', 'fortran_order': False, 'shape': (-3,), }\n") + bytes(24)
    ),
    "shape (99999999999999,": dict(
        data=header("{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999,)}\n")
    ),
    "found dtype [('a'": dict(
        data=header("{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,)}\n") + bytes(8)
    ),
    "found dtype datetime64": dict(
        data=header("{'descr': '<M8[s]', 'fortran_order': False, 'shape': (1,)}\n") + bytes(8)
    ),
    "expected numbers or text": dict(
        data=header("{'descr': '|S0', 'fortran_order': False, 'shape': (1000000000000,)}\n")
    ),
    "version (3, 0)": dict(data=b"\x93NUMPY\x03\x00\x00\x00\x00\x00"),
    "expected a pickled array": dict(
        data=header("{'descr': '|O', 'fortran_order': False, 'shape': ()}\n") + pickle.dumps({"a": 1})
    ),
}


@pytest.mark.parametrize("message", ODD_MEMBERS)
def test_members_that_are_no_arrays_are_refused(tmp_path, message):
    path = zipped(tmp_path / "a.npz", **ODD_MEMBERS[message])
    with pytest.raises(InputError) as caught:
        load_archive(path)
    assert message in str(caught.value) and str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_too_many_members_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        for i in range(5000):
            archive.writestr(f"{i}.npy", b"")
    with pytest.raises(InputError, match="5000 members"):
        load_archive(tmp_path / "a.npz")


def test_members_of_one_name_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("a.npy", npy(np.zeros(3)))
        archive.writestr("a.npy", npy(np.ones(3)))
    with pytest.raises(InputError, match="the same name"):
        load_archive(tmp_path / "a.npz")


@pytest.mark.parametrize("content", [b"", b"PK", b"hello" * 100, b"PK\5\6" + b"\xff" * 18])
def test_other_files_are_no_archives(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.npz: (not a complete|an archive whose directory)"):
        load_archive(tmp_path / "a.npz")


def test_damaged_archives_end_in_one_line(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, table=np.array({"S1": VALUE["S1"]}, dtype=object), plain=np.arange(50.0))
    assert fuzz(load_archive, path, CASES) > CASES / 2


def test_damaged_compressed_archives_end_in_one_line(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, table=np.array({"S1": VALUE["S1"]}, dtype=object), plain=np.arange(50.0))
    assert fuzz(load_archive, path, CASES, seed=1) > CASES / 2
