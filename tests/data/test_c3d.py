"""The C3D reader on files of the format library's making, and on ones put together byte by byte."""

import struct

import numpy as np
import pytest
from fuzzing import CASES, fuzz

from mpm_keras.data.c3d import read_c3d
from mpm_keras.errors import InputError

pytestmark = pytest.mark.numpy_only
ORDERS = {84: "<", 85: "<", 86: ">"}


def dec(value):
    """A float as DEC machines store it: a quarter's exponent more, and halves exchanged."""
    low, high = struct.unpack("<HH", struct.pack("<f", value * 4))
    return struct.pack("<HH", high, low)


def c3d_bytes(positions, labels, *, fps=100.0, unit="mm", processor=84, integers=False, analog=3, seen=None):
    """A C3D file as the manual describes it: header, one block or more of parameters, data."""
    order, (frames, count, _) = ORDERS[processor], positions.shape

    def word(*values):
        return struct.pack(f"{order}{len(values)}H", *(v % 65536 for v in values))

    def real(value):
        return dec(value) if processor == 85 else struct.pack(f"{order}f", value)

    def entry(name, group, body):
        return bytes([len(name), group % 256]) + name.encode() + word(2 + len(body)) + body

    width = max(map(len, labels))
    texts = "".join(label.ljust(width) for label in labels).encode()
    scale = 0.1 if integers else -1.0
    parts = entry("POINT", -1, b"\0")
    parts += entry("LABELS", 1, struct.pack("bBBB", -1, 2, width, count) + texts + b"\0")
    parts += entry("UNITS", 1, struct.pack("bBB", -1, 1, len(unit)) + unit.encode() + b"\0")
    parts += entry("RATE", 1, struct.pack("bB", 4, 0) + real(fps) + b"\0")
    parts += entry("SCALE", 1, struct.pack("bB", 4, 0) + real(scale) + b"\0")
    blocks = -(-(len(parts) + 6) // 512)
    section = (bytes([1, 0x50, blocks, processor]) + parts).ljust(512 * blocks, b"\0")
    header = bytes([2, 0x50]) + word(count, analog, 1, frames, 10) + real(scale) + word(2 + blocks, 1) + real(fps)
    body = b""
    for f in range(frames):
        for k in range(count):
            residual = 0 if seen is None or seen[f, k] else -1
            if integers:
                body += word(*(round(v / scale) for v in positions[f, k]), residual)
            else:
                body += b"".join(map(real, (*positions[f, k], residual)))
        body += word(*[7] * analog) if integers else real(7.0) * analog
    return header.ljust(512, b"\0") + section + body


def positions(frames=5, count=4):
    return np.random.default_rng(0).normal(0, 500, (frames, count, 3)).round(1)


@pytest.mark.parametrize("processor", ORDERS)
@pytest.mark.parametrize("integers", [False, True])
def test_points(tmp_path, processor, integers):
    values, seen = positions(), np.ones((5, 4), bool)
    seen[2, 1] = False
    labels = ["LASI", "RASI", "knee left", "K"]
    path = tmp_path / "a.c3d"
    path.write_bytes(c3d_bytes(values, labels, processor=processor, integers=integers, seen=seen))
    found = read_c3d(path)
    assert (found.labels, found.fps, found.unit) == (tuple(labels), 100.0, "mm")
    np.testing.assert_array_equal(np.isnan(found.positions).any(axis=-1), ~seen)
    np.testing.assert_allclose(found.positions[seen], values[seen], atol=1e-4)


def test_files_of_the_format_library(tmp_path):
    ezc3d = pytest.importorskip("ezc3d", reason="another implementation to compare with")
    values = positions(20, 17)
    file = ezc3d.c3d()
    file["parameters"]["POINT"]["RATE"]["value"] = [120.0]
    file["parameters"]["POINT"]["UNITS"]["value"] = ["m"]
    file["parameters"]["POINT"]["LABELS"]["value"] = [f"joint{i}" for i in range(17)]
    file["data"]["points"] = np.concatenate([values.transpose(2, 1, 0), np.ones((1, 17, 20))])
    file["data"]["meta_points"]["residuals"] = np.zeros((1, 17, 20))
    file.write(str(tmp_path / "a.c3d"))
    found = read_c3d(tmp_path / "a.c3d")
    assert (found.labels[16], found.fps, found.unit) == ("joint16", 120.0, "m")
    np.testing.assert_allclose(found.positions, values, atol=1e-3)


def test_what_is_wrong_is_named(tmp_path):
    good, path = c3d_bytes(positions(), ["a", "b", "c", "d"]), tmp_path / "a.c3d"
    for data, message in (
        (good[:-200], "truncated: 5 frames of 4 points"),
        (good[:900], "not a C3D file"),
        (b"x" * 2000, "not a C3D file"),
        (good.replace(b"LABELS", b"LABULS"), "4 points and 0 labels"),
        (good[:515] + b"\x50" + good[516:], "processor 80"),
    ):
        path.write_bytes(data)
        with pytest.raises(InputError, match=message) as raised:
            read_c3d(path)
        assert str(path) in str(raised.value)


@pytest.mark.parametrize("integers", [False, True])
def test_damaged_files(tmp_path, integers):
    path = tmp_path / "a.c3d"
    path.write_bytes(c3d_bytes(positions(20, 17), [f"joint{i}" for i in range(17)], integers=integers))
    assert fuzz(read_c3d, path) > CASES / 8
