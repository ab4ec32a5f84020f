"""Virtual cameras: 2D and 3D views of motion that was captured without pictures."""

import dataclasses
import zlib

import numpy as np

from mpm_keras import geometry
from mpm_keras.data.motion import Motion
from mpm_keras.data.views import Views


@dataclasses.dataclass(frozen=True)
class CameraRanges:
    """What virtual cameras are drawn from; (low, high) pairs are uniform ranges.

    The pitch follows from height, distance and target; the azimuth is uniform over the full circle.

    Attributes:
        focal: focal length in units of half the image width; Human3.6M's cameras have about 2.3.
        distance: metres from the camera to the space that the clip fills, horizontally.
        height: metres above the lowest joint of the clip.
        target_jitter: the camera looks at the middle of the walked path plus up to so many metres
            along each axis.
        roll: largest tilt to either side, degrees.
        nearest: smallest distance along the viewing direction of any joint, metres.
        border: share of half the picture that is left free at each edge; below 0 joints may leave the
            picture by so much, as where only a moving camera would keep the person in it.
        image_size: width and height, pixels.
    """

    focal: tuple[float, float] = (1.6, 3.2)
    distance: tuple[float, float] = (2.5, 6.0)
    height: tuple[float, float] = (0.4, 2.4)
    target_jitter: float = 0.3
    roll: float = 5.0
    nearest: float = 0.8
    border: float = 0.02
    image_size: tuple[int, int] = (1000, 1000)

    def __post_init__(self):
        for name in ("focal", "distance", "height"):
            low, high = getattr(self, name)
            if not low <= high:
                raise ValueError(f"{name}: expected (low, high), found {getattr(self, name)}")
        if not (self.focal[0] > 0 and self.distance[0] > 0 and self.nearest > 0 and self.border < 1):
            raise ValueError(f"focal, distance and nearest must be positive and border below 1: {self}")


def camera_rng(seed: int, clip_name: str, camera: int) -> np.random.Generator:
    """The random numbers of one camera of one clip: a function of its arguments alone.

    So a clip's cameras stay the same whichever other clips are filmed with it.
    """
    if seed < 0 or not 0 <= camera < 2**32:
        raise ValueError(f"seed and camera index must not be negative, found {seed} and {camera}")
    clip = zlib.crc32(clip_name.encode()) << 32 | camera
    return np.random.Generator(np.random.Philox(key=np.array([seed, clip], np.uint64)))


def draw_camera(clip, ranges: CameraRanges, rng: np.random.Generator) -> geometry.Camera:
    """A camera that films the whole of a (frames, J, 3) world clip, metres, with z up.

    It looks near the middle of the walked path from a random side. Where the drawn distance would
    leave a joint of any frame outside the picture or nearer than `ranges.nearest`, it moves back.
    """
    clip = np.asarray(clip, np.float64)
    if clip.ndim != 3 or clip.shape[-1] != 3 or not clip.size or not np.isfinite(clip).all():
        raise ValueError(f"expected finite poses of shape (frames, J, 3), found {clip.shape}")
    path, points = clip.mean(axis=1), clip.reshape(-1, 3)
    middle = (path.min(axis=0) + path.max(axis=0)) / 2
    target = middle + rng.uniform(-ranges.target_jitter, ranges.target_jitter, size=3)
    azimuth, roll = rng.uniform(-np.pi, np.pi), np.deg2rad(rng.uniform(-ranges.roll, ranges.roll))
    height = points[:, 2].min() + rng.uniform(*ranges.height)
    reach = np.linalg.norm(points[:, :2] - target[:2], axis=-1).max()
    distance = reach + rng.uniform(*ranges.distance)
    size = np.array(ranges.image_size)
    focal = rng.uniform(*ranges.focal) * size[0] / 2
    slopes = (1 - ranges.border) * size / 2 / focal  # the picture's edges, as |X| / Z and |Y| / Z
    while True:
        position = [target[0] + distance * np.cos(azimuth), target[1] + distance * np.sin(azimuth), height]
        rotation = geometry.look_at(position, target, roll)
        seen = (points - position) @ rotation.T
        needed = np.maximum((np.abs(seen[:, :2]) / slopes).max(axis=-1), ranges.nearest)
        short = (needed - seen[:, 2]).max()
        if short <= 0:
            return geometry.Camera(rotation, position, [focal, focal], size / 2, ranges.image_size)
        distance += short + 0.01  # moving back also lowers the pitch, so look again


def film(motion: Motion, cameras_per_clip: int = 1, ranges: CameraRanges | None = None, seed: int = 0) -> Views:
    """Films every clip with virtual cameras of its own.

    The views stand clip by clip, camera by camera; view names are `<clip>@cam<k>`. 2D is exact
    (no detector noise), so there is no confidence. The same motion and seed give the same views,
    and a clip's views do not depend on the other clips.
    """
    if cameras_per_clip < 1:
        raise ValueError(f"cameras_per_clip must be at least 1, found {cameras_per_clip}")
    ranges = ranges or CameraRanges()
    clips = [i for i in range(motion.num_clips) for _ in range(cameras_per_clip)]
    numbers = list(range(cameras_per_clip)) * motion.num_clips
    offsets = np.concatenate([[0], np.cumsum(np.diff(motion.offsets)[clips])]).astype(np.int64)
    joints = motion.skeleton.num_joints
    pose_2d = np.empty((offsets[-1], joints, 2), np.float32)
    pose_3d = np.empty((offsets[-1], joints, 3), np.float32)
    root_3d = np.empty((offsets[-1], 3), np.float32)
    intrinsics = np.empty((len(clips), 9), np.float32)
    for v, (i, k) in enumerate(zip(clips, numbers, strict=True)):
        frames = slice(offsets[v], offsets[v + 1])
        camera = draw_camera(motion.clip(i), ranges, camera_rng(seed, motion.names[i], k))
        seen = geometry.world_to_camera(motion.clip(i), camera)
        pose_2d[frames] = geometry.normalize_screen(geometry.project(seen, camera), *camera.image_size)
        root_3d[frames] = seen[:, motion.skeleton.root]
        pose_3d[frames] = geometry.root_relative(seen, motion.skeleton.root)
        intrinsics[v] = camera.intrinsics
    return Views(
        offsets=offsets,
        names=tuple(f"{motion.names[i]}@cam{k}" for i, k in zip(clips, numbers, strict=True)),
        subjects=tuple(motion.subjects[i] for i in clips),
        actions=tuple(motion.actions[i] for i in clips),
        cameras=tuple(f"cam{k}" for k in numbers),
        fps=np.asarray(motion.fps, np.float32)[clips],
        intrinsics=intrinsics,
        image_size=np.tile(np.array(ranges.image_size, np.int32), (len(clips), 1)),
        pose_2d=pose_2d,
        pose_3d=pose_3d,
        root_3d=root_3d,
        skeleton=motion.skeleton,
        licenses=tuple(motion.licenses[i] for i in clips),
        provenance=tuple(motion.provenance[i] for i in clips),
        dataset=motion.dataset,
    )
