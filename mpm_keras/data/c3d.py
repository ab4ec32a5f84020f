"""Reader of the points of C3D files (www.c3d.org, format manual): labels, positions, rate and unit.

Of our own because files from outside must not crash or hang the process, which the C++ library for this
format (ezc3d 1.7) does on damaged ones. Intel, DEC and MIPS byte orders, integer and float data.
"""

import dataclasses
import math
from pathlib import Path

import numpy as np

from mpm_keras.data.foreign import named
from mpm_keras.errors import InputError

_BLOCK = 512
_KEY = 0x50
_INTEL, _DEC, _MIPS = 84, 85, 86
_TEXT, _BYTE, _INTEGER, _FLOAT = -1, 1, 2, 4


@dataclasses.dataclass(frozen=True, eq=False)
class Points:
    """Points of a recording.

    Attributes:
        labels: K names.
        positions: (F, K, 3) in `unit`, NaN where a point was not seen.
        fps: frames a second.
        unit: as the file has it, such as "mm"; "" where it has none.
    """

    labels: tuple[str, ...]
    positions: np.ndarray
    fps: float
    unit: str


def read_c3d(path) -> Points:
    """Reads the points of a C3D file. Raises `InputError`, one line that names the file, for anything else."""
    with named(path, "a C3D file", (OSError,)):
        data = Path(path).read_bytes()
        if len(data) < 2 * _BLOCK or data[1] != _KEY or not 1 <= data[0] * _BLOCK <= len(data):
            raise InputError("not a C3D file")
        section = (data[0] - 1) * _BLOCK
        processor = data[section + 3]
        if processor not in (_INTEL, _DEC, _MIPS):
            raise InputError(f"not a C3D file: processor {processor} is none of {_INTEL}, {_DEC} and {_MIPS}")
        return _read(data, _Numbers(data, processor), _parameters(data, section, processor))


class _Numbers:
    """Integers and floats of a file in its processor's order."""

    def __init__(self, data: bytes, processor: int):
        self.data, self.order, self.is_dec = data, ">" if processor == _MIPS else "<", processor == _DEC

    def words(self, start, count) -> np.ndarray:
        """(count,) int16. Raises `InputError` beyond the end of the file."""
        self._check(start, 2 * count)
        return np.frombuffer(self.data, f"{self.order}i2", count, start)

    def floats(self, start, count) -> np.ndarray:
        """(count,) float32."""
        self._check(start, 4 * count)
        if not self.is_dec:
            return np.frombuffer(self.data, f"{self.order}f4", count, start)
        halves = np.frombuffer(self.data, "<u2", 2 * count, start).reshape(-1, 2)
        values = np.ascontiguousarray(halves[:, ::-1]).view("<f4")[:, 0]  # its exponent counts quarters
        with np.errstate(invalid="ignore"):
            return values / np.float32(4)

    def _check(self, start, size):
        if start < 0 or size < 0 or start + size > len(self.data):
            raise InputError(f"truncated: expected {size} bytes at byte {start} of {len(self.data)}")


def _parameters(data: bytes, start: int, processor: int) -> dict:
    """{"GROUP:NAME": (type, dimensions, start of the values)} of the parameter section."""
    numbers, groups, found = _Numbers(data, processor), {}, []
    at = start + 4
    while at + 2 <= len(data) and data[at]:
        length, group = abs(_signed(data[at])), _signed(data[at + 1])
        name = data[at + 2 : at + 2 + length].decode("latin-1").upper().strip()
        after = at + 2 + length
        step = int(numbers.words(after, 1)[0])
        if group < 0:
            groups[-group] = name
        else:
            numbers.words(after + 2, 1)  # type and number of dimensions are there
            kind, rank = _signed(data[after + 2]), data[after + 3]
            numbers._check(after + 4, rank)
            found.append((group, name, (kind, tuple(data[after + 4 : after + 4 + rank]), after + 4 + rank)))
        if step <= 0:  # the last one
            break
        at = after + step
    return {f"{groups.get(group, '')}:{name}": entry for group, name, entry in found}


def _signed(byte: int) -> int:
    return byte - 256 if byte > 127 else byte


def _texts(numbers: _Numbers, parameters, key) -> list[str]:
    """The strings of a parameter, none if it is missing."""
    kind, dimensions, start = parameters.get(key, (_TEXT, (0, 0), 0))
    if kind != _TEXT or len(dimensions) not in (1, 2):
        raise InputError(f"parameter {key}: expected text")
    length, count = (*dimensions, 1)[:2]
    numbers._check(start, length * count)
    pieces = [numbers.data[start + i * length : start + (i + 1) * length] for i in range(count)]
    return [piece.decode("latin-1").strip(" \0") for piece in pieces]


def _number(numbers: _Numbers, parameters, key) -> float | None:
    kind, dimensions, start = parameters.get(key, (0, (), 0))
    if math.prod(dimensions) != 1 or kind not in (_INTEGER, _FLOAT):
        return None
    return float(numbers.floats(start, 1)[0] if kind == _FLOAT else numbers.words(start, 1)[0])


def _read(data, numbers: _Numbers, parameters) -> Points:
    count, analog, first, last = (int(n) % 65536 for n in numbers.words(2, 4))
    block = int(numbers.words(16, 1)[0]) % 65536
    scale, fps = (float(numbers.floats(start, 1)[0]) for start in (12, 20))
    scale = _number(numbers, parameters, "POINT:SCALE") or scale
    fps = _number(numbers, parameters, "POINT:RATE") or fps
    if not (math.isfinite(scale) and 1 <= fps <= 10000):
        raise InputError(f"expected a rate of 1 to 10000 frames a second, found {fps:g} (scale {scale:g})")
    labels, more = [], 1
    while (key := "POINT:LABELS" + (str(more) if more > 1 else "")) in parameters:
        labels += _texts(numbers, parameters, key)
        more += 1
    labels = labels[:count]
    if not count or not block or len(labels) < count:
        raise InputError(f"expected points with labels, found {count} points and {len(labels)} labels")
    width, start = (4 if scale < 0 else 2), (block - 1) * _BLOCK
    per_frame = 4 * count + analog
    frames = (last - first + 1) % 65536
    there = max(0, len(data) - start) // (width * per_frame)
    if last == 65535:  # the header counts no further: the rest of the file, less the filling of its last block
        frames = there
    if not 0 < frames <= there:
        raise InputError(f"truncated: {frames} frames of {count} points are announced, {there} are there")
    read = numbers.floats if width == 4 else numbers.words
    rows = read(start, frames * per_frame).reshape(frames, per_frame)[:, : 4 * count].reshape(frames, count, 4)
    with np.errstate(invalid="ignore"):  # signalling NaNs in damaged files
        positions = rows[..., :3].astype(np.float64) * (1.0 if width == 4 else abs(scale))
        positions[rows[..., 3] < 0] = np.nan  # a residual of -1: not seen
    units = _texts(numbers, parameters, "POINT:UNITS")
    return Points(tuple(labels), positions, fps, units[0] if units else "")
