"""Where a lifted person stands in the camera frame, approximately, and the focal length if it is not known.

A root-relative pose seen at known pixels stands at one place: where it projects onto them. Its
depth follows from the ratio of metres to pixels, so it is off by as much as the lifted body's size
is (`bones.scale_to_height`), and by as much as the focal length. How strongly near limbs are
enlarged tells the focal length, faintly.
"""

import numpy as np

from mpm_keras.geometry import Camera, undistort
from mpm_keras.inference.smoothing import savitzky_golay

# Focal lengths of ordinary cameras: 1.15 times the larger side of the picture (47 degrees across;
# the cameras of Human3.6M), and 68 % of them within a factor of e^0.3, from phones at 0.85 to 1.55.
FOCAL_PER_SIDE, FOCAL_SPREAD = 1.15, 0.3

# A body lifted too flat by a tenth asks for a focal length shorter by a tenth, however long the clip.
_FOCAL_BIAS = 0.1
_FOCAL_RANGE = (0.5, 3.0)  # times the larger side
_FOCAL_FRAMES = 240  # as many frames, spread over the clip, are looked at for it
_INDEPENDENT_PER_SECOND = 2.0  # errors of poses repeat from frame to frame; this many a second are news
_LEAST_PIXELS = 0.5  # detectors are not more exact than this

_LEAST_JOINTS, _LEAST_EXTENT = 4, 2.0  # and pixels
_HUBER = 1.5  # residuals of more than this many typical ones count less
_STEPS = 12
_NEAREST = 0.05  # metres: no joint is closer to the camera


def estimate_trajectory(
    positions_3d, keypoints_2d, confidence, image_size, fps, intrinsics=None, smooth_seconds: float = 0.6
) -> tuple[np.ndarray, dict]:
    """The root joint in the camera frame, for each frame.

    Args:
        positions_3d: (F, J, 3) metres, camera frame, relative to the root.
        keypoints_2d: (F, J, 2) pixels, NaN where not seen.
        confidence: (F, J), weights of the keypoints; 0 where not seen.
        image_size: (width, height), pixels.
        fps: frames a second.
        intrinsics: `fx, fy, cx, cy` or, with `k1, k2, p1, p2, k3`, all nine; pixels. None: square
            pixels, an ideal lens, the optical axis through the middle of the picture, and the focal
            length that fits the clip best, held near that of ordinary cameras (`FOCAL_PER_SIDE`).
        smooth_seconds: the depth, which shakes most, is smoothed over this time; 0 for not at all.

    Returns:
        (F, 3) float32 metres, and facts for a sidecar: `intrinsics` (9 numbers), `focal_length`
        ("given", "estimated" or "assumed"), `focal_uncertainty` (one standard deviation as a share
        of the focal length, None where given), `reprojection_px` (median over keypoints, None where
        no frame could be placed), `frames_interpolated` and `smooth_seconds`. Frames with fewer than
        4 keypoints, or whose keypoints coincide, are interpolated. Without any frame to go by the
        trajectory is all NaN.

    Raises:
        ValueError: for shapes that do not fit, a picture or frame rate without size, or intrinsics
            that are no camera.
    """
    pose, pixels, weights = _checked(positions_3d, keypoints_2d, confidence)
    if not (0 < fps < np.inf and 0 <= smooth_seconds < np.inf):
        raise ValueError(f"frame rate must be positive, smoothing not negative, found {fps} and {smooth_seconds}")
    facts = {"focal_length": "given", "focal_uncertainty": None}
    if intrinsics is None:
        focal, facts = estimate_focal(pose, pixels, weights, image_size, fps)
        intrinsics = [focal, focal, image_size[0] / 2, image_size[1] / 2]
    intrinsics = np.asarray(intrinsics, np.float64)
    if intrinsics.shape not in ((4,), (9,)):
        raise ValueError(f"intrinsics must be fx, fy, cx, cy, or nine numbers, found shape {intrinsics.shape}")
    camera = Camera.from_intrinsics(np.pad(intrinsics, (0, 9 - len(intrinsics))), image_size)
    rays = _rays(pixels, weights, camera)
    roots, residuals = place(pose, rays, weights, camera.focal)
    lost = np.isnan(roots).any(axis=-1)
    roots = _steadied(roots, pose, rays, weights, fps, smooth_seconds)
    seen = residuals[(weights > 0) & ~lost[:, None]]
    facts |= {
        "intrinsics": camera.intrinsics.tolist(),
        "reprojection_px": float(np.median(seen)) if len(seen) else None,
        "frames_interpolated": int(lost.sum()),
        "smooth_seconds": float(smooth_seconds),
    }
    return roots.astype(np.float32), facts


def estimate_focal(positions_3d, keypoints_2d, confidence, image_size, fps) -> tuple[float, dict]:
    """The focal length under which a clip's lifted poses fit its keypoints best.

    Every candidate places all poses anew; its likelihood goes by what then remains. Errors of lifted
    poses are alike in neighbouring frames, so that a second of motion counts as two independent
    frames. The result lies between the most likely focal length and that of ordinary cameras, by how
    sure each is.

    Args:
        positions_3d, keypoints_2d, confidence, image_size, fps: as for `estimate_trajectory`.

    Returns:
        The focal length, pixels, and facts: `focal_length` is "estimated" where the clip narrowed it
        down by a third or more, else "assumed"; `focal_uncertainty` as a share of it.

    Raises:
        ValueError: as `estimate_trajectory`.
    """
    pose, pixels, weights = _checked(positions_3d, keypoints_2d, confidence)
    side, center = float(max(image_size)), np.asarray(image_size, np.float64) / 2
    usable = np.flatnonzero(_enough(pixels, weights))
    if len(usable) == 0:
        return FOCAL_PER_SIDE * side, {"focal_length": "assumed", "focal_uncertainty": FOCAL_SPREAD}
    chosen = usable[np.linspace(0, len(usable) - 1, min(len(usable), _FOCAL_FRAMES)).round().astype(int)]
    pose, pixels, weights = pose[chosen], pixels[chosen], weights[chosen]
    offsets = np.where(weights[..., None] > 0, pixels - center, 0.0)

    def cost(log_ratio) -> float:
        focal = np.full(2, np.exp(log_ratio) * side)
        _, residuals = place(pose, offsets / focal, weights, focal)
        return (weights * _huber_cost(residuals)).sum() / weights.sum()

    # The residuals of a frame's joints share the error of its pose: the two coordinates of five limbs count.
    news = 10 * max(1.0, min(len(chosen), len(usable) / fps * _INDEPENDENT_PER_SECOND))
    low, high = bounds = np.log(_FOCAL_RANGE)
    for _ in range(2):  # the second time around what the first has found
        grid = np.linspace(low, high, 25)
        costs = np.array([cost(point) for point in grid])
        chance = np.exp(-0.5 * news * (costs - costs.min()) / max(costs.min(), _LEAST_PIXELS**2))
        mean = (chance * grid).sum() / chance.sum()
        spread = np.sqrt((chance * np.square(grid - mean)).sum() / chance.sum())
        margin = max(4 * spread, 1.5 * (grid[1] - grid[0]))
        low, high = np.clip([mean - margin, mean + margin], *bounds)
    # The clip's say and the prior's, by how sure each is.
    precision = 1 / (spread**2 + _FOCAL_BIAS**2), 1 / FOCAL_SPREAD**2
    share = precision[0] / sum(precision)
    uncertainty = float(sum(precision) ** -0.5)
    known = uncertainty < FOCAL_SPREAD * 2 / 3
    if not known:
        uncertainty = FOCAL_SPREAD
    ratio = np.exp(share * mean) * FOCAL_PER_SIDE ** (1 - share) if known else FOCAL_PER_SIDE
    facts = {"focal_length": "estimated" if known else "assumed", "focal_uncertainty": round(uncertainty, 3)}
    return float(ratio * side), facts


def place(pose, rays, weights, focal) -> tuple[np.ndarray, np.ndarray]:
    """Where root-relative poses stand: least squares of the reprojection in pixels, outliers held down.

    `geometry.estimate_root` with weights gives the start; then Gauss-Newton with Huber's weights.

    Args:
        pose: (F, J, 3) root-relative metres, camera frame.
        rays: (F, J, 2) ideal image points (X/Z, Y/Z); any finite number where the weight is 0.
        weights: (F, J), not negative.
        focal: (fx, fy) pixels.

    Returns:
        (F, 3) the roots, NaN where there is not enough to go by or they come to lie behind the
        camera, and (F, J) float64 distances in pixels.
    """
    enough = _enough(rays * focal, weights)
    roots = _linear_roots(pose, rays, weights)
    nearest = _NEAREST - pose[..., 2].min(axis=-1)
    behind = ~(roots[:, 2] > nearest)
    roots[:, 2] = np.maximum(np.where(np.isfinite(roots[:, 2]), roots[:, 2], nearest), nearest)
    robust = np.ones_like(weights)
    for _ in range(_STEPS):
        error, depth = _errors(roots, pose, rays)
        distance = np.linalg.norm(error * focal, axis=-1)
        robust = _huber_weights(distance, weights)
        roots = roots - _newton_step(error, depth, rays, weights * robust, focal)
        roots[:, 2] = np.maximum(roots[:, 2], nearest)
    error, _ = _errors(roots, pose, rays)
    lost = ~enough | (behind & (roots[:, 2] <= nearest + 1e-6))
    return np.where(lost[:, None], np.nan, roots), np.linalg.norm(error * focal, axis=-1)


def _errors(roots, pose, rays) -> tuple[np.ndarray, np.ndarray]:
    """(F, J, 2) ideal image points of the placed pose minus the rays, and (F, J) depths."""
    placed = pose + roots[:, None]
    return placed[..., :2] / placed[..., 2:] - rays, placed[..., 2]


def _newton_step(error, depth, rays, weights, focal) -> np.ndarray:
    """(F, 3) step of Gauss-Newton for the roots."""
    jacobian = np.zeros((*error.shape, 3))
    jacobian[..., 0, 0] = jacobian[..., 1, 1] = 1 / depth
    jacobian[..., 2] = -(error + rays) / depth[..., None]
    weighted = jacobian * (weights[..., None] * np.square(focal))[..., None]
    normal = np.einsum("fjci,fjck->fik", weighted, jacobian)
    gradient = np.einsum("fjci,fjc->fi", weighted, error)
    damping = 1e-9 * np.trace(normal, axis1=1, axis2=2)[:, None, None] + 1e-30
    return np.linalg.solve(normal + damping * np.eye(3), gradient[..., None])[..., 0]


def _linear_roots(pose, rays, weights) -> np.ndarray:
    """`geometry.estimate_root` with a weight for each joint; (F, 3)."""
    share = weights / np.maximum(weights.sum(axis=-1, keepdims=True), 1e-12)
    offsets = rays * pose[..., 2:] - pose[..., :2]
    mean_ray, mean_offset = ((share[..., None] * v).sum(axis=-2) for v in (rays, offsets))
    apart = rays - mean_ray[:, None]
    spread = (share[..., None] * np.square(apart)).sum(axis=(-2, -1))
    shared = (share[..., None] * apart * (offsets - mean_offset[:, None])).sum(axis=(-2, -1))
    depth = -shared / np.maximum(spread, 1e-12)
    return np.concatenate([mean_offset + mean_ray * depth[:, None], depth[:, None]], axis=-1)


def _huber_weights(distance, weights) -> np.ndarray:
    """(F, J) weights of residuals: 1, and less for those far beyond the median of their frame."""
    seen = np.where(weights > 0, distance, np.nan)
    seen[(weights <= 0).all(axis=-1)] = 0.0  # a frame without keypoints has no median
    limit = _HUBER * np.maximum(np.nanmedian(seen, axis=-1, keepdims=True), 1e-3)
    return limit / np.maximum(distance, limit)


def _huber_cost(distance) -> np.ndarray:
    """Squares that become straight lines beyond three times the typical distance of the clip."""
    limit = 3 * max(np.median(distance), _LEAST_PIXELS)
    return np.where(distance <= limit, np.square(distance), limit * (2 * distance - limit))


def _steadied(roots, pose, rays, weights, fps, seconds) -> np.ndarray:
    """Fills frames that could not be placed, smooths the depth and keeps the person on its rays."""
    known = np.isfinite(roots).all(axis=-1)
    if not known.any():
        return roots
    frames = np.arange(len(roots))
    filled = np.stack([np.interp(frames, frames[known], axis[known]) for axis in roots.T], axis=-1)
    if seconds == 0:
        return filled
    depth = np.maximum(savitzky_golay(filled[:, 2], seconds, fps), _NEAREST)
    # With the depth changed, x and y move along the mean ray, or the picture of the person would shift.
    share = weights / np.maximum(weights.sum(axis=-1, keepdims=True), 1e-12)
    mean_ray = (share[..., None] * rays).sum(axis=-2)
    mean_ray = np.stack([np.interp(frames, frames[known], axis[known]) for axis in mean_ray.T], axis=-1)
    moved = filled[:, :2] + mean_ray * (depth - filled[:, 2])[:, None]
    return np.concatenate([moved, depth[:, None]], axis=-1)


def _enough(pixels, weights) -> np.ndarray:
    """(F,) bool: enough keypoints, that do not all coincide."""
    seen = weights > 0
    lows, highs = (np.where(seen[..., None], pixels, fill) for fill in (np.inf, -np.inf))
    wide = (highs.max(axis=1) - lows.min(axis=1)).max(axis=-1) > _LEAST_EXTENT
    return wide & (seen.sum(axis=-1) >= _LEAST_JOINTS)


def _rays(pixels, weights, camera: Camera) -> np.ndarray:
    """(F, J, 2) ideal image points; of keypoints that were not seen, the middle of the picture."""
    return undistort(np.where(weights[..., None] > 0, pixels, camera.center), camera)


def _checked(positions_3d, keypoints_2d, confidence) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The arrays as float64, and the confidences as weights: 0 where a keypoint or its joint is not known."""
    pose, pixels, weights = (np.array(v, np.float64) for v in (positions_3d, keypoints_2d, confidence))
    if pose.ndim != 3 or pose.shape[2] != 3 or pixels.shape != (*pose.shape[:2], 2) or weights.shape != pose.shape[:2]:
        raise ValueError(f"expected (F, J, 3), (F, J, 2), (F, J), found {pose.shape}, {pixels.shape}, {weights.shape}")
    usable = np.isfinite(pixels).all(axis=-1) & np.isfinite(pose).all(axis=-1) & (weights > 0)
    pose[~np.isfinite(pose).all(axis=-1)] = 0.0
    return pose, np.where(usable[..., None], pixels, 0.0), np.where(usable, weights, 0.0)
