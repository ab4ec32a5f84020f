"""Rotations of inverse kinematics against scipy's."""

import itertools

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mpm_keras.formats.rotations import euler_angles, swing, upright_frames

pytestmark = pytest.mark.numpy_only
RNG = np.random.default_rng(0)
ORDERS = ["".join(order) for order in itertools.permutations("XYZ")]


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def test_swing_is_the_smallest_rotation():
    wanted = unit(RNG.normal(size=(200, 3)))
    wanted[:3] = [[1, 0, 0], [-1, 0, 0], unit(np.array([-1, 1e-7, 0]))]
    turned = swing([1, 0, 0], wanted)
    np.testing.assert_allclose(turned[:, :, 0], wanted, atol=2e-5)
    np.testing.assert_allclose(turned[3:, :, 0], wanted[3:], atol=1e-12)
    angle = Rotation.from_matrix(turned).magnitude()
    np.testing.assert_allclose(angle, np.arccos(np.clip(wanted[:, 0], -1, 1)), atol=2e-5)


def test_upright_frames():
    up, left = unit(RNG.normal(size=(100, 3))), RNG.normal(size=(100, 3))
    frames = upright_frames(up, left)
    np.testing.assert_allclose(frames[:, :, 1], up, atol=1e-12)
    across = unit(left - up * (left * up).sum(-1, keepdims=True))
    np.testing.assert_allclose(frames[:, :, 0], across, atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(frames), 1)
    assert np.isfinite(upright_frames(up, up)).all()  # a body without width


@pytest.mark.parametrize("order", ORDERS)
def test_angles_make_the_rotation(order):
    rotations = Rotation.random(300, RNG)
    angles = euler_angles(rotations.as_matrix(), order)
    again = Rotation.from_euler(order, angles)  # capital letters: about the turned axes, as in BVH
    assert (again.inv() * rotations).magnitude().max() < 1e-7


@pytest.mark.parametrize("order", ORDERS)
def test_locked_angles_make_the_rotation_too(order):
    """The middle angle at 90 degrees: whatever the first is, the last makes up for it."""
    angles = np.stack([np.linspace(-3, 3, 50), np.full(50, np.pi / 2), np.linspace(0, 5, 50)], axis=-1)
    rotations = Rotation.from_euler(order, angles)
    found = euler_angles(rotations.as_matrix(), order)
    assert (Rotation.from_euler(order, found).inv() * rotations).magnitude().max() < 1e-6
    assert np.abs(np.diff(found, axis=0)).max() < 0.3


@pytest.mark.parametrize("order", ORDERS)
def test_angles_run_on_over_full_turns_and_through_the_pole(order):
    """Three turns about each axis in turn, a degree a frame: no angle ever jumps."""
    turn = np.radians(np.arange(0, 3 * 360))
    for axis in range(3):
        vectors = np.zeros((len(turn), 3))
        vectors[:, axis] = turn
        angles = euler_angles(Rotation.from_rotvec(vectors).as_matrix(), order)
        assert np.degrees(np.abs(np.diff(angles, axis=0))).max() < 1.0001
        assert np.degrees(np.ptp(angles, axis=0)).max() == pytest.approx(1079, abs=1e-3)


def test_an_order_has_three_axes():
    with pytest.raises(ValueError, match="order"):
        euler_angles(np.eye(3)[None], "XYX")
