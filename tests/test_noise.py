"""Noise from a hash: the same on every backend, uniform, and of places that have nothing to do with each other."""

import keras
import numpy as np
import pytest
from harness import to_numpy
from keras import ops

from mpm_keras.masking import PoseMasking
from mpm_keras.noise import noise, uniform

# Of the JAX backend.
NOISE = [1774711959, 695459978, 824273785, -1043641268, -287681718, -454098485]
UNIFORM = [
    0.3360658288002014,
    0.12550729513168335,
    0.5056639313697815,
    0.9006314873695374,
    0.21110785007476807,
    0.647149384021759,
]
MASK = [[1, 4, 9, 10, 13], [1, 9, 11, 12, 15], [1, 3, 4], [0, 2, 4]]


def seed_of(*numbers):
    return ops.convert_to_tensor(np.array(numbers), "int64" if keras.backend.backend() == "tensorflow" else "uint32")


def test_the_same_on_every_backend():
    assert to_numpy(noise((2, 1, 3), seed_of(7, 2))).ravel().tolist() == NOISE
    np.testing.assert_array_equal(to_numpy(uniform((2, 1, 3), seed_of(7, 2))).ravel(), np.float32(UNIFORM))
    masks = PoseMasking(5, 0.6, seed=11).draw(2, 5, 17)
    joints, frames = (to_numpy(masks[name]).astype(int) for name in ("joints", "frames"))
    assert [np.flatnonzero(row).tolist() for row in joints[:, 0]] == MASK[:2]
    assert [np.flatnonzero(row).tolist() for row in frames] == MASK[2:]


@pytest.mark.parametrize("seed", [(0, 0), (1, 0), (1, 1), (2**31 - 1, 12345)])
def test_uniform(seed):
    found = to_numpy(uniform((50_000, 17), seed_of(*seed)))
    assert found.dtype == np.float32 and found.min() >= 0 and found.max() < 1
    counts = np.histogram(found, bins=64, range=(0, 1))[0]
    expected = found.size / 64
    assert np.square(counts - expected).sum() / expected < 63 + 5 * np.sqrt(2 * 63)
    assert abs(found.mean() - 0.5) < 5 * np.sqrt(1 / 12 / found.size)


@pytest.mark.parametrize("shift", [1, 17, 243])
def test_places_are_independent(shift):
    """Neighbours along rows, along columns and between calls: no correlation, of values and of their ranks in a row."""
    one, other = (to_numpy(uniform((20_000, 17), seed_of(3, call))) for call in (0, 1))
    pairs = {"rows": (one[shift:], one[:-shift]), "calls": (one[shift:], other[:-shift])}
    if shift == 1:
        pairs["columns"] = (one[:, 1:], one[:, :-1])
    for name, (a, b) in pairs.items():
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 5 / np.sqrt(a.size), name
    hidden = np.argsort(np.argsort(one, axis=1), axis=1) < 5
    together = (hidden.T.astype(float) @ hidden)[np.triu_indices(17, 1)]
    share = 5 * 4 / (17 * 16)
    assert np.abs(together - len(one) * share).max() < 5 * np.sqrt(len(one) * share * (1 - share)), "pairs of joints"
