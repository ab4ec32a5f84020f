"""What a pickle may hold: the few names that are known, and arrays made of their bytes."""

import re

import numpy as np

from mpm_keras.errors import InputError
from mpm_keras.npz import check_shape

LONG = 256  # from so many bytes on, text and bytes stay where they lie until somebody needs them

_BUILTINS = ("set", "frozenset", "bytes", "bytearray", "complex")
GLOBALS = {
    "numpy.ndarray": "ndarray",
    "numpy.dtype": "dtype",
    "_codecs.encode": "encode",
    **{f"numpy.{core}.multiarray.{word}": word for core in ("core", "_core") for word in ("_reconstruct", "scalar")},
    **{f"numpy.{core}.numeric._frombuffer": "_frombuffer" for core in ("core", "_core")},
    **{f"{module}.{word}": word for module in ("builtins", "__builtin__") for word in _BUILTINS},
}


class Global:
    """A name of `GLOBALS`; never the thing that it names."""

    def __init__(self, name: str):
        self.name, self.word = name, GLOBALS[name]


class Dtype:
    """A dtype whose byte order is told after it was memorised."""

    def __init__(self, code: str):
        if not re.fullmatch(r"(b1|[iu][1248]|f[248]|c(8|16)|[SU]\d{1,6}|O[48]?)", code):
            raise InputError(f"dtype {code[:40]!r} is refused; plain numbers, text and objects are read")
        self.code, self.order = code, "|" if code[0] in "bSO" else "="

    def dtype(self) -> np.dtype:
        return np.dtype(object if self.code[0] == "O" else self.order + self.code)


class Array:
    """An array whose contents are told after it was memorised."""

    def __init__(self):
        self.value = None


class LongText:
    """Text that lies in the pickle; copied only where it is wanted as text."""

    def __init__(self, view, encoding: str):
        self.view, self.encoding = view, encoding

    def text(self) -> str:
        return str(self.view, self.encoding, "surrogatepass" if self.encoding == "utf-8" else "strict")


class Args(tuple):
    """A tuple that holds one of the kinds above: arguments or a state, no value of its own."""


class Mark:
    pass


MARK = Mark()
SYMBOLS = frozenset((Global, Dtype, Array, LongText, Args, Mark, memoryview))


def raw_bytes(machine, value):
    """The bytes of an array or scalar: Python 2 wrote them as text."""
    if type(value) is LongText and value.encoding == "latin-1":
        return value.view
    if type(value) is str:
        return value.encode("latin-1")
    if type(value) not in (bytes, memoryview):
        raise InputError(f"an array with contents of {type(value).__name__} is refused")
    return value


def make_array(machine, raw, dtype, shape, order: str) -> np.ndarray:
    """A read-only array over its bytes, or of a list of objects."""
    if type(dtype) is not Dtype or type(shape) is not tuple or any(type(n) is not int for n in shape):
        raise InputError(f"a damaged pickle: an array without dtype and shape at byte {machine.at}")
    dtype = dtype.dtype()
    if dtype.hasobject:
        if type(raw) is not list or check_shape(shape, 1) != len(raw):
            raise InputError(f"an array of {shape} objects does not hold as many")
        machine.charge(8 * len(raw))
        return _frozen(np.fromiter(raw, object, len(raw)).reshape(shape, order=order))
    raw = raw_bytes(machine, raw)
    if check_shape(shape, dtype.itemsize) != len(raw):
        raise InputError(f"an array of shape {shape} and {dtype} does not have {len(raw)} bytes")
    return _frozen(np.frombuffer(raw, dtype).reshape(shape, order=order) if raw else np.empty(shape, dtype))


def make_scalar(machine, dtype, raw):
    """A NumPy scalar of its bytes."""
    if type(dtype) is not Dtype or dtype.dtype().hasobject:
        raise InputError("a NumPy scalar of objects is refused")
    dtype, raw = dtype.dtype(), raw_bytes(machine, raw)
    if len(raw) != dtype.itemsize:
        raise InputError(f"a scalar of {dtype} does not have {len(raw)} bytes")
    return np.frombuffer(raw, dtype)[0] if raw else dtype.type()


def encode(machine, text, encoding="latin-1"):
    """Bytes that protocols without bytes wrote as text."""
    if encoding not in ("latin1", "latin-1") or type(text) not in (str, LongText):
        raise InputError(f"_codecs.encode with such arguments is refused, at byte {machine.at}")
    encoded = (text.text() if type(text) is LongText else text).encode("latin-1")
    machine.charge(len(encoded))
    return memoryview(encoded) if len(encoded) >= LONG else encoded


def reconstruct(machine, kind, shape, code):
    """An array whose state follows."""
    if type(kind) is not Global or kind.word != "ndarray" or shape != (0,) or code not in (b"b", "b"):
        raise InputError("numpy's _reconstruct of anything but an array is refused")
    return Array()


def _frozen(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def _make_set(machine, members=()):
    if type(members) is not list and members != ():
        raise InputError(f"a set of {type(members).__name__} is refused")
    return machine.members(members)


def _make_bytes(machine, value=b"", encoding=None):
    return encode(machine, value, encoding) if encoding else raw_bytes(machine, value)


def _make_complex(machine, real, imaginary):
    if type(real) is not float or type(imaginary) is not float:
        raise InputError("a complex number that is not of two numbers is refused")
    return complex(real, imaginary)


def _make_dtype(machine, code, align=False, copy=True):
    if type(code) is not str:
        raise InputError(f"a dtype of {type(code).__name__} is refused")
    return Dtype(code)


def _from_buffer(machine, raw, dtype, shape, order, axes=None):
    if order not in ("C", "F", "K") or (axes is not None and sorted(axes) != list(range(len(shape)))):
        raise InputError(f"an array in an unknown order is refused, at byte {machine.at}")
    array = make_array(machine, raw, dtype, shape, "F" if order == "F" else "C")
    return array if axes is None else array.transpose(axes)


# Word of `GLOBALS` -> what a call of it does, and its fewest and most arguments.
CALLS = {
    "_reconstruct": (reconstruct, 3, 3),
    "scalar": (make_scalar, 2, 2),
    "_frombuffer": (_from_buffer, 4, 5),
    "dtype": (_make_dtype, 1, 3),
    "encode": (encode, 1, 2),
    "set": (_make_set, 0, 1),
    "frozenset": (lambda machine, members=(): frozenset(_make_set(machine, members)), 0, 1),
    "bytes": (_make_bytes, 0, 2),
    "bytearray": (_make_bytes, 0, 2),
    "complex": (_make_complex, 2, 2),
}
