"""Archives and pickles of other people, read without running anything that they say.

`load_archive` reads `.npz`, `load_pickle` plain pickle files. What is in an archive is told from what
it claims before it is read: a small file that unpacks to much, a shape without the bytes for it, a
member that is no array are refused. Pickled objects go through `mpm_keras.data.pickles`.
"""

import math
import os
import struct
import tokenize
import zipfile

import numpy as np

from mpm_keras.data.pickles import loads
from mpm_keras.data.pickles.values import check_shape
from mpm_keras.errors import InputError
from mpm_keras.files import UNREADABLE

# A member of an archive and all of them may take so much, unpacked, plus EXPANSION times the file's size.
ALLOWANCE, EXPANSION = 32 << 20, 50
MAX_MEMBERS = 4096
_MAX_DIRECTORY = 2 << 20
_CHUNK = 1 << 20
_DAMAGED = (*UNREADABLE, IndexError, struct.error, tokenize.TokenError)

__all__ = ["load_archive", "load_pickle", "loads"]


def load_pickle(path):
    """The value of a pickle file: dicts, lists, tuples, sets, strings, numbers and NumPy arrays.

    Arrays are read-only and may share memory.

    Raises:
        InputError: the file is missing, is damaged, or names anything else; one line that names the
            file and, for a refused name, the name.
    """
    try:
        with open(path, "rb") as file:
            return loads(file.read())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def load_archive(path, names=None) -> dict:
    """The arrays of an `.npz` file, those of objects too, as `numpy.load` would give them.

    Args:
        path: the file, compressed or not, written by NumPy 1 or 2.
        names: members to read, without `.npy`; all by default. The others are not unpacked.

    Returns:
        {name: array}. An array of objects holds dicts, lists, strings, numbers and arrays; a pickled
        dictionary is an array of shape (), and `.item()` is the dictionary. Arrays may be read-only
        and share memory.

    Raises:
        InputError: the file is missing, damaged or no `.npz`; a name is not in it; a member is no
            array of numbers, text or admitted objects; or it would unpack to far more than its size.
            One line that names the file.
    """
    try:
        with open(path, "rb") as file:
            _check_directory(file)
            with zipfile.ZipFile(file) as archive:
                members = _members(archive, os.fstat(file.fileno()).st_size)
                wanted = list(members) if names is None else list(names)
                if missing := [name for name in wanted if name not in members]:
                    raise InputError(f"array {missing[0]!r} is missing; found {', '.join(members)[:200] or 'none'}")
                return {name: _read_member(archive, members[name]) for name in wanted}
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except _DAMAGED as error:
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise InputError(f"{path}: not a complete .npz archive ({reason})") from None


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


def _read_member(archive, info):
    with archive.open(info) as member:
        try:
            return _read_array(member, info.file_size)
        except InputError as error:
            raise InputError(f"{info.filename[:80]}: {error}") from None


def _read_array(file, size: int) -> np.ndarray:
    """One `.npy` stream of `size` bytes. Memory: the array, or the pickle of an array of objects."""
    version = np.lib.format.read_magic(file)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise InputError(f"version {version} of the .npy format is not read")
    shape, fortran, dtype = readers[version](file)
    rest = size - file.tell()
    if dtype.hasobject:
        return _read_objects(file, rest, shape)
    if dtype.kind not in "biufcSU" or dtype.shape or not dtype.itemsize:
        raise InputError(f"expected numbers or text, found dtype {str(dtype)[:80]}")
    if check_shape(shape, dtype.itemsize) != rest:
        raise InputError(f"shape {shape} and dtype {dtype} do not make the {rest} bytes that there are")
    flat = np.empty(math.prod(shape), dtype)
    _fill(file, memoryview(flat.view(np.uint8)) if flat.size else memoryview(b""))
    return flat.reshape(shape, order="F" if fortran else "C")


def _read_objects(file, size: int, shape) -> np.ndarray:
    pickled = bytearray(size)
    _fill(file, memoryview(pickled))
    array = loads(pickled)
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
