import numpy as np
import pytest

from mpm_keras import geometry
from mpm_keras.data.cameras import CameraRanges, camera_rng, draw_camera, film
from mpm_keras.data.motion import Motion
from mpm_keras.skeletons import H36M_17

pytestmark = pytest.mark.numpy_only


def walk(seed, frames=40, reach=4.0):
    """A person-sized cloud of joints that walks up to `reach` metres."""
    rng = np.random.default_rng(seed)
    body = rng.uniform([-0.4, -0.4, 0.0], [0.4, 0.4, 1.8], size=(17, 3))
    path = np.linspace(0, 1, frames)[:, None] * rng.uniform(-reach, reach, size=3) * [1, 1, 0]
    return (body + path[:, None] + rng.normal(scale=0.02, size=(frames, 17, 3))).astype(np.float32)


def motion(*seeds, reach=4.0):
    clips = [walk(s, frames=20 + s, reach=reach) for s in seeds]
    names = [f"clip{s}" for s in seeds]
    return Motion.from_clips(clips, names=names, subjects=[f"s{s}" for s in seeds], fps=[50] * len(seeds))


def test_film_is_a_function_of_seed_and_motion():
    first, again, other = film(motion(1, 2), 2, seed=3), film(motion(1, 2), 2, seed=3), film(motion(1, 2), 2, seed=4)
    for field in ("pose_2d", "pose_3d", "root_3d", "intrinsics"):
        np.testing.assert_array_equal(getattr(first, field), getattr(again, field))
        assert not np.array_equal(getattr(first, field), getattr(other, field))


def test_cameras_of_a_clip_do_not_depend_on_the_other_clips():
    alone, together = film(motion(2), 2), film(motion(1, 3, 2), 3)
    for k in range(2):
        same = together.view(together.names.index(f"clip2@cam{k}"))
        np.testing.assert_array_equal(alone.view(k).pose_2d, same.pose_2d)
        np.testing.assert_array_equal(alone.view(k).root_3d, same.root_3d)
    assert not np.array_equal(alone.view(0).pose_2d, alone.view(1).pose_2d)


def test_labels_and_order():
    views = film(motion(1, 2), 2)
    assert views.names == ("clip1@cam0", "clip1@cam1", "clip2@cam0", "clip2@cam1")
    assert views.subjects == ("s1", "s1", "s2", "s2") and views.cameras == ("cam0", "cam1") * 2
    np.testing.assert_array_equal(views.lengths, [21, 21, 22, 22])
    assert views.confidence is None and views.skeleton is H36M_17


@pytest.mark.parametrize("reach", [0.0, 4.0, 30.0])
def test_every_joint_is_in_front_and_in_the_picture(reach):
    ranges = CameraRanges()
    views = film(motion(*range(6), reach=reach), 4, ranges)
    depth = (views.pose_3d + views.root_3d[:, None])[..., 2]
    assert depth.min() >= ranges.nearest - 1e-4
    assert np.abs(views.pose_2d).max() <= 1 - ranges.border + 1e-5


def test_2d_is_the_projection_of_3d_through_the_stored_camera():
    views = film(motion(1, 2, 3), 2, CameraRanges(image_size=(1920, 1080)))
    for i in range(views.num_views):
        view, camera = views.view(i), views.camera(i)
        pixels = geometry.project(view.pose_3d + view.root_3d[:, None], camera)
        np.testing.assert_allclose(geometry.normalize_screen(pixels, 1920, 1080), view.pose_2d, atol=2e-6)
    assert not views.pose_3d[:, 0].any()


def test_3d_is_a_rigid_motion_of_the_world_positions():
    moved = motion(5)
    view = film(moved).view(0)
    seen = (view.pose_3d + view.root_3d[:, None]).reshape(-1, 3).astype(np.float64)
    world = moved.clip(0).reshape(-1, 3).astype(np.float64)
    seen, world = seen - seen.mean(0), world - world.mean(0)
    rotation = np.linalg.lstsq(world, seen, rcond=None)[0]
    assert np.linalg.det(rotation) == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(world @ rotation, seen, atol=1e-5)
    assert (world @ rotation)[world[:, 2].argmax(), 1] < 0  # what is high in the world has a small y: y is down


def test_cameras_lie_in_their_ranges():
    ranges, clip = CameraRanges(), walk(0, reach=1.0)
    cameras = [draw_camera(clip, ranges, camera_rng(0, "clip", k)) for k in range(200)]
    heights = np.array([c.position[2] for c in cameras]) - clip[..., 2].min()
    focals = np.array([c.focal[0] for c in cameras]) / 500
    assert 0.4 <= heights.min() < 0.6 and 2.2 < heights.max() <= 2.4
    assert 1.6 <= focals.min() < 1.7 and 3.1 < focals.max() <= 3.2
    rolls = np.rad2deg([np.arcsin(c.rotation[0, 2]) for c in cameras])  # the right axis leaves the horizontal
    assert np.abs(rolls).max() <= 5 and np.abs(rolls).max() > 4
    away = np.array([c.position[:2] - clip.mean((0, 1))[:2] for c in cameras])
    assert all((np.sign(away) == quadrant).all(1).sum() > 25 for quadrant in ((1, 1), (1, -1), (-1, 1), (-1, -1)))


@pytest.mark.parametrize(
    "call",
    [
        lambda: CameraRanges(focal=(3.0, 2.0)),
        lambda: CameraRanges(nearest=0.0),
        lambda: draw_camera(np.zeros((17, 3)), CameraRanges(), camera_rng(0, "a", 0)),
        lambda: draw_camera(np.full((2, 17, 3), np.nan), CameraRanges(), camera_rng(0, "a", 0)),
        lambda: camera_rng(-1, "a", 0),
        lambda: film(motion(1), 0),
    ],
)
def test_bad_arguments_raise(call):
    with pytest.raises(ValueError):
        call()
