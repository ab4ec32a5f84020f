"""Pickles and archives of others: what is admitted comes back, nothing else does, nothing runs."""

import builtins
import io
import os
import pickle
import struct
import time
import tracemalloc
import zipfile

import numpy as np
import pytest
from fuzzing import damaged, fuzz

from mpm_keras.data.pickles import machine
from mpm_keras.data.safe_pickle import load_archive, load_pickle, loads
from mpm_keras.errors import InputError

pytestmark = pytest.mark.numpy_only

CASES = int(os.environ.get("FUZZ_CASES", "2000"))
RNG = np.random.default_rng(0)
VALUE = {
    "S1": {"Walking 1": [RNG.normal(size=(40, 17, 2)).astype("f4")] * 4, "Photo": RNG.normal(size=(3, 32, 3))},
    "big endian": np.arange(5, dtype=">i2"),
    "fortran": np.asfortranarray(RNG.normal(size=(4, 50))),
    "strided": RNG.normal(size=(4, 60))[:, ::2],
    "turned": RNG.normal(size=(3, 4, 5)).transpose(2, 0, 1),
    "empty": np.zeros((0, 17, 2), np.float32),
    "bool": np.array([[True], [False]]),
    "complex": np.array([1 + 2j]),
    "text": np.array(["Hüfte", "knee"]),
    "bytes": np.array([b"ab", b"c"]),
    "objects": np.array([None, np.arange(3), [np.zeros((2, 3)), {"a": 1}]], dtype=object),
    "no dimension": np.array({"a": np.float32(2.5)}, dtype=object),
    "scalars": [np.float64(1.5), np.int8(-3), np.bool_(True), np.str_("x"), np.str_(""), np.bytes_(b"y")],
    "numbers": [0, 1, 255, 256, 65536, -1, -(2**31), 2**31, 2**80, -(2**2100), 0.1, -1e300, float("inf"), 1j],
    "words": ["", "é" * 3, "x" * 300, "é" * 300, "\ud800", b"", b"x" * 10, b"\xff" * 300, None, True, False],
    "sets": [set(), {"a", 1}, frozenset({"b"}), frozenset()],
    "tuples": ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), [[], {}]),
    "dtype": [np.dtype("<f4"), (np.dtype(">i8"), 3)],
    ("S1", "Walking", 54138969): 1, 7: 2, None: 3, b"k": 4, True: 5,
}  # fmt: skip


# What every pickled array begins with; its state follows.
EMPTY_ARRAY = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"


def assert_same(found, expected):
    if isinstance(expected, np.ndarray):
        assert type(found) is np.ndarray and found.shape == expected.shape and found.dtype == expected.dtype
        if expected.dtype == object:
            for a, b in zip(found.ravel(), expected.ravel(), strict=True):
                assert_same(a, b)
        else:
            np.testing.assert_array_equal(found, expected)
    else:
        assert type(found) is type(expected)
        if isinstance(expected, dict):
            assert list(found) == list(expected)
            found, expected = list(found.values()), list(expected.values())
        if isinstance(expected, (list, tuple)):
            assert len(found) == len(expected)
            for a, b in zip(found, expected, strict=True):
                assert_same(a, b)
        else:
            assert found == expected


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("numpy_1", [False, True])
def test_what_is_admitted_comes_back(protocol, numpy_1):
    value = {k: v for k, v in VALUE.items() if not (protocol == 0 and k == "words")}  # protocol 0 breaks "\ud800"
    data = pickle.dumps(value, protocol=protocol)
    assert (b"numpy._core" in data) == (np.lib.NumpyVersion(np.__version__) >= "2.0.0")
    if numpy_1:  # the same names as NumPy 1 wrote them
        data = pickle.dumps(value, protocol=min(protocol, 3)).replace(b"numpy._core", b"numpy.core")
    assert_same(loads(data), value)


def test_python_2_wrote_text_for_bytes():
    data = (
        b"\x80\x02}q\x00U\x04keysq\x01cnumpy.core.multiarray\n_reconstruct\nq\x02cnumpy\nndarray\nq\x03K\x00\x85U\x01b\x87R"
        b"(K\x01K\x01K\x02\x86cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        b"U\x08\x00\x00\x80?\x00\x00\x00\xc0tbs."
    )
    np.testing.assert_array_equal(loads(data)["keys"], np.array([[1, -2]], np.float32))
    large = np.arange(1000, dtype="<f8")
    body = b"U\x02f8K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T" + struct.pack(
        "<i", 8000
    )
    data = b"\x80\x02" + EMPTY_ARRAY + b"(K\x01M\xe8\x03\x85cnumpy\ndtype\n" + body + large.tobytes() + b"tb."
    np.testing.assert_array_equal(loads(data), large)


def test_arrays_share_the_pickles_memory_and_cannot_be_written():
    data = bytearray(pickle.dumps(np.zeros(100_000), protocol=4))
    tracemalloc.start()
    array = loads(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50_000 and not array.flags.writeable


class Reduced:
    """Pickles as a call of whatever it is given."""

    def __init__(self, *reduction):
        self.reduction = reduction

    def __reduce__(self):
        return self.reduction


def marker(tmp_path):
    return tmp_path / "was_run"


def attacks(path):
    """Name that must be refused -> pickles that would write the file, or worse, in an unrestricted unpickler."""
    command, target = f"touch {path}", str(path)
    code = f"open({target!r}, 'w').close()"
    calls = {
        "posix.system": (os.system, (command,)),
        "builtins.eval": (builtins.eval, (code,)),
        "builtins.exec": (builtins.exec, (code,)),
        "io.open|_io.open": (open, (target, "w")),
        "builtins.getattr": (getattr, (os, "system")),
        "numpy.save": (np.save, (target, [1])),
        "numpy.load": (np.load, (target,)),
        "numpy.memmap": (np.memmap, (target, "u1", "w+", 0, (5,))),
        "numpy.fromfile": (np.fromfile, ("/etc/hostname", "u1")),
        "numpy.ones": (np.ones, ((10**12,),)),
        "operator.attrgetter": (__import__("operator").attrgetter, ("system",)),
        "functools.partial": (__import__("functools").partial, (os.system, command)),
        "copyreg._reconstructor": (__import__("copyreg")._reconstructor, (object, object, None)),
        "importlib": (__import__("importlib").import_module, ("os",)),
        "subprocess.check_output": (__import__("subprocess").check_output, (command,)),
        "numpy.matrix": (np.ndarray.__reduce__(np.arange(2))[0], (np.matrix, (0,), b"b")),
        "collections.OrderedDict": (__import__("collections").OrderedDict, ()),
        "numpy.recarray|numpy.rec": (np.ndarray.__reduce__(np.arange(2))[0], (np.recarray, (0,), b"b")),
    }
    for name, reduction in calls.items():
        for protocol in range(6):
            if reduction[1] and reduction[1][0] is os:
                continue  # a module cannot be pickled; the hand-written ones below do it
            yield name, pickle.dumps(Reduced(*reduction), protocol=protocol, fix_imports=False)
            nested = [{"positions": [np.arange(3), (Reduced(*reduction),)]}]
            yield name, pickle.dumps(nested, protocol=protocol, fix_imports=False)
    quoted = command.encode()
    yield "os.system", b"cos\nsystem\n(S'" + quoted + b"'\ntR."
    yield "os.system", b"(S'" + quoted + b"'\nios\nsystem\n."  # INST
    yield "os.system", b"(cos\nsystem\nS'" + quoted + b"'\no."  # OBJ
    yield "os.system", b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c" + bytes([len(quoted)]) + quoted + b"\x85R."
    yield "builtins.eval", b"\x80\x02c__builtin__\nset\n0cbuiltins\neval\n."
    yield "numpy.ndarray.tofile", b"\x80\x04\x8c\x05numpy\x8c\x0endarray.tofile\x93."
    yield "numpy.core.multiarray._reconstruct.__globals__", b"cnumpy.core.multiarray\n_reconstruct.__globals__\n."
    yield "PERSID", b"Pos.system\n."
    yield "BINPERSID", b"\x80\x04Nc_codecs\nencode\nQ."
    yield "EXT1", b"\x80\x02\x82\x01."
    yield "NEXT_BUFFER", b"\x80\x05\x97."
    yield "NEWOBJ", b"\x80\x02cnumpy\nndarray\nK\x05\x85\x81."
    yield "NEWOBJ_EX", b"\x80\x04cnumpy\nndarray\n)}\x92."
    # Objects whose state is set by BUILD.
    yield "a state of dict for numpy.ndarray", b"\x80\x02cnumpy\nndarray\n}U\x01aK\x01sb."
    yield "a state of dict for list", b"\x80\x02]}U\x01aK\x01sb."
    yield "a call of numpy.ndarray", b"\x80\x02cnumpy\nndarray\nJ\xff\xff\xff\x7f\x85\x85R."
    yield "_reconstruct of anything", b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\ndtype\n(I0\ntS'b'\ntR."
    yield "_codecs.encode", b"c_codecs\nencode\n(Vx\nVrot13\ntR."
    yield "as a value", b"\x80\x02]cnumpy\nndarray\na."
    yield "as a value", b"\x80\x02cnumpy\nndarray\n."


def test_nothing_is_run_and_the_name_is_told(tmp_path):
    path, seen = marker(tmp_path), 0
    for name, data in attacks(path):
        with pytest.raises(InputError) as caught:
            loads(data)
        assert any(word in str(caught.value) for word in name.split("|")), (name, data, str(caught.value))
        assert "\n" not in str(caught.value) and not path.exists()
        seen += 1
    assert seen > 150
    pickle.loads(next(data for name, data in attacks(path) if name == "posix.system"))  # these are real
    assert path.exists()


def test_attacks_inside_archives_are_refused_too(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, positions_2d=np.array({"S1": Reduced(os.system, (f"touch {marker(tmp_path)}",))}, dtype=object))
    with pytest.raises(
        InputError, match=r"a\.npz: positions_2d\.npy: the pickle asks for posix\.system, which is refused"
    ):
        load_archive(path)
    assert not marker(tmp_path).exists()


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
    "a state of tuple for Dtype": array_pickle((1,), "f8", b"12345678", state_dtype=b"(K\x04U\x01<NNNK\x01K\x01K\x00}tb"),
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


def test_pickle_files(tmp_path):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(VALUE))
    assert_same(load_pickle(tmp_path / "a.pkl"), VALUE)
    with pytest.raises(InputError, match=r"none\.pkl: cannot be read"):
        load_pickle(tmp_path / "none.pkl")


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


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_damaged_pickles_end_in_one_line(protocol):
    data = pickle.dumps({k: v for k, v in VALUE.items() if k not in ("words", "numbers")}, protocol=protocol)
    refused = 0
    for changed in damaged(data, CASES // 4, seed=protocol):
        try:
            loads(changed)
        except InputError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > CASES // 40


def test_random_opcodes_end_in_one_line():
    """Programs that no pickler would write, out of opcodes and the names that are admitted."""
    rng = np.random.default_rng(1)
    names = [b"cnumpy\nndarray\n", b"cnumpy\ndtype\n", b"cnumpy.core.multiarray\n_reconstruct\n", b"c_codecs\nencode\n"]
    words = [b"U\x01b", b"U\x02f8", b"U\x01O", b"X\x06\0\0\0latin1", b"K\x00\x85", b"K\x03", b"N", b"\x89", b"(", b")"]
    words += [bytes([code]) for code in b"\x85\x86\x87tRbaesu]}0123h\x00q\x00\x94\x8f\x90\x91ld"] + [b"q\x00", b"h\x00"]
    words += [b"(K\x01K\x02\x85", b"C\x08abcdefgh", b"cnumpy.core.multiarray\nscalar\n", b"c__builtin__\nset\n"]
    for _ in range(3 * CASES):
        program = b"".join((names + words)[i] for i in rng.integers(0, len(names + words), rng.integers(2, 25)))
        try:
            loads(program + b".")
        except InputError as error:
            assert "\n" not in str(error)


def test_damaged_archives_end_in_one_line(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, table=np.array({"S1": VALUE["S1"]}, dtype=object), plain=np.arange(50.0))
    assert fuzz(load_archive, path, CASES) > CASES / 2


def test_damaged_compressed_archives_end_in_one_line(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, table=np.array({"S1": VALUE["S1"]}, dtype=object), plain=np.arange(50.0))
    assert fuzz(load_archive, path, CASES, seed=1) > CASES / 2
