"""Pickles of others: what is admitted comes back, nothing else does, nothing runs."""

import builtins
import os
import pickle
import struct
import tracemalloc

import numpy as np
import pytest
from fuzzing import damaged
from pickled_values import EMPTY_ARRAY, VALUE, assert_same

from mpm_keras.data.safe_pickle import load_archive, load_pickle, loads
from mpm_keras.errors import InputError

pytestmark = pytest.mark.numpy_only

CASES = int(os.environ.get("FUZZ_CASES", "2000"))


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


def test_pickle_files(tmp_path):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(VALUE))
    assert_same(load_pickle(tmp_path / "a.pkl"), VALUE)
    with pytest.raises(InputError, match=r"none\.pkl: no such file"):
        load_pickle(tmp_path / "none.pkl")


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
