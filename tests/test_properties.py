"""What must hold for any input: geometry, windows, metrics, skeletons, the camera that follows, resampling."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpm_keras import geometry, metrics
from mpm_keras.data.shuffle import permute
from mpm_keras.data.windows import WindowIndex
from mpm_keras.following import follow, turn_back, turn_poses, turns_to
from mpm_keras.inference.resampling import count_at, poses_at, resample_keypoints
from mpm_keras.skeletons import DETECTORS, H36M_16, H36M_17, from_detector

pytestmark = pytest.mark.numpy_only

# The same examples every time, and no clock: other work on the machine must not fail a test.
examples = settings(max_examples=50, deadline=None, derandomize=True, database=None)
seeds = st.integers(0, 2**32 - 1)


def rotation(rng) -> np.ndarray:
    """A random (3, 3) rotation."""
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q * np.sign(np.linalg.det(q))


@st.composite
def cameras(draw):
    """A camera anywhere, with a lens as distorted as real ones."""
    rng = np.random.default_rng(draw(seeds))
    focal = draw(st.floats(300, 3000))
    lens = rng.uniform(-1, 1, 5) * [0.2, 0.05, 0.002, 0.002, 0.01] * draw(st.sampled_from((0, 1)))
    return geometry.Camera(
        rotation=rotation(rng), position=rng.normal(size=3) * 5, focal=[focal, focal * draw(st.floats(0.9, 1.1))],
        center=rng.uniform(300, 900, 2), image_size=(1280, 720), distortion=lens,
    )  # fmt: skip


def bodies(rng, count=6, joints=17, depth=5.0) -> np.ndarray:
    """(count, joints, 3) points in front of a camera, within 35 degrees of its axis."""
    z = rng.uniform(0.8, 1.2, (count, joints, 1)) * depth
    return np.concatenate([rng.uniform(-0.45, 0.45, (count, joints, 2)) * z, z], axis=-1)


# --- Geometry -------------------------------------------------------------------------------------


@examples
@given(cameras(), seeds, st.floats(0.5, 50))
def test_a_point_comes_back_from_its_pixel_and_depth(camera, seed, depth):
    points = bodies(np.random.default_rng(seed), depth=depth)
    pixels = geometry.project(points, camera)
    np.testing.assert_allclose(geometry.back_project(pixels, points[..., 2], camera), points, atol=1e-6 * depth)
    world = geometry.camera_to_world(points, camera)
    np.testing.assert_allclose(geometry.world_to_camera(world, camera), points, atol=1e-9 * (depth + 10))


@examples
@given(seeds, st.floats(1, 1e5), st.floats(1, 1e5))
def test_screen_coordinates_keep_angles_and_come_back(seed, width, height):
    pixels = np.random.default_rng(seed).uniform(0, 1, (5, 2)) * [width, height]
    screen, close = geometry.normalize_screen(pixels, width, height), 1e-9 * (width + height)
    np.testing.assert_allclose(geometry.denormalize_screen(screen, width, height), pixels, atol=close)
    assert np.abs(screen[..., 0]).max() <= 1 + 1e-12
    np.testing.assert_allclose(np.diff(screen, axis=0) * width / 2, np.diff(pixels, axis=0), atol=close)


@examples
@given(seeds, st.sampled_from((H36M_17, H36M_16)), st.sampled_from((2, 3)))
def test_a_mirrored_mirror_image_is_the_original(seed, skeleton, dims):
    pose = np.random.default_rng(seed).normal(size=(3, skeleton.num_joints, dims))
    mirrored = geometry.flip_pose(pose, skeleton)
    np.testing.assert_array_equal(geometry.flip_pose(mirrored, skeleton), pose)
    parents, children = np.transpose(skeleton.bones)
    one, two = (np.linalg.norm(p[:, children] - p[:, parents], axis=-1) for p in (pose, mirrored))
    np.testing.assert_allclose(np.sort(one, axis=1), np.sort(two, axis=1))


@examples
@given(seeds)
def test_a_rotation_comes_back_from_its_quaternion(seed):
    matrix = rotation(np.random.default_rng(seed))
    quaternion = geometry.matrix_to_quaternion(matrix)
    assert quaternion[0] >= 0 and np.linalg.norm(quaternion) == pytest.approx(1)
    np.testing.assert_allclose(geometry.quaternion_to_matrix(quaternion), matrix, atol=1e-9)


@examples
@given(seeds, st.floats(1.5, 40))
def test_the_root_is_found_where_it_was(seed, depth):
    points = bodies(np.random.default_rng(seed), depth=depth)
    root = points[:, :1]
    found = geometry.estimate_root(points - root, points[..., :2] / points[..., 2:])
    np.testing.assert_allclose(found, root[:, 0], rtol=1e-6, atol=1e-8)
    again = geometry.on_rays(points - root, points[..., :2] / points[..., 2:], root[:, 0, 2])
    np.testing.assert_allclose(again, points - root, atol=1e-9 * depth)


# --- Windows --------------------------------------------------------------------------------------

lengths = st.lists(st.integers(1, 40), min_size=1, max_size=6)


@examples
@given(lengths, st.integers(1, 30), st.integers(1, 7), st.integers(1, 12))
def test_windows_stay_in_their_view_and_their_centres_are_evenly_apart(views, frames, stride, step):
    offsets = np.concatenate([[0], np.cumsum(views)])
    index = WindowIndex(offsets, frames, stride, step)
    assert index.num_windows == sum(-(-length // step) for length in views)
    rows = index.frame_indices(np.arange(index.num_windows))
    view = np.searchsorted(offsets, rows[:, frames // 2], side="right") - 1
    assert (rows >= offsets[view][:, None]).all() and (rows < offsets[view + 1][:, None]).all()
    centres = np.concatenate([np.arange(a, b, step) for a, b in zip(offsets[:-1], offsets[1:], strict=True)])
    np.testing.assert_array_equal(rows[:, frames // 2], centres)
    expected = centres[:, None] + (np.arange(frames) - frames // 2) * stride
    np.testing.assert_array_equal(rows, np.clip(expected, offsets[view][:, None], offsets[view + 1][:, None] - 1))


@examples
@given(lengths, st.integers(1, 12), st.data())
def test_weights_draw_as_many_windows_as_they_say(views, step, data):
    weights = np.array([data.draw(st.sampled_from((0.25, 0.5, 1, 2, 3.5))) for _ in views])
    index = WindowIndex(np.concatenate([[0], np.cumsum(views)]), 9, 1, step, weights)
    np.testing.assert_array_equal(np.diff(index.firsts), np.ceil(np.array(views) * weights / step))
    assert (index.frame_indices(np.arange(index.num_windows)) < sum(views)).all()


@examples
@given(st.integers(1, 5000), st.integers(0, 2**32 - 1))
def test_a_shuffled_epoch_has_every_window_once(count, key):
    np.testing.assert_array_equal(np.sort(permute(np.arange(count), count, key)), np.arange(count))


# --- Metrics --------------------------------------------------------------------------------------


def two_poses(seed, joints=17, count=4):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, joints, 3)), rng.normal(size=(count, joints, 3)), rng


@examples
@given(seeds, st.floats(0.01, 100))
def test_errors_are_distances(seed, factor):
    one, two, rng = two_poses(seed)
    three = rng.normal(size=one.shape)
    errors = metrics.mpjpe_mm(one, two)
    assert (errors > 0).all() and not metrics.mpjpe_mm(one, one).any()
    np.testing.assert_allclose(metrics.mpjpe_mm(two, one), errors)
    assert (errors <= metrics.mpjpe_mm(one, three) + metrics.mpjpe_mm(three, two) + 1e-9).all()
    np.testing.assert_allclose(metrics.mpjpe_mm(factor * one, factor * two), factor * errors)
    np.testing.assert_allclose(metrics.mpjpe_mm(one + rng.normal(size=(4, 1, 3)), two), errors)


@examples
@given(seeds, st.floats(0.05, 20))
def test_aligned_errors_do_not_see_what_they_align(seed, factor):
    one, two, rng = two_poses(seed)
    aligned = metrics.p_mpjpe_mm(one, two)
    moved = factor * one @ rotation(rng) + rng.normal(size=(4, 1, 3))
    np.testing.assert_allclose(metrics.p_mpjpe_mm(moved, two), aligned, rtol=1e-6)
    assert np.abs(metrics.p_mpjpe_mm(moved, one)).max() < 1e-6 * factor * 1000
    scaled = metrics.n_mpjpe_mm(one, two)
    np.testing.assert_allclose(metrics.n_mpjpe_mm(factor * one, two), scaled, rtol=1e-9)


@examples
@given(seeds, st.floats(10, 2000), st.floats(1, 3))
def test_shares_of_joints_are_counted(seed, threshold, more):
    one, two, _ = two_poses(seed)
    two = one + 0.1 * (two - one)
    distances = 1000 * np.linalg.norm((one - one[:, :1]) - (two - two[:, :1]), axis=-1)
    found = metrics.pck(one, two, threshold_mm=threshold)
    np.testing.assert_allclose(found, (distances < threshold).mean(axis=-1))
    assert (metrics.pck(one, two, threshold_mm=threshold * more) >= found).all()
    expected = np.mean([(distances < 5 * k).mean(axis=-1) for k in range(31)], axis=0)
    np.testing.assert_allclose(metrics.auc(one, two), expected, atol=1e-12)


@examples
@given(seeds)
def test_masked_joints_do_not_count(seed):
    one, two, rng = two_poses(seed)
    mask = rng.random((4, 17)) < 0.5
    mask[:, 1] = True
    other = np.where(mask[..., None], one, rng.normal(size=one.shape) * 100)
    for error in (metrics.mpjpe_mm, metrics.pck, metrics.auc):
        np.testing.assert_allclose(error(other, two, root=None, mask=mask), error(one, two, root=None, mask=mask))
    aligned = metrics.p_mpjpe_mm(one, two, mask=mask)
    np.testing.assert_allclose(metrics.p_mpjpe_mm(other, two, mask=mask), aligned, rtol=1e-6, atol=1e-6)


@examples
@given(seeds)
def test_velocity_is_blind_to_where_a_motion_is(seed):
    one, two, rng = two_poses(seed)
    moved = one + rng.normal(size=(1, 17, 3))
    np.testing.assert_allclose(metrics.velocity_error_mm(moved, two), metrics.velocity_error_mm(one, two), atol=1e-9)


# --- Skeletons ------------------------------------------------------------------------------------

detectors = st.sampled_from(list(DETECTORS.values()))


def detected(seed, source, lost=0.2):
    rng = np.random.default_rng(seed)
    points, scores = rng.uniform(0, 1000, (4, source.num_joints, 2)), rng.uniform(0.05, 1, (4, source.num_joints))
    gone = rng.random(scores.shape) < lost
    points[gone], scores[gone] = np.nan, 0.0
    return points, scores


@examples
@given(seeds, detectors, st.sampled_from((H36M_17, H36M_16)), st.floats(0.1, 10), st.floats(-1e3, 1e3))
def test_derived_joints_move_with_the_picture_whatever_is_missing(seed, source, target, factor, shift):
    points, scores = detected(seed, source)
    pose, sure = from_detector(points, scores, source, target)
    moved, same = from_detector(factor * points + shift, scores, source, target)
    np.testing.assert_allclose(moved, factor * pose + shift, rtol=1e-4, atol=1e-2)
    np.testing.assert_array_equal(same, sure)
    np.testing.assert_array_equal(np.isnan(pose).any(axis=-1), sure == 0)
    assert (sure <= np.float32(scores.max())).all()


@examples
@given(seeds, detectors)
def test_the_mirror_image_of_a_detection_gives_the_mirror_image_of_the_pose(seed, source):
    points, scores = detected(seed, source)
    mirrored = points[:, source.flip_order] * [-1, 1]
    pose, sure = from_detector(points, scores, source)
    found, found_sure = from_detector(mirrored, scores[:, source.flip_order], source)
    np.testing.assert_allclose(found, geometry.flip_pose(pose, H36M_17), rtol=1e-5, atol=1e-3)
    np.testing.assert_array_equal(found_sure, geometry.flip_joints(sure, H36M_17))


@pytest.mark.parametrize("skeleton", [H36M_17, H36M_16, *DETECTORS.values()], ids=lambda s: s.name)
def test_every_joint_hangs_on_the_root_and_sides_pair_up(skeleton):
    for joint in range(skeleton.num_joints):
        seen = set()
        while joint >= 0:
            assert joint not in seen
            seen.add(joint)
            joint = skeleton.parents[joint]
    np.testing.assert_array_equal(skeleton.flip_order[skeleton.flip_order], np.arange(skeleton.num_joints))
    for parent, child in skeleton.bones:  # a bone's mirror image is a bone
        assert skeleton.parents[skeleton.flip_order[child]] in (skeleton.flip_order[parent], parent)


# --- The camera that follows ----------------------------------------------------------------------

rates = st.sampled_from((12.5, 24.0, 25.0, 29.97, 30.0, 50.0, 60.0, 120.0))


@examples
@given(seeds, st.floats(0, 3))
def test_turns_are_rotations_onto_the_axis(seed, spread):
    points = spread * np.random.default_rng(seed).normal(size=(5, 2))
    turns = turns_to(points)
    np.testing.assert_allclose(turns @ turns.swapaxes(1, 2), np.broadcast_to(np.eye(3), (5, 3, 3)), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(turns), 1)
    rays = np.concatenate([points, np.ones((5, 1))], axis=1)
    turned = np.einsum("fij,fj->fi", turns, rays)
    np.testing.assert_allclose(turned, np.linalg.norm(rays, axis=1)[:, None] * [0, 0, 1], atol=1e-12 * (1 + spread))
    poses = np.random.default_rng(seed).normal(size=(5, 17, 3))
    np.testing.assert_allclose(turn_back(turn_poses(poses, turns), turns), poses, atol=1e-5)


@examples
@given(seeds, rates, st.floats(0, 0.9))
def test_following_sees_nothing_of_joints_that_are_not_seen(seed, fps, hidden):
    rng = np.random.default_rng(seed)
    rays, seen = 0.3 * rng.normal(size=(20, 17, 2)), rng.random((20, 17)) >= hidden
    found, turns = follow(rays, seen, fps)
    other, same = follow(np.where(seen[..., None], rays, np.nan), seen, fps)
    np.testing.assert_array_equal(found, other)
    np.testing.assert_array_equal(turns, same)
    assert np.isfinite(found).all() and not found[~seen].any()
    mirrored, _ = follow(rays * [-1, 1], seen, fps)
    np.testing.assert_allclose(mirrored, found * [-1, 1], rtol=1e-5, atol=1e-5)


# --- Resampling -----------------------------------------------------------------------------------


@examples
@given(st.integers(1, 80), rates, rates)
def test_poses_cover_all_frames_and_no_more(frames, fps, rate):
    count = count_at(frames, fps, rate)
    assert (count - 1) / rate >= (frames - 1) / fps - 1e-5
    assert count == 1 or (count - 2) / rate < (frames - 1) / fps


@examples
@given(seeds, st.integers(1, 60), rates, rates, st.floats(0, 0.9))
def test_resampling_looks_at_seen_joints_only(seed, frames, fps, rate, hidden):
    rng = np.random.default_rng(seed)
    points, scores = rng.uniform(0, 100, (frames, 5, 2)), rng.uniform(0.3, 1, (frames, 5))
    scores[rng.random(scores.shape) < hidden] = 0.0
    found, seen = resample_keypoints(points, scores, fps, rate)
    assert found.shape == (count_at(frames, fps, rate), 5, 2)
    other, same = resample_keypoints(np.where(scores[..., None] > 0, points, np.nan), scores, fps, rate)
    np.testing.assert_array_equal(found, other)
    np.testing.assert_array_equal(seen, same)
    assert np.isfinite(found).all() and not found[~seen].any()
    assert (found[seen] >= -0.01).all() and (found[seen] <= 100.01).all()  # between what it is made of
    if hidden == 0:
        assert seen.all()


@examples
@given(seeds, st.integers(1, 60), rates, rates)
def test_what_stands_still_stands_still_at_any_rate(seed, frames, fps, rate):
    place = np.random.default_rng(seed).uniform(1, 100, (1, 5, 2))
    found, seen = resample_keypoints(np.repeat(place, frames, 0), np.ones((frames, 5)), fps, rate)
    assert seen.all()
    np.testing.assert_allclose(found, np.broadcast_to(place, found.shape), rtol=1e-5)
    back = poses_at(found, rate, fps, frames)
    assert back.shape == (frames, 5, 2)
    np.testing.assert_allclose(back, np.broadcast_to(place, back.shape), rtol=1e-4)
