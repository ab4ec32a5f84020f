"""Variables of CDF files (NASA's Common Data Format), in which Human3.6M is released.

`cdflib` reads them. It believes what a file says of sizes, counts and places, so a damaged file may
keep it busy for ever or fill the memory; `_check` follows the same records first and refuses what
does not fit into the file.
"""

import os
import tempfile
import zlib
from pathlib import Path

import numpy as np

from mpm_keras.errors import InputError
from mpm_keras.files import UNREADABLE

_MAGIC = {b"\xcd\xf3\x00\x01": 8, b"\xcd\xf2\x60\x02": 4}  # version -> bytes of an offset
_PLAIN, _COMPRESSED = b"\x00\x00\xff\xff", b"\xcc\xcc\x00\x01"
_REALS = {21: 4, 44: 4, 22: 8, 45: 8}  # type -> bytes of a value
_VXR, _VVR, _CVVR, _CCR = 6, 7, 13, 10
_MAX_VARIABLES, _MAX_DIMENSIONS, _MAX_BYTES, _EXPANSION = 256, 10, 1 << 30, 50


def read_cdf(path, variable: str) -> np.ndarray:
    """A variable of real numbers, (records, ...) in the file's own precision.

    Raises:
        InputError: the file is missing, damaged, no CDF file, or has no such variable; names the file.
        ImportError: `cdflib` is not installed.
    """
    try:
        import cdflib
    except ImportError as error:
        raise ImportError("reading CDF files needs cdflib: pip install cdflib") from error
    try:
        if os.path.getsize(path) > _MAX_BYTES:
            raise InputError("too large for a CDF file of poses")
        data = Path(path).read_bytes()
        if data[4:8] == _COMPRESSED:
            data = _decompress(data)
        _check(data, variable)
        with tempfile.TemporaryDirectory() as folder:  # exactly what was checked
            checked = Path(folder) / "checked.cdf"
            checked.write_bytes(data)
            with cdflib.CDF(checked) as file:
                return np.array(file.varget(variable))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (*UNREADABLE, IndexError, AttributeError) as error:
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise InputError(f"{path}: not a readable CDF file ({reason})") from None


class _Records:
    """The records of a CDF file in memory: size, type, then their fields."""

    def __init__(self, data: bytes):
        if data[:4] not in _MAGIC:
            raise InputError("not a CDF file of version 2.6 or later")
        self.data, self.width = data, _MAGIC[data[:4]]

    def integer(self, at: int, size: int) -> int:
        if not 0 <= at <= len(self.data) - size:
            raise InputError(f"a truncated CDF file: no number at byte {at}")
        return int.from_bytes(self.data[at : at + size], "big", signed=True)

    def record(self, at: int, least: int) -> tuple[int, int]:
        """The type and the end of the record at a place, which has at least so many bytes."""
        size = self.integer(at, self.width)
        if size < least or size > len(self.data) - at:
            raise InputError(f"a damaged CDF file: a record of {size} bytes at byte {at}")
        return self.integer(at + self.width, 4), at + size


def _decompress(data: bytes) -> bytes:
    """A file that was compressed as a whole, as one that was not."""
    records = _Records(data)
    width = records.width
    kind, end = records.record(8, 2 * width + 16)
    parameters = records.integer(8 + width + 4, width)
    if kind != _CCR or records.integer(parameters + width + 4, 4) != 5:
        raise InputError("a CDF file with a compression other than gzip")
    return data[:4] + _PLAIN + _inflate(data[8 + 3 * width + 8 : end], 2 * len(data) * _EXPANSION)


def _inflate(data: bytes, most: int) -> bytes:
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 32)
    result = inflater.decompress(data, most + 1)
    if len(result) > most or not inflater.eof:
        raise InputError("a damaged CDF file: compressed data of another length than told")
    return result


def _check(data: bytes, variable: str) -> None:
    """Refuses a file whose variable does not lie in it whole. Offsets as in the CDF Internal Format Description."""
    records = _Records(data)
    width = records.width
    if data[4:8] != _PLAIN:
        raise InputError("not a CDF file")
    _, gdr = records.record(8, width + 28)
    records.record(gdr, 5 * width + 32)
    counts = gdr + width + 4 + 4 * width
    num_r, num_attributes, num_dimensions, num_z = (records.integer(counts + n, 4) for n in (0, 4, 12, 16))
    if not (0 <= num_r + num_z <= _MAX_VARIABLES and min(num_r, num_z) >= 0):
        raise InputError(f"a damaged CDF file, or none of poses: {num_r} and {num_z} variables")
    if num_attributes < 0 or not 0 <= num_dimensions <= _MAX_DIMENSIONS:
        raise InputError("a damaged CDF file: absurd counts")
    found = []
    for head, count in ((1, num_z), (0, num_r)):
        at = records.integer(gdr + width + 4 + head * width, width)
        for _ in range(count):
            name_at = at + (76 if width == 8 else 56) + width
            length = 256 if width == 8 else 64
            records.record(at, name_at - at + length)
            if data[name_at : name_at + length].replace(b"\0", b"").strip().lower() == variable.lower().encode():
                found.append(at)
            at = records.integer(at + width + 4, width)
    if len(found) != 1:
        raise InputError(f"expected one variable {variable!r} in it, found {len(found)}")
    _check_variable(records, found[0])


def _check_variable(records: _Records, at: int) -> None:
    """Refuses a variable whose values are not all in the file."""
    width = records.width
    kind, end = records.record(at, 0)
    field = at + 2 * width + 4  # after size, type and the next variable's place
    data_type, last = records.integer(field, 4), records.integer(field + 4, 4)
    index = records.integer(field + 8, width)
    flags, sparse = (records.integer(field + 8 + 2 * width + n, 4) for n in (0, 4))
    elements = records.integer(field + 8 + 2 * width + 20, 4)
    varies = flags & 1 or last == 0  # or else there is one record for all
    if kind != 8 or data_type not in _REALS or elements != 1 or sparse or not varies or last < 0:
        raise InputError("the variable does not hold plain real numbers")
    shape_at = field + 8 + 2 * width + 32 + width + (256 if width == 8 else 64)
    dimensions = records.integer(shape_at, 4)
    if not 0 <= dimensions <= _MAX_DIMENSIONS or shape_at + 4 + 8 * dimensions > end:
        raise InputError(f"a damaged CDF file: {dimensions} dimensions")
    values = 1
    for d in range(dimensions):
        size = records.integer(shape_at + 4 + 4 * d, 4)
        if size < 1 or records.integer(shape_at + 4 + 4 * (dimensions + d), 4) == 0:
            raise InputError("the variable has a dimension without values")
        values *= size
    wanted = values * (last + 1) * _REALS[data_type]
    if wanted > _EXPANSION * len(records.data):
        raise InputError(f"claims {wanted} bytes of values from a file of {len(records.data)}; refused")
    held = sum(_block_bytes(records, block, wanted) for block in _blocks(records, index))
    if held != wanted:
        raise InputError(f"a damaged CDF file: {held} bytes of values where there should be {wanted}")


def _blocks(records: _Records, index: int) -> list[int]:
    """Places of the blocks of values that an index and those below and after it list."""
    width, pending, seen, blocks = records.width, [index], set(), []
    while pending:
        at = pending.pop()
        kind, end = records.record(at, 2 * width + 12)
        if kind != _VXR or at in seen:
            blocks.append(at)
            if len(blocks) > len(records.data) // 16 or at in seen:
                raise InputError("a damaged CDF file: its index runs in circles")
            continue
        seen.add(at)
        entries, used = (records.integer(at + 2 * width + 4 + n, 4) for n in (0, 4))
        places = at + 2 * width + 12 + 8 * entries
        if not 0 <= used <= entries or places + width * entries > end:
            raise InputError("a damaged CDF file: an index longer than its record")
        following = records.integer(at + width + 4, width)
        pending += [following] if following else []
        pending += [records.integer(places + width * n, width) for n in reversed(range(used))]
    return blocks


def _block_bytes(records: _Records, at: int, most: int) -> int:
    """Bytes of values in a block, unpacked."""
    width = records.width
    kind, end = records.record(at, width + 4)
    if kind == _VVR:
        return end - at - width - 4
    if kind != _CVVR:
        raise InputError(f"a damaged CDF file: a block of kind {kind}")
    start = at + 2 * width + 8
    length = records.integer(at + width + 8, width)
    if not 0 <= length <= end - start:
        raise InputError("a damaged CDF file: a compressed block longer than its record")
    return len(_inflate(records.data[start : start + length], most))
