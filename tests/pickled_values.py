"""What a pickle of others may hold, and how to compare it."""

import numpy as np

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
