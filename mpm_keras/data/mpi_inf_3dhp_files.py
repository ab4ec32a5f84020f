"""The file formats of MPI-INF-3DHP: MATLAB 5, MATLAB 7.3 (HDF5), and its camera calibration."""

import io
import itertools
import math
import os
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np

from mpm_keras.data.foreign import named
from mpm_keras.errors import InputError
from mpm_keras.files import UNREADABLE

# A file may unpack to so much, plus EXPANSION times its size.
ALLOWANCE, EXPANSION = 32 << 20, 50
_DAMAGED = (*UNREADABLE, IndexError, AttributeError, struct.error, UnicodeError, ArithmeticError)
_MATRIX, _COMPRESSED = 14, 15  # miMATRIX, miCOMPRESSED
_CELL, _NUMBERS = 1, range(6, 16)  # classes of arrays
_FILTERS = {1, 2, 3}  # deflate, shuffle, checksum: what MATLAB writes


def read_mat5(path, names) -> dict[str, list]:
    """{name: arrays of its cells, in order} of cell variables of a MATLAB 5 file.

    Raises:
        InputError: the file is damaged, would unpack to far more than its size, lacks a variable, or
            one of them is no cell array.
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError, MatReadWarning

    with named(path, "a MATLAB 5 file", (*_DAMAGED, MatReadError)), warnings.catch_warnings():
        warnings.simplefilter("error", MatReadWarning)
        data = Path(path).read_bytes()
        _check_mat5(data, set(names))
        variables = loadmat(io.BytesIO(data), variable_names=list(names))
        for name in names:
            cell = variables.get(name)
            if not isinstance(cell, np.ndarray) or cell.dtype != object:
                found = "is missing" if cell is None else "is no cell array"
                raise InputError(f"the variable {name!r} {found}; expected one cell per camera")
        return {name: list(variables[name].reshape(-1)) for name in names}


def _check_mat5(data: bytes, names):
    """Refuses a MATLAB 5 file that unpacks to too much, or whose variables of some names are not cells of numbers."""
    if len(data) < 136 or data[126:128] not in (b"IM", b"MI"):
        raise InputError("not a MATLAB 5 file")
    order, limit, unpacked = "<" if data[126:128] == b"IM" else ">", ALLOWANCE + EXPANSION * len(data), 0
    for kind, start, end in _elements(data, order, 128, len(data)):
        if kind != _COMPRESSED:
            _check_variable(data, order, kind, start, end, names)
            continue
        stream = zlib.decompressobj()
        element = stream.decompress(data[start:end], limit - unpacked + 1)
        unpacked += len(element)
        if unpacked > limit:
            raise InputError(f"unpacks to over {limit} bytes from {len(data)}; refused")
        if not stream.eof:
            raise InputError(f"truncated: the compressed element at byte {start - 8} does not end")
        for inner in _elements(element, order, 0, len(element)):
            _check_variable(element, order, *inner, names)


def _elements(data: bytes, order: str, at: int, end: int):
    """(type, start, end) of the elements between two places."""
    while at + 8 <= end:
        kind, count = struct.unpack_from(f"{order}II", data, at)
        small = kind >> 16  # bytes of data in the place of their number
        start, kind, count = (at + 4, kind & 0xFFFF, small) if small else (at + 8, kind, count)
        if count > (4 if small else end - start):
            raise InputError(f"truncated: an element of {count} bytes begins at byte {at} of {end}")
        yield kind, start, start + count
        at = at + 8 if small else start + count + (-count % 8 if kind != _COMPRESSED else 0)


def _check_variable(data, order, kind, start, end, names):
    """Refuses a variable that claims more cells than it has bytes for: SciPy makes them all before it reads one."""
    parts = _elements(data, order, start, end)
    header = [data[begin:stop] for _, begin, stop in itertools.islice(parts, 3)]
    if kind != _MATRIX or len(header) < 3 or header[2].decode("latin-1") not in names:
        return
    if _class_of(order, header[0]) != _CELL:
        return  # the caller says so
    if math.prod(_integers(order, header[1])) * 8 > end - start:
        raise InputError(f"claims {_integers(order, header[1])} cells in {end - start} bytes; refused")
    for _, begin, stop in parts:
        flags = next(_elements(data, order, begin, stop), None)
        if flags and _class_of(order, data[flags[1] : flags[2]]) not in _NUMBERS:
            raise InputError("expected cells of numbers")


def _integers(order, data: bytes) -> tuple[int, ...]:
    return struct.unpack(f"{order}{len(data) // 4}i", data[: len(data) // 4 * 4])


def _class_of(order, flags: bytes) -> int:
    return _integers(order, flags)[0] & 0xFF if len(flags) >= 4 else 0


def read_hdf5(path, names) -> dict[str, np.ndarray]:
    """{name: array} of datasets of numbers at the top of an HDF5 file.

    Raises:
        InputError: the file is damaged, lacks a dataset, or one of them is a link to another file, is
            packed in an unusual way or claims far more than the file's size.
    """
    import h5py

    with named(path, "a MATLAB 7.3 (HDF5) file", _DAMAGED), h5py.File(path, "r") as file:
        limit = ALLOWANCE + EXPANSION * os.path.getsize(path)
        return {name: _read_dataset(h5py, file, name, limit) for name in names}


def _read_dataset(h5py, file, name, limit) -> np.ndarray:
    if not isinstance(file.get(name, getlink=True), h5py.HardLink) or not isinstance(file[name], h5py.Dataset):
        raise InputError(f"the array {name!r} is missing, or lies in another file")
    dataset = file[name]
    plan = dataset.id.get_create_plist()
    filters = {plan.get_filter(i)[0] for i in range(plan.get_nfilters())}
    if dataset.external or dataset.is_virtual or not filters <= _FILTERS:
        raise InputError(f"the array {name!r} is stored in an unusual way; refused")
    if dataset.dtype.kind not in "fiub":
        raise InputError(f"{name}: expected numbers, found {dataset.dtype}")
    for shape in (dataset.shape, dataset.chunks or ()):
        if math.prod(shape) * dataset.dtype.itemsize > limit:
            raise InputError(f"{name}: shape {shape} is far more than the file's size")
    return dataset[()]


def read_calibration(path) -> dict[int, np.ndarray]:
    """{camera: (4,) fx, fy, cx, cy in pixels} of a `camera.calibration` (Skeletool) file.

    Raises `InputError` for a file of another kind.
    """
    found, camera = {}, None
    with named(path, "a Skeletool camera calibration", _DAMAGED):
        for line in Path(path).read_text().splitlines():
            words = line.split()
            if words[:1] == ["name"] and len(words) == 2:
                camera = int(words[1])
            elif words[:1] == ["intrinsic"] and camera is not None:
                matrix = np.array([float(word) for word in words[1:]]).reshape(4, 4)
                if not np.isfinite(matrix).all() or min(matrix[0, 0], matrix[1, 1]) <= 0:
                    raise InputError(f"the intrinsic matrix of camera {camera} is none")
                found[camera] = matrix[[0, 1, 0, 1], [0, 1, 2, 2]]
        if not found:
            raise InputError("expected lines 'name' and 'intrinsic' of cameras, found none")
    return found
