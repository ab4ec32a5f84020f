"""The One-Euro and Savitzky-Golay filters against cases that are known by formula."""

import numpy as np
import pytest

from mpm_keras.inference.smoothing import OneEuro, one_euro, savitzky_golay

pytestmark = pytest.mark.numpy_only

# The first rows of `groundTruth.csv` of the authors' own implementation (github.com/casiez/OneEuroFilter):
# 120 Hz, cutoffs of 1 Hz, beta 0.1.
NOISY = [-0.0385099, -0.0280664, 0.048622, 0.111498, 0.053026, 0.120548, 0.00972308, 0.074193, -0.0236801, 0.0462396]
FILTERED = [
    -0.0385099, -0.0379872, -0.0334427, -0.0252696, -0.0207099, -0.0119912, -0.0106507, -0.00526521, -0.00641239,
    -0.00308863,
]  # fmt: skip


def test_one_euro_is_that_of_its_authors():
    np.testing.assert_allclose(one_euro(NOISY, 120, 1.0, 0.1, 1.0), FILTERED, atol=2e-7)


def test_without_beta_a_step_is_answered_exponentially():
    """With a fixed cutoff what remains of a step shrinks by 1 - alpha a frame."""
    alpha = 1 / (1 + 30 / (2 * np.pi * 2.0))
    step = np.r_[0.0, np.ones(20)]
    np.testing.assert_allclose(one_euro(step, 30, min_cutoff=2.0, beta=0.0), 1 - (1 - alpha) ** np.arange(21))


def test_beta_takes_the_lag_away():
    ramp = np.arange(60) / 30.0
    lag = [(ramp - one_euro(ramp, 30, 1.0, beta))[-1] for beta in (0.0, 1.0, 10.0)]
    assert lag[0] > 1.5 * lag[1] > 3 * lag[2] > 0


def test_frames_that_come_one_by_one_are_filtered_as_the_clip():
    clip = np.random.default_rng(0).normal(size=(40, 17, 3)).astype(np.float32)
    euro = OneEuro(1.0, 0.5, 1.0)
    together = one_euro(clip, 25, 1.0, 0.5, 1.0)
    assert together.dtype == np.float32
    np.testing.assert_allclose([euro.push(frame, 1 / 25) for frame in clip], together, rtol=1e-6, atol=1e-7)
    euro.reset()
    np.testing.assert_array_equal(euro.push(clip[5], 1 / 25), clip[5])


def test_what_one_euro_returns_is_not_its_state():
    euro = OneEuro()
    euro.push(np.zeros(2), 0.1)[:] = 9
    assert (np.abs(euro.push(np.zeros(2), 0.1)) == 0).all()


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 50])
def test_constants_and_polynomials_stay(frames):
    time = np.linspace(-1, 1, frames)[:, None]
    constant, cubic = np.full((frames, 2), 3.25), time**3 - 2 * time**2 + [0.5, -1]
    np.testing.assert_allclose(one_euro(constant, 30), constant, rtol=1e-14)
    np.testing.assert_allclose(savitzky_golay(constant, 0.5, 30), constant, rtol=1e-12)
    np.testing.assert_allclose(savitzky_golay(cubic, 0.5, 30, order=3), cubic, atol=1e-12)


def test_noise_is_cut_by_as_much_as_the_window_says():
    """A straight line through 9 frames in the middle is their mean: a third of the noise."""
    noise = np.random.default_rng(1).normal(size=(20000, 1))
    smooth = savitzky_golay(noise, 9 / 30, 30, order=1)[4:-4]
    np.testing.assert_allclose(smooth.std(), 1 / 3, rtol=0.05)
    np.testing.assert_allclose(smooth[100], noise[100:109].mean(), rtol=1e-9)


def test_a_window_longer_than_the_clip_is_cut_to_it():
    clip = np.random.default_rng(2).normal(size=(10, 3))
    line = np.polynomial.polynomial.polyfit(np.arange(9), clip[:9], 1)
    expected = line[0] + line[1] * 4
    np.testing.assert_allclose(savitzky_golay(clip, 100, 30, order=1)[4], expected, rtol=1e-9)


@pytest.mark.parametrize(
    "call",
    [
        lambda: one_euro([1.0, np.nan], 30),
        lambda: one_euro([1.0, 2.0], 0),
        lambda: OneEuro(min_cutoff=0),
        lambda: OneEuro(beta=-1),
        lambda: savitzky_golay([1.0, np.inf], 0.5, 30),
        lambda: savitzky_golay([1.0, 2.0], 0, 30),
        lambda: savitzky_golay([1.0, 2.0], 0.5, 30, order=-1),
    ],
)
def test_what_cannot_be_smoothed_is_refused(call):
    with pytest.raises(ValueError, match="found|NaN"):
        call()


def test_a_stream_must_keep_its_shape_and_clock():
    euro = OneEuro()
    euro.push(np.zeros(3), 0.1)
    with pytest.raises(ValueError, match="shape"):
        euro.push(np.zeros(4), 0.1)
    with pytest.raises(ValueError, match="dt"):
        euro.push(np.zeros(3), 0)
