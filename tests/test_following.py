import numpy as np
import pytest

from mpm_keras.following import follow, rays_of, turn_back, turn_poses, turns_to

pytestmark = pytest.mark.numpy_only
POINTS = np.random.default_rng(0).normal(scale=0.5, size=(40, 2))


def test_turns_are_rotations_that_centre_their_point():
    turns = turns_to(POINTS)
    np.testing.assert_allclose(turns @ turns.swapaxes(1, 2), np.broadcast_to(np.eye(3), (40, 3, 3)), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(turns), 1)
    rays = np.concatenate([POINTS, np.ones((40, 1))], axis=1)
    turned = np.einsum("fij,fj->fi", turns, rays)
    np.testing.assert_allclose(turned[:, :2], 0, atol=1e-12)
    assert (turned[:, 2] > 0).all()
    np.testing.assert_allclose(turns_to([[0.0, 0.0]])[0], np.eye(3))


def test_turns_mirror_with_the_picture():
    mirror = np.diag([-1.0, 1.0, 1.0])
    np.testing.assert_allclose(turns_to(POINTS * [-1, 1]), mirror @ turns_to(POINTS) @ mirror, atol=1e-12)


def test_following_is_exact_and_can_be_undone():
    rng = np.random.default_rng(1)
    body = (
        rng.normal(scale=0.4, size=(50, 17, 3)) + [1.5, -0.5, 4.0] + np.linspace(0, 1, 50)[:, None, None] * [-3, 0, 0]
    )
    rays, turns = follow(body[..., :2] / body[..., 2:], np.ones((50, 17), bool), 25.0)
    turned = turn_poses(body, turns)
    np.testing.assert_allclose(rays, turned[..., :2] / turned[..., 2:], atol=1e-5)
    np.testing.assert_allclose(turn_back(turned, turns), body, atol=1e-5)
    assert np.abs(rays.mean(axis=1)).max() < 0.35 * np.abs((body[..., :2] / body[..., 2:]).mean(axis=1)).max()


def test_where_nothing_is_seen_it_looks_on():
    rays = np.tile([[[0.3, -0.2]]], (30, 17, 1))
    seen = np.ones((30, 17), bool)
    seen[10:20] = False
    rays[10:20] = np.nan
    found, turns = follow(rays, seen, 25.0)
    np.testing.assert_allclose(turns, np.broadcast_to(turns_to([[0.3, -0.2]]), (30, 3, 3)), atol=1e-9)
    np.testing.assert_array_equal(found[10:20], 0)
    nothing, turns = follow(rays, np.zeros_like(seen), 25.0)
    np.testing.assert_array_equal(nothing, 0)
    np.testing.assert_array_equal(turns, np.broadcast_to(np.eye(3), (30, 3, 3)))
    with pytest.raises(ValueError, match=r"found \(30, 17, 2\) and \(30, 16\)"):
        follow(rays, seen[:, :16], 25.0)


def test_rays_do_not_depend_on_the_resolution():
    pixels = np.random.default_rng(2).uniform(0, 1000, (5, 17, 2))
    np.testing.assert_allclose(rays_of(pixels, 1200.0, [500, 400]), rays_of(pixels * 2, 2400.0, [1000, 800]))
