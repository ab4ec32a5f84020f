"""Cameras, projection, screen coordinates, rotations and the horizontal flip, in NumPy.

Frames of reference: the *world* is right-handed with z up; the *camera frame* has x to the right
of the picture, y down and z forward. Lengths are metres, image coordinates pixels. All functions
work over any leading axes and compute in float64, except the root subtraction and the flip, which
keep the type they are given.
"""

import dataclasses

import numpy as np

from mpm_keras.skeletons import Skeleton


@dataclasses.dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole camera with lens distortion.

    Attributes:
        rotation: (3, 3) world -> camera; its rows are the camera's right, down and forward axes in
            world coordinates.
        position: (3,) the camera's centre in the world, metres.
        focal: (fx, fy) focal length, pixels.
        center: (cx, cy) principal point, pixels.
        distortion: (k1, k2, p1, p2, k3), applied as `distort` says; zeros for an ideal lens.
        image_size: (width, height), pixels.

    Raises `ValueError` for a wrong shape, a value that is not finite, a focal length or image size
    that is not positive, or a matrix that is not a rotation.
    """

    rotation: np.ndarray
    position: np.ndarray
    focal: np.ndarray
    center: np.ndarray
    image_size: tuple[int, int]
    distortion: np.ndarray = (0.0, 0.0, 0.0, 0.0, 0.0)

    def __post_init__(self):
        for name, shape in (
            ("rotation", (3, 3)),
            ("position", (3,)),
            ("focal", (2,)),
            ("center", (2,)),
            ("distortion", (5,)),
        ):
            value = np.array(getattr(self, name), np.float64)
            if value.shape != shape or not np.isfinite(value).all():
                raise ValueError(f"camera {name} must be finite with shape {shape}, found {value.tolist()}")
            object.__setattr__(self, name, value)
        width, height = (int(n) for n in self.image_size)
        object.__setattr__(self, "image_size", (width, height))
        if min(width, height) <= 0 or (self.focal <= 0).any():
            raise ValueError(f"image size and focal length must be positive, found {self.image_size}, {self.focal}")
        orthogonal = np.allclose(self.rotation @ self.rotation.T, np.eye(3), atol=1e-5)
        if not orthogonal or np.linalg.det(self.rotation) < 0:
            raise ValueError(f"not a rotation matrix: {self.rotation.tolist()}")

    @classmethod
    def from_intrinsics(cls, intrinsics, image_size, rotation=None, position=(0.0, 0.0, 0.0)) -> "Camera":
        """A camera from (9,) `fx, fy, cx, cy, k1, k2, p1, p2, k3`, by default at the world's origin."""
        values = np.asarray(intrinsics, np.float64)
        if values.shape != (9,):
            raise ValueError(f"intrinsics must have shape (9,), found {values.shape}")
        rotation = np.eye(3) if rotation is None else rotation
        return cls(rotation, position, values[:2], values[2:4], image_size, values[4:])

    @property
    def intrinsics(self) -> np.ndarray:
        """(9,) float64 `fx, fy, cx, cy, k1, k2, p1, p2, k3`."""
        return np.concatenate([self.focal, self.center, self.distortion])

    @property
    def translation(self) -> np.ndarray:
        """(3,) the t of `rotation @ x + t`; the camera's `position` is `-rotation.T @ t`."""
        return -self.rotation @ self.position


def world_to_camera(points, camera: Camera) -> np.ndarray:
    """(..., 3) world points, metres -> (..., 3) in the camera frame. Raises `ValueError` on another shape."""
    return (_vectors(points, 3) - camera.position) @ camera.rotation.T


def camera_to_world(points, camera: Camera) -> np.ndarray:
    """Inverse of `world_to_camera`."""
    return _vectors(points, 3) @ camera.rotation + camera.position


def distort(points, distortion) -> np.ndarray:
    """Lens distortion of (..., 2) ideal image points (X/Z, Y/Z); the focal length comes afterwards.

    With r2 = x^2 + y^2:

        g  = 1 + k1 r2 + k2 r2^2 + k3 r2^3 + p1 x + p2 y
        x' = x g + p1 r2
        y' = y g + p2 r2

    as `project_to_2d` of VideoPose3D, with which the common Human3.6M 2D files were made. It keeps
    the radial (k1, k2, k3) and the tangential (p1, p2) apart; here they stand in the order
    (k1, k2, p1, p2, k3). The projection script of the Human3.6M release itself exchanges the two
    tangential numbers: for its model pass (k1, k2, p2, p1, k3). VideoPose3D also clamps X/Z and Y/Z
    to [-1, 1]; this does not, since a clamp cannot be undone, so the two part beyond 45 degrees.
    """
    points = _vectors(points, 2)
    k1, k2, p1, p2, k3 = distortion
    r2 = np.square(points).sum(-1, keepdims=True)
    tangential = np.array([p1, p2])
    gain = 1 + r2 * (k1 + r2 * (k2 + r2 * k3)) + (points @ tangential)[..., None]
    return points * gain + r2 * tangential


def project(points, camera: Camera) -> np.ndarray:
    """(..., 3) camera-frame points, metres -> (..., 2) pixels.

    Raises `ValueError` when a point is not in front of the camera (z > 0).
    """
    points = _vectors(points, 3)
    depth = points[..., 2:]
    if not (depth > 0).all():
        behind = int((~(depth > 0)).sum())
        raise ValueError(
            f"{behind} of {depth.size} points are not in front of the camera, smallest z {depth.min():.3f} m"
        )
    ideal = points[..., :2] / depth
    if camera.distortion.any():
        ideal = distort(ideal, camera.distortion)
    return ideal * camera.focal + camera.center


def undistort(pixels, camera: Camera, tolerance: float = 1e-9, iterations: int = 50) -> np.ndarray:
    """(..., 2) pixels -> (..., 2) ideal image points (X/Z, Y/Z), the inverse of `distort` by Newton's method.

    Stops when every point, distorted again, comes within `tolerance` of its pixel (in units of the
    focal length). Raises `ValueError` where that fails or the lens model folds over, and for NaN.
    """
    target = (_vectors(pixels, 2) - camera.center) / camera.focal
    if not camera.distortion.any():
        return target
    ideal = target.copy()
    for _ in range(iterations):
        error = distort(ideal, camera.distortion) - target
        jacobian, gain = _distortion_jacobian(ideal, camera.distortion)
        (a, b), (c, d) = np.moveaxis(jacobian, (-2, -1), (0, 1))
        determinant = a * d - b * c
        if np.abs(error).max(initial=0.0) <= tolerance:
            break
        step = np.stack([d * error[..., 0] - b * error[..., 1], a * error[..., 1] - c * error[..., 0]], axis=-1)
        ideal = ideal - step / np.where(np.abs(determinant) < 1e-6, 1e-6, determinant)[..., None]
    # Beyond a fold of the lens model lie mirrored solutions that satisfy the equation all the same.
    bad = ~((np.abs(error).max(-1) <= tolerance) & (gain > 0) & (determinant > 0))
    if bad.any():
        raise ValueError(
            f"{int(bad.sum())} of {bad.size} points cannot be undistorted: the lens model folds over there"
        )
    return ideal


def _distortion_jacobian(points, distortion) -> tuple[np.ndarray, np.ndarray]:
    """(..., 2, 2) derivative of `distort` and its (...) gain g."""
    k1, k2, p1, p2, k3 = distortion
    tangential = np.array([p1, p2])
    r2 = np.square(points).sum(-1)
    gain = 1 + r2 * (k1 + r2 * (k2 + r2 * k3)) + points @ tangential
    slope = 2 * (k1 + r2 * (2 * k2 + r2 * 3 * k3))  # the gradient of g is slope * (x, y) + (p1, p2)
    gradient = slope[..., None] * points + tangential
    jacobian = gain[..., None, None] * np.eye(2) + points[..., :, None] * gradient[..., None, :]
    return jacobian + 2 * tangential[:, None] * points[..., None, :], gain


def back_project(pixels, depth, camera: Camera) -> np.ndarray:
    """(..., 2) pixels and their (...) depth z in metres -> (..., 3) points in the camera frame, metres.

    Raises `ValueError` when the shapes do not go together.
    """
    pixels, depth = _vectors(pixels, 2), np.asarray(depth, np.float64)
    if depth.shape != pixels.shape[:-1]:
        raise ValueError(
            f"pixels of shape {pixels.shape} need a depth of shape {pixels.shape[:-1]}, found {depth.shape}"
        )
    ideal = undistort(pixels, camera)
    return np.concatenate([ideal, np.ones_like(depth)[..., None]], axis=-1) * depth[..., None]


def normalize_screen(pixels, width: float, height: float) -> np.ndarray:
    """(..., 2) pixels -> normalised screen `X / w * 2 - [1, h / w]`: x in [-1, 1], y by the same factor."""
    if not (width > 0 and height > 0):
        raise ValueError(f"image width and height must be positive, found {width} x {height}")
    return _vectors(pixels, 2) / width * 2 - [1, height / width]


def denormalize_screen(points, width: float, height: float) -> np.ndarray:
    """Inverse of `normalize_screen`: (..., 2) normalised screen -> pixels."""
    if not (width > 0 and height > 0):
        raise ValueError(f"image width and height must be positive, found {width} x {height}")
    return (_vectors(points, 2) + [1, height / width]) * width / 2


def root_relative(pose, root: int = 0) -> np.ndarray:
    """(..., J, D) poses minus their root joint; the root itself becomes zero."""
    pose = np.asarray(pose)
    if pose.ndim < 2 or not 0 <= root < pose.shape[-2]:
        raise ValueError(f"poses of shape {pose.shape} have no joint {root}")
    return pose - pose[..., root : root + 1, :]


def flip_joints(values, skeleton: Skeleton) -> np.ndarray:
    """Exchanges left and right joints of (..., J) values: masks, confidences."""
    values = np.asarray(values)
    if values.ndim < 1 or values.shape[-1] != skeleton.num_joints:
        raise ValueError(f"expected shape (..., {skeleton.num_joints}) of {skeleton.name}, found {values.shape}")
    return values[..., skeleton.flip_order]


def flip_pose(pose, skeleton: Skeleton) -> np.ndarray:
    """The horizontal flip: x -> -x, and left and right joints change places.

    For (..., J, 2) in normalised screen coordinates and (..., J, 3) in the camera frame; masks and
    confidences that go with the pose need `flip_joints`. Keeps the dtype.
    """
    pose = np.asarray(pose)
    if pose.ndim < 2 or pose.shape[-2] != skeleton.num_joints or pose.shape[-1] not in (2, 3):
        raise ValueError(f"expected (..., {skeleton.num_joints}, 2 or 3) of {skeleton.name}, found {pose.shape}")
    flipped = np.take(pose, skeleton.flip_order, axis=-2)  # a copy, made several times as fast as by an index
    flipped[..., 0] *= -1
    return flipped


def quaternion_to_matrix(quaternion) -> np.ndarray:
    """(..., 4) quaternions w, x, y, z of any length but zero -> (..., 3, 3) rotation matrices."""
    quaternion = _vectors(quaternion, 4)
    norm = np.linalg.norm(quaternion, axis=-1, keepdims=True)
    if not (norm > 0).all():
        raise ValueError("a quaternion of length zero or NaN is no rotation")
    w, x, y, z = np.moveaxis(quaternion / norm, -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def matrix_to_quaternion(matrix) -> np.ndarray:
    """(..., 3, 3) rotation matrices -> (..., 4) unit quaternions w, x, y, z with w >= 0."""
    m = np.asarray(matrix, np.float64)
    if m.shape[-2:] != (3, 3):
        raise ValueError(f"expected shape (..., 3, 3), found {m.shape}")
    xx, yy, zz = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    wx, wy, wz = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    xy, xz, yz = m[..., 0, 1] + m[..., 1, 0], m[..., 0, 2] + m[..., 2, 0], m[..., 1, 2] + m[..., 2, 1]
    # Row i is the quaternion times 4 q_i. The row with the largest diagonal is far from zero.
    rows = [
        [1 + xx + yy + zz, wx, wy, wz],
        [wx, 1 + xx - yy - zz, xy, xz],
        [wy, xy, 1 - xx + yy - zz, yz],
        [wz, xz, yz, 1 - xx - yy + zz],
    ]
    table = np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)
    best = np.argmax(np.diagonal(table, axis1=-2, axis2=-1), axis=-1)
    quaternion = np.take_along_axis(table, best[..., None, None], axis=-2)[..., 0, :]
    quaternion /= np.linalg.norm(quaternion, axis=-1, keepdims=True)
    return quaternion * np.where(quaternion[..., :1] < 0, -1.0, 1.0)


def look_at(position, target, roll: float = 0.0) -> np.ndarray:
    """(3, 3) world -> camera rotation of a camera at `position` that looks at `target`, world z up.

    `roll`, in radians, turns the camera clockwise about its viewing direction, seen from behind it.
    Looking straight up or down, where "up" in the picture is undefined, the world's x points right.
    Raises `ValueError` when position and target coincide.
    """
    forward = _vectors(target, 3) - _vectors(position, 3)
    length = np.linalg.norm(forward)
    if not length > 0:
        raise ValueError(f"a camera at {np.asarray(position).tolist()} cannot look at itself")
    forward = forward / length
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right = right / np.linalg.norm(right) if np.linalg.norm(right) > 1e-9 else np.array([1.0, 0.0, 0.0])
    down = np.cross(forward, right)
    turned = np.cos(roll) * right + np.sin(roll) * down
    return np.stack([turned, np.cross(forward, turned), forward])


def _vectors(values, size: int) -> np.ndarray:
    values = np.asarray(values, np.float64)
    if values.ndim < 1 or values.shape[-1] != size:
        raise ValueError(f"expected shape (..., {size}), found {values.shape}")
    return values


def estimate_root(pose, rays) -> np.ndarray:
    """Where a root-relative pose must stand to be seen as it was: least squares over its joints.

    With the joint at (X, Y, Z) relative to the root (x, y, z) and seen at (u, v) = ((x + X) / (z + Z),
    (y + Y) / (z + Z)), x - u z = u Z - X and y - v z = v Z - Y are linear in the root.

    Args:
        pose: (..., J, 3) root-relative metres, camera frame.
        rays: (..., J, 2) ideal image points, as `undistort` gives them.

    Returns:
        (..., 3) the root in the camera frame, metres. Where all rays coincide, its depth is 0.

    Raises:
        ValueError: for shapes that do not fit.
    """
    pose, rays = _vectors(pose, 3), _vectors(rays, 2)
    if pose.shape[:-1] != rays.shape[:-1]:
        raise ValueError(f"pose {pose.shape} and rays {rays.shape} do not fit")
    offsets = rays * pose[..., 2:] - pose[..., :2]  # (..., J, 2)
    mean_ray, mean_offset = rays.mean(axis=-2), offsets.mean(axis=-2)
    spread = np.square(rays - mean_ray[..., None, :]).sum(axis=(-2, -1))
    shared = ((rays - mean_ray[..., None, :]) * (offsets - mean_offset[..., None, :])).sum(axis=(-2, -1))
    depth = -shared / np.maximum(spread, 1e-12)
    return np.concatenate([mean_offset + mean_ray * depth[..., None], depth[..., None]], axis=-1)


def on_rays(pose, rays, root_depth, root: int = 0) -> np.ndarray:
    """A pose put on the rays of its keypoints at its own depths, root-relative.

    Args:
        pose: (..., J, 3) root-relative metres, camera frame; its z is kept.
        rays: (..., J, 2) ideal image points, as `undistort` gives them.
        root_depth: (...) z of the root joint in the camera frame, metres.
        root: index of the root joint.

    Returns:
        (..., J, 3).
    """
    pose, rays = _vectors(pose, 3), _vectors(rays, 2)
    depth = np.asarray(root_depth)[..., None, None] + pose[..., 2:]
    seen = np.concatenate([rays * depth, pose[..., 2:]], axis=-1)
    return root_relative(seen, root)
