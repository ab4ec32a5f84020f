"""What all readers of other people's files share."""

import numpy as np
import pytest

from mpm_keras.data.foreign import find, good_ones, named, numbers, positive
from mpm_keras.data.progress import track
from mpm_keras.errors import InputError

pytestmark = pytest.mark.numpy_only


def test_errors_get_the_name_of_the_file_once():
    for message in ("poses: bad", "a.npz: poses: bad", "poses:\n bad"):
        with pytest.raises(InputError, match=r"^a\.npz: poses: bad$"), named("a.npz"):
            raise InputError(message)
    expected = r"^a\.npz: not readable as CSV \(no comma\)$"
    with pytest.raises(InputError, match=expected), named("a.npz", "CSV", (ValueError,)):
        raise ValueError("no comma")
    with pytest.raises(KeyError), named("a.npz", "CSV", (ValueError,)):
        raise KeyError("a mistake of ours")


def test_numbers():
    for dtype in (np.float32, np.float16, ">f8", np.int16, np.uint8, bool):
        assert numbers(np.ones((2, 3), dtype), (None, 3), "x").dtype == np.float64
    for value, message in (
        ([[1.0]], "found list"),
        (np.ones((2, 3), complex), "found an array of complex128"),
        (np.array([[{}]]), "found an array of object"),
        (np.ones((2, 4)), r"expected shape \(n, 3\), found \(2, 4\)"),
        (np.ones((0, 3)), r"found \(0, 3\)"),
        (np.array([[1, 2, 3], [1, np.nan, 3]]), "1 rows hold NaN, infinity or absurd values, first row 1"),
        (np.full((2, 3), 1e300), "2 rows"),
    ):
        with pytest.raises(InputError, match=f"^x: .*{message}"):
            numbers(value, (None, 3), "x")
    assert np.isnan(numbers(np.full((2, 3), np.nan), (None, 3), "x", finite=False)).all()


def test_positive():
    assert positive(3, "n") == positive(np.array([3.0]), "n") == positive(np.int8(3), "n") == 3.0
    for value in (0, -1, float("nan"), float("inf"), "3", None, [3], np.ones(2), 10**400, True):
        with pytest.raises(InputError):
            positive(value, "n", 0, 1e9)


def test_find(tmp_path):
    for name in ("a.npz", "sub/b.NPZ", "sub/c.txt"):
        (tmp_path / "x" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "x" / name).touch()
    files, strict = find(tmp_path / "x", (".npz",), "files")
    assert ([name for _, name in files], strict) == (["a", "sub/b"], False)
    files, strict = find([tmp_path / "x" / "sub", tmp_path / "x" / "a.npz"], (".npz",), "files")
    assert ([name for _, name in files], strict) == (["sub/b", "a"], True)
    with pytest.raises(InputError, match="is named a, as"):
        find([tmp_path / "x" / "a.npz", tmp_path / "x" / "a.npz"], (".npz",), "files")
    with pytest.raises(InputError, match="no such file or folder; expected files"):
        find(tmp_path / "y", (".npz",), "files")


def test_good_ones():
    results = [("a", ""), (None, "b is bad"), ("c", "")]
    with pytest.warns(UserWarning) as caught:
        assert good_ones(results, strict=False, what="x") == ["a", "c"]
    assert [str(w.message) for w in caught] == ["left out: b is bad", "1 of 3 files were left out"]
    with pytest.raises(InputError, match="b is bad"):
        good_ones(results, strict=True, what="x")
    with pytest.raises(InputError, match="x: none of the 1 files could be read; the first: b is bad"):
        good_ones(results[1:2], strict=False, what="x")


def test_track(capsys):
    assert list(track("abc", 3, "letters", show=True)) == ["a", "b", "c"]
    assert capsys.readouterr().err.endswith("letters [==============================] 3/3, 0 s left \n")
    assert list(track("abc", 3, "letters")) == ["a", "b", "c"] and capsys.readouterr().err == ""
