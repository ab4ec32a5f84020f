"""Forged pickles and bombs: refused for what they say, at no cost."""

import pickle
import struct
import time
import tracemalloc

import pytest
from pickled_values import EMPTY_ARRAY

from mpm_keras.data.pickles import machine
from mpm_keras.data.safe_pickle import loads
from mpm_keras.errors import InputError

pytestmark = pytest.mark.numpy_only


def array_pickle(shape, dtype="f8", raw=b"", order=b"\x89", state_dtype=None):
    """An array with a state of our own."""
    numbers = b"(" + b"".join(pickle.dumps(n, 2)[2:-1] for n in shape) + b"t"
    kind = state_dtype or b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    return (
        b"\x80\x02" + EMPTY_ARRAY + b"(K\x01" + numbers
        + b"cnumpy\ndtype\nU" + bytes([len(dtype)]) + dtype.encode() + b"K\x00K\x01\x87R" + kind
        + order + (raw if raw[:1] == b"]" else b"T" + struct.pack("<i", len(raw)) + raw)
        + b"tb."
    )  # fmt: skip


FORGED = {
    "absurd array shape": array_pickle((-1,)),
    "shape (1000000000000,)": array_pickle((10**12,), raw=b"12345678"),
    "shape (9223372036854775807, 4)": array_pickle((2**63 - 1, 4), raw=b"1"),
    "absurd array shape (0, 1000000000000)": array_pickle((0, 10**12)),
    "dtype without shape": array_pickle((1,), "f8", raw=b"1234567"),
    "dtype 'V8' is refused": array_pickle((1,), "V8", raw=b"12345678"),
    "dtype 'M8[ns]' is refused": array_pickle((1,), "M8[ns]", raw=b"12345678"),
    "dtype 'U99999999' is refused": array_pickle((1,), "U99999999"),
    "fields": array_pickle((1,), "f8", b"12345678", state_dtype=b"(K\x03U\x01|NU\x01a\x85}K\x08K\x01K\x00tb"),
    "a state of tuple for Dtype": array_pickle(
        (1,), "f8", b"12345678", state_dtype=b"(K\x04U\x01<NNNK\x01K\x01K\x00}tb"
    ),
    "contents of list": array_pickle((1,), "f8", b"]"),
    "does not hold as many": array_pickle((2,), "O8", b"]K\x01a"),
    "contents|does not hold": array_pickle((1,), "O8", b"12345678"),
    "expected at byte": b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"x.",
    "bytes expected": b"\x80\x04\x96" + struct.pack("<Q", 2**40) + b".",
    "negative length": b"\x80\x02T\xff\xff\xff\xffx.",
    "negative length at": b"\x80\x02\x8b\xff\xff\xff\xffx.",
    "nothing remembered": b"\x80\x02h\x05.",
    "no mark": b"\x80\x02e.",
    "the stack is empty": b"\x80\x02.",
    "a list expected": b"\x80\x02}K\x01a.",
    "a key without a value": b"\x80\x02}(K\x01u.",
    "float as a key": b"\x80\x02}G\0\0\0\0\0\0\0\0K\x01s.",
    "int as a key": b"\x80\x02}\x8a\x0a" + b"\x01" * 10 + b"K\x01s.",
    "list as a key": b"\x80\x02}]K\x01s.",
    "tuple as a key": b"\x80\x02})\x85K\x01s.",
    "protocol 6": b"\x80\x06N.",
    "a container that holds itself": b"\x80\x02]q\x00h\x00a.",
    "an array that holds itself": b"\x80\x02" + EMPTY_ARRAY + b"q\x00h\x00.",
    "nests deeper than 64": b"\x80\x02" + b"]" * 5000 + b"a" * 4999 + b".",
    "nests deeper": b"\x80\x02)" + b"\x85" * 100_000 + b".",
    "no value": b"\x80\x02(.",
    "no end of line": b"Vabc",
    "text without quotes": b"Sabc\n.",
}  # fmt: skip


@pytest.mark.parametrize("message", FORGED)
def test_forged_pickles_are_refused(message):
    words = {"dtype without shape": "does not have 7 bytes"}.get(message, message)
    with pytest.raises(InputError) as caught:
        loads(FORGED[message])
    assert any(word in str(caught.value) for word in words.split("|")) and "\n" not in str(caught.value)


def laughs(levels):
    """Lists of ten references each: a few bytes that unfold to 10 ** levels."""
    data = b"\x80\x02]q\x00"
    for level in range(levels):
        data += b"](" + b"h" + bytes([level]) + (b"h" + bytes([level])) * 9 + b"eq" + bytes([level + 1])
    return data + b"."


def colliding(count):
    """A dict whose keys are integers that share their hash."""
    keys = b"".join(b"\x8a\x0c" + ((2**61 - 1) * (i + 2**34)).to_bytes(12, "little") + b"N" for i in range(count))
    return b"\x80\x02}(" + keys + b"u."


BOMBS = {
    "laughs": laughs(30),
    "many dicts": b"\x80\x02(" + b"}" * 100_000 + b"l.",
    "many memos": b"\x80\x04N" + b"\x94" * 60_000 + b".",
    "collisions": colliding(20_000),
    "many marks": b"\x80\x02" + b"(" * 1_100_000 + b".",
    "copied text": b"\x80\x02X" + struct.pack("<I", 1 << 20) + b"x" * (1 << 20) + b"q\x00(" + b"h\x00" * 1000 + b"l.",
    "huge integer": b"L" + b"9" * 500_000 + b"L\n.",
    "sets": b"\x80\x04(" + b"\x8f" * 35_000 + b"t.",
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_take_neither_time_nor_memory(name, monkeypatch):
    """With a tenth of the allowance, so that bombs can be small."""
    monkeypatch.setattr(machine, "ALLOWANCE", 6 << 20)
    data = BOMBS[name]
    tracemalloc.start()
    began = time.perf_counter()
    with pytest.raises(InputError):
        loads(data)
    seconds, (_, peak) = time.perf_counter() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * len(data) + (7 << 20) and seconds < 10


def test_far_keys_of_the_memo_take_no_memory():
    assert loads(b"\x80\x02Nr\xff\xff\xff\xff0j\xff\xff\xff\xff.") is None
