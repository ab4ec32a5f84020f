"""`.npz` and `.npy` files, read by what is really in them: sizes are compared before anything is unpacked."""

import contextlib
import functools
import math
import os
import struct
import tokenize
import warnings
import zipfile
import zlib

import numpy as np

from mpm_keras.errors import InputError
from mpm_keras.files import UNREADABLE, check_plain_file

# All members of an archive may take so much, unpacked, plus EXPANSION times the file's size.
ALLOWANCE, EXPANSION = 32 << 20, 50
MAX_MEMBERS = 4096
_MAX_DIRECTORY = 2 << 20
_CHUNK = 1 << 20
_MAX_EMPTY_DIMENSION = 1 << 16
_DAMAGED = (*UNREADABLE, IndexError, struct.error, tokenize.TokenError)


def read_npz(path, names=None, *, objects=None, mapped=()) -> dict:
    """The arrays of an `.npz` file, compressed or not.

    Args:
        path: the file.
        names: members to read, without `.npy`; all by default. The others are not unpacked.
        objects: bytes of a pickle -> its array of objects; without it, such arrays are refused.
        mapped: members to map into memory instead of reading them, where they are not compressed.
            Their checksum is compared all the same.

    Returns:
        {name: array}; mapped ones are read-only.

    Raises:
        InputError: the file is missing, damaged or no `.npz`; a name is not in it; a member is no
            array of numbers or text (or admitted objects); or it would unpack to far more than its
            size. One line that names the file.
    """
    with refusal(path, "a complete .npz archive"), open(path, "rb") as file:
        _check_directory(file)
        with zipfile.ZipFile(file) as archive:
            members = _members(archive, os.fstat(file.fileno()).st_size)
            wanted = list(members) if names is None else list(names)
            if missing := [name for name in wanted if name not in members]:
                raise InputError(f"array {missing[0]!r} is missing; found {', '.join(members)[:200] or 'none'}")
            return {name: _read_member(archive, members[name], objects, name in mapped) for name in wanted}


def read_npy(path) -> np.ndarray:
    """The array of an `.npy` file.

    Raises `InputError`, one line that names the file, where it is missing, damaged or holds anything but
    numbers or text.
    """
    with refusal(path, "a complete .npy file"), open(path, "rb") as file:
        return _read_array(file, os.fstat(file.fileno()).st_size)


@contextlib.contextmanager
def refusal(path, expected):
    """Errors of the block, which reads a plain file, as an `InputError` of one line that begins with the file."""
    try:
        check_plain_file(path)
        yield
    except InputError as error:
        raise InputError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from None
    except _DAMAGED as error:
        reason = " ".join(str(error).replace(str(path), "the file").split())[:160] or type(error).__name__
        raise InputError(f"{path}: not {expected} ({reason})") from None


def _check_directory(file) -> None:
    """Refuses a file that is no zip archive or whose directory alone would fill the memory."""
    size = file.seek(0, os.SEEK_END)
    start = file.seek(max(0, size - (1 << 16) - 100))
    tail = file.read()
    end = tail.rfind(b"PK\5\6")
    if end < 0 or len(tail) - end < 22:
        raise InputError("not a complete .npz archive")
    directory = struct.unpack_from("<L", tail, end + 12)[0]
    if tail[max(0, end - 20) :].startswith(b"PK\6\7"):  # beyond 4 GiB the sizes stand in a record before this one
        file.seek(max(0, start + end - 76))
        record = file.read(56)
        directory = struct.unpack_from("<Q", record, 40)[0] if record.startswith(b"PK\6\6") else size
    if directory > _MAX_DIRECTORY:
        raise InputError(f"an archive whose directory has {directory} bytes is refused")
    file.seek(0)


def _members(archive, size: int) -> dict:
    """{name: member} of an archive of a size in bytes, after checking what they claim."""
    infos = archive.infolist()
    if len(infos) > MAX_MEMBERS:
        raise InputError(f"{len(infos)} members; at most {MAX_MEMBERS} are read")
    claimed, limit = sum(info.file_size for info in infos), ALLOWANCE + EXPANSION * size
    if claimed > limit:
        raise InputError(f"claims to unpack to {claimed} bytes from a file of {size}; refused")
    for info in infos:
        if not info.filename.endswith(".npy") or info.flag_bits & 1:
            raise InputError(f"{info.filename[:80]!r} is not a plain array")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InputError(f"{info.filename[:80]!r} is compressed in another way than NumPy does")
    members = {info.filename[:-4]: info for info in infos}
    if len(members) < len(infos):
        raise InputError("two members have the same name")
    return members


def _read_member(archive, info, objects, mapped: bool) -> np.ndarray:
    with archive.open(info) as member:
        stored = mapped and info.compress_type == zipfile.ZIP_STORED
        try:
            map_bytes = functools.partial(_map_member, archive.fp, info) if stored else None
            return _read_array(member, info.file_size, objects, map_bytes)
        except InputError as error:
            raise InputError(f"{info.filename[:80]}: {error}") from None


def _read_array(file, size: int, objects=None, map_bytes=None) -> np.ndarray:
    """The array of an open `.npy` file of a size; `map_bytes(count)` gives its last bytes without reading them."""
    shape, fortran, dtype = _read_header(file)
    rest = size - file.tell()
    if dtype.hasobject:
        return _read_objects(file, rest, shape, objects)
    if dtype.kind not in "biufcSU" or dtype.shape or not dtype.itemsize:
        raise InputError(f"expected numbers or text, found dtype {str(dtype)[:80]}")
    if check_shape(shape, dtype.itemsize) != rest:
        raise InputError(f"shape {shape} and dtype {dtype} do not make the {rest} bytes that there are")
    if map_bytes and rest:
        flat = map_bytes(rest).view(dtype)
    else:
        flat = np.empty(math.prod(shape), dtype)
        _fill(file, memoryview(flat.view(np.uint8)) if flat.size else memoryview(b""))
    return flat.reshape(shape, order="F" if fortran else "C")


def _read_header(file) -> tuple[tuple, bool, np.dtype]:
    version = np.lib.format.read_magic(file)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise InputError(f"version {version} of the .npy format is not read")
    with warnings.catch_warnings():  # of Python's parser, about headers that make no sense
        warnings.simplefilter("ignore")
        return readers[version](file)


def _map_member(file, info, size: int) -> np.ndarray:
    """(size,) bytes at the end of an uncompressed member, mapped, after comparing the checksum of all of it."""
    file.seek(info.header_offset)
    header = struct.unpack("<4s5H3L2H", file.read(30))
    start = info.header_offset + 30 + header[9] + header[10]
    if start + info.file_size > os.fstat(file.fileno()).st_size:
        raise InputError("truncated")
    member = np.asarray(np.memmap(file, np.uint8, "r", start, (info.file_size,)))
    checksum = 0
    for at in range(0, len(member), _CHUNK):
        checksum = zlib.crc32(member[at : at + _CHUNK], checksum)
    if checksum != info.CRC:
        raise InputError("the checksum differs: the file is damaged")
    return member[len(member) - size :]


def _read_objects(file, size: int, shape, objects) -> np.ndarray:
    if objects is None:
        raise InputError("an array of pickled objects is refused; expected numbers or text")
    pickled = bytearray(size)
    _fill(file, memoryview(pickled))
    array = objects(pickled)
    if not isinstance(array, np.ndarray) or array.dtype != object or array.shape != shape:
        raise InputError(f"expected a pickled array of {shape} objects, found {type(array).__name__}")
    return array


def _fill(file, target: memoryview) -> None:
    """Reads exactly as much as the target takes, and to the end: the checksum is compared there."""
    at = 0
    while at < len(target):
        count = file.readinto(target[at : at + _CHUNK])
        if not count:
            raise InputError(f"truncated: {len(target) - at} bytes are missing")
        at += count
    if file.read(1):
        raise InputError("bytes after the end of the array")


def check_shape(shape, itemsize: int) -> int:
    """Bytes of an array, by integers that do not overflow. Raises `InputError` for an absurd shape."""
    if len(shape) > 32 or any(n < 0 for n in shape):
        raise InputError(f"absurd array shape {str(tuple(shape))[:120]}")
    size = math.prod(shape) * itemsize
    if not size and any(n > _MAX_EMPTY_DIMENSION for n in shape):
        raise InputError(f"absurd array shape {str(tuple(shape))[:120]} of an array without contents")
    return size
