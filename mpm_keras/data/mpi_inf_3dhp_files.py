"""The file formats of MPI-INF-3DHP: MATLAB 5, MATLAB 7.3 (HDF5), and its camera calibration."""

import io
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
_COMPRESSED = 15  # miCOMPRESSED
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
        _check_unpacked_size(data)
        variables = loadmat(io.BytesIO(data), variable_names=list(names))
        for name in names:
            cell = variables.get(name)
            if not isinstance(cell, np.ndarray) or cell.dtype != object:
                found = "is missing" if cell is None else "is no cell array"
                raise InputError(f"the variable {name!r} {found}; expected one cell per camera")
        return {name: list(variables[name].reshape(-1)) for name in names}


def _check_unpacked_size(data: bytes):
    """Unpacks the compressed elements of a MATLAB 5 file piece by piece, keeping nothing."""
    if len(data) < 136 or data[126:128] not in (b"IM", b"MI"):
        raise InputError("not a MATLAB 5 file")
    order = "<" if data[126:128] == b"IM" else ">"
    limit, unpacked, at = ALLOWANCE + EXPANSION * len(data), 0, 128
    while at + 8 <= len(data):
        kind, count = struct.unpack_from(f"{order}II", data, at)
        if count > len(data) - at - 8:
            raise InputError(f"truncated: an element of {count} bytes begins at byte {at} of {len(data)}")
        if kind == _COMPRESSED:
            stream, piece = zlib.decompressobj(), data[at + 8 : at + 8 + count]
            while piece:
                unpacked += len(stream.decompress(piece, 1 << 20))
                if unpacked > limit:
                    raise InputError(f"unpacks to over {limit} bytes from {len(data)}; refused")
                piece = stream.unconsumed_tail
            if not stream.eof:
                raise InputError(f"truncated: the compressed element at byte {at} does not end")
        at += 8 + count


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
