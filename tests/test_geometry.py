import numpy as np
import pytest

from mpm_keras import geometry as g
from mpm_keras.skeletons import H36M_16, H36M_17

pytestmark = pytest.mark.numpy_only

# A real lens: camera 54138969 of Human3.6M, subject 1 (constants as VideoPose3D lists them).
LENS = (-0.2070988, 0.2477725, -0.000975699, -0.00142447, -0.00307515)


def make_camera(distortion=LENS, **changes):
    fields = dict(
        rotation=g.look_at([3.0, -4.0, 1.5], [0.2, 0.1, 0.9], roll=0.1),
        position=[3.0, -4.0, 1.5],
        focal=[1145.05, 1143.78],
        center=[512.54, 515.45],
        image_size=(1000, 1002),
        distortion=distortion,
    )
    return g.Camera(**{**fields, **changes})


def random_points(rng, *shape):
    """Points at 2-6 m within 40 degrees of the optical axis."""
    points = rng.uniform([-0.8, -0.8, 1], [0.8, 0.8, 1], size=(*shape, 3))
    return points * rng.uniform(2, 6, size=(*shape, 1))


def test_world_camera_round_trip_and_translation():
    camera, points = make_camera(), np.random.default_rng(0).normal(size=(4, 17, 3))
    seen = g.world_to_camera(points, camera)
    np.testing.assert_allclose(g.camera_to_world(seen, camera), points, atol=1e-12)
    np.testing.assert_allclose(points @ camera.rotation.T + camera.translation, seen, atol=1e-12)
    np.testing.assert_allclose(g.world_to_camera(camera.position, camera), 0, atol=1e-12)


@pytest.mark.parametrize("distortion", [LENS, (0, 0, 0, 0, 0), (0.05, -0.02, 0.003, -0.004, 0.01)])
def test_project_undistort_back_project(distortion):
    camera, points = make_camera(distortion), random_points(np.random.default_rng(1), 5, 17)
    pixels = g.project(points, camera)
    np.testing.assert_allclose(g.undistort(pixels, camera), points[..., :2] / points[..., 2:], atol=1e-8)
    np.testing.assert_allclose(g.back_project(pixels, points[..., 2], camera), points, atol=1e-6)


def test_projection_by_hand():
    camera = make_camera(
        (0.1, 0.2, 0.01, 0.02, 0.3), rotation=np.eye(3), focal=[1000, 2000], center=[500, 400], position=[0, 0, 0]
    )
    # x = 0.5, y = -0.5, r2 = 0.5; gain = 1 + 0.05 + 0.05 + 0.0375 + 0.005 - 0.01 = 1.1325
    expected = [0.5 * 1.1325 + 0.005, -0.5 * 1.1325 + 0.01]
    np.testing.assert_allclose(g.distort([0.5, -0.5], camera.distortion), expected, atol=1e-15)
    np.testing.assert_allclose(
        g.project([1.0, -1.0, 2.0], camera), [1000 * expected[0] + 500, 2000 * expected[1] + 400]
    )


def test_distortion_of_the_human36m_release_is_the_same_with_p1_and_p2_exchanged():
    k1, k2, p1, p2, k3 = LENS
    points = np.random.default_rng(2).uniform(-0.8, 0.8, size=(50, 2))
    x, y = points.T
    r2 = x * x + y * y
    gain = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3 + p1 * y + p2 * x
    release = np.stack([x * gain + p2 * r2, y * gain + p1 * r2], axis=-1)
    np.testing.assert_allclose(g.distort(points, (k1, k2, p2, p1, k3)), release, atol=1e-15)


def test_points_behind_the_camera_raise():
    for z in (-1.0, 0.0, np.nan):
        with pytest.raises(ValueError, match="1 of 2 points are not in front"):
            g.project([[0, 0, 1.0], [0, 0, z]], make_camera())


def test_undistort_raises_where_the_lens_folds_over():
    camera = make_camera((-0.5, 0, 0, 0, 0))  # x (1 - x^2 / 2) <= 0.545 before it folds over
    with pytest.raises(ValueError, match="1 of 2 points cannot be undistorted"):
        g.undistort([camera.center, camera.center + [2 * camera.focal[0], 0]], camera)


def test_camera_intrinsics_round_trip():
    camera = make_camera()
    again = g.Camera.from_intrinsics(camera.intrinsics, camera.image_size, camera.rotation, camera.position)
    np.testing.assert_array_equal(again.intrinsics, camera.intrinsics)
    np.testing.assert_array_equal(camera.intrinsics[4:], LENS)


@pytest.mark.parametrize(
    "changes",
    [
        dict(rotation=np.diag([1.0, 1.0, -1.0])),
        dict(rotation=2 * np.eye(3)),
        dict(focal=[0, 1]),
        dict(image_size=(0, 5)),
        dict(center=[1, 2, 3]),
        dict(position=[0, np.nan, 0]),
    ],
)
def test_bad_cameras_raise(changes):
    with pytest.raises(ValueError):
        make_camera(**changes)


def test_normalize_screen():
    np.testing.assert_allclose(g.normalize_screen([[0, 0], [1920, 1080], [960, 540]], 1920, 1080)[0], [-1, -0.5625])
    np.testing.assert_allclose(g.normalize_screen([1920, 1080], 1920, 1080), [1, 0.5625])
    np.testing.assert_allclose(g.normalize_screen([960, 540], 1920, 1080), [0, 0])
    pixels = np.random.default_rng(3).uniform(-100, 2000, size=(3, 17, 2))
    np.testing.assert_allclose(g.denormalize_screen(g.normalize_screen(pixels, 640, 480), 640, 480), pixels, atol=1e-9)
    with pytest.raises(ValueError, match="positive"):
        g.normalize_screen([0, 0], 0, 480)


def test_quaternions():
    half = np.sqrt(0.5)
    np.testing.assert_allclose(
        g.quaternion_to_matrix([half, 0, 0, half]) @ [1, 0, 0], [0, 1, 0], atol=1e-12
    )  # 90 about z
    np.testing.assert_allclose(g.quaternion_to_matrix([5.0, 0, 0, 0]), np.eye(3))
    quaternions = np.random.default_rng(4).normal(size=(6, 50, 4))
    quaternions = np.concatenate([quaternions, np.broadcast_to(np.eye(4)[:, None], (4, 50, 4))])  # half turns too
    quaternions /= np.linalg.norm(quaternions, axis=-1, keepdims=True)
    matrices = g.quaternion_to_matrix(quaternions)
    np.testing.assert_allclose(np.linalg.det(matrices), 1)
    again = g.matrix_to_quaternion(matrices)
    assert (again[..., 0] >= 0).all()
    np.testing.assert_allclose(np.abs((again * quaternions).sum(-1)), 1)
    np.testing.assert_allclose(g.quaternion_to_matrix(again), matrices, atol=1e-12)
    with pytest.raises(ValueError, match="length zero"):
        g.quaternion_to_matrix([0, 0, 0, 0])


def test_look_at_axes():
    # From the origin along +y: right is +x, down is -z.
    np.testing.assert_allclose(g.look_at([0, 0, 0], [0, 7, 0]), [[1, 0, 0], [0, 0, -1], [0, 1, 0]], atol=1e-15)
    # From +x towards the origin: right is +y.
    np.testing.assert_allclose(g.look_at([4, 0, 1], [0, 0, 1])[0], [0, 1, 0], atol=1e-15)
    # A quarter roll clockwise: the picture's right is what was down.
    np.testing.assert_allclose(
        g.look_at([0, 0, 0], [0, 7, 0], np.pi / 2), [[0, 0, -1], [-1, 0, 0], [0, 1, 0]], atol=1e-15
    )
    for target in ([0, 0, 5], [0, 0, -5], [1, 2, 3]):
        rotation = g.look_at([0, 0, 0], target, roll=0.3)
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(rotation) == pytest.approx(1)
        np.testing.assert_allclose(rotation @ target, [0, 0, np.linalg.norm(target)], atol=1e-12)
    with pytest.raises(ValueError, match="cannot look at itself"):
        g.look_at([1, 2, 3], [1, 2, 3])


def test_upright_person_is_upright_in_the_picture():
    camera = make_camera(rotation=g.look_at([3, -4, 1.5], [0, 0, 0.9]))
    feet, head, camera_right = g.project(
        g.world_to_camera([[0, 0, 0], [0, 0, 1.7], camera.rotation[0] + [0, 0, 0.9]], camera), camera
    )
    assert head[1] < feet[1] and camera_right[0] > feet[0]


@pytest.mark.parametrize("skeleton", [H36M_17, H36M_16])
@pytest.mark.parametrize("size", [2, 3])
def test_flip_twice_is_the_identity(skeleton, size):
    pose = np.random.default_rng(5).normal(size=(2, 3, skeleton.num_joints, size)).astype(np.float32)
    before = pose.copy()
    flipped = g.flip_pose(pose, skeleton)
    assert flipped.dtype == np.float32
    np.testing.assert_array_equal(pose, before)
    np.testing.assert_array_equal(g.flip_pose(flipped, skeleton), pose)
    left, right = skeleton.index("LWrist"), skeleton.index("RWrist")
    np.testing.assert_array_equal(flipped[..., left, 0], -pose[..., right, 0])
    np.testing.assert_array_equal(flipped[..., left, 1:], pose[..., right, 1:])


def test_flip_joints_goes_with_flip_pose():
    pose = np.random.default_rng(6).normal(size=(4, 17, 3))
    hidden = pose[..., 1] > 0.3
    np.testing.assert_array_equal(g.flip_pose(pose, H36M_17)[..., 1] > 0.3, g.flip_joints(hidden, H36M_17))


def test_flip_commutes_with_projection_of_the_mirrored_scene():
    # A lens symmetric in x: principal point in the middle, p1 = 0.
    camera = make_camera((-0.2, 0.1, 0.0, -0.0014, 0.0), center=[500, 515])
    pose = random_points(np.random.default_rng(7), 3, 17)

    def screen(points):
        return g.normalize_screen(g.project(points, camera), *camera.image_size)

    np.testing.assert_allclose(screen(g.flip_pose(pose, H36M_17)), g.flip_pose(screen(pose), H36M_17), atol=1e-12)


def test_root_relative():
    pose = np.random.default_rng(8).normal(size=(5, 17, 3)).astype(np.float32)
    relative = g.root_relative(pose, 8)
    assert relative.dtype == np.float32 and not relative[:, 8].any()
    np.testing.assert_array_equal(relative[:, 3], pose[:, 3] - pose[:, 8])


@pytest.mark.parametrize(
    "call",
    [
        lambda: g.world_to_camera(np.zeros((4, 2)), make_camera()),
        lambda: g.project(np.ones((4, 2)), make_camera()),
        lambda: g.undistort(np.ones(3), make_camera()),
        lambda: g.back_project(np.ones((4, 2)), np.ones(3), make_camera()),
        lambda: g.flip_pose(np.zeros((4, 16, 3)), H36M_17),
        lambda: g.flip_pose(np.zeros((4, 17, 4)), H36M_17),
        lambda: g.flip_joints(np.zeros((17, 3)), H36M_17),
        lambda: g.root_relative(np.zeros((4, 17, 3)), 17),
        lambda: g.quaternion_to_matrix(np.zeros(3)),
        lambda: g.matrix_to_quaternion(np.zeros((3, 4))),
    ],
)
def test_wrong_shapes_raise(call):
    with pytest.raises(ValueError, match=r"\("):
        call()
