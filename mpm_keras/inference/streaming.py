"""Lifting frame by frame, as they come: for webcams."""

from collections import deque

import numpy as np

from mpm_keras.data.windows import flip_windows
from mpm_keras.following import rays_of, turn_back, turns_to
from mpm_keras.geometry import flip_pose, normalize_screen
from mpm_keras.inference.pose_lifter import PoseLifter, checked_intrinsics, checked_picture
from mpm_keras.inference.resampling import between_frames
from mpm_keras.inference.smoothing import OneEuro


class StreamingLifter:
    """Gives the pose of every frame from that frame and those before it.

    The newest frame is the last of the network's window, whose sequence head gives its pose. A delay
    lets the network see what follows, which is more exact.

    Args:
        lifter: `PoseLifter`.
        skeleton, image_size, intrinsics, threshold: as in `PoseLifter.lift`.
        fps: frames a second, where `push` gets no times.
        delay: poses of the network's window (of 1 / `lifter.rate` seconds) by which the result is late.
        flip: average with the mirrored prediction.
        smooth: `OneEuro`, or None.

    Raises:
        ValueError: for an option out of range.
    """

    def __init__(
        self, lifter: PoseLifter, *, skeleton="coco17", image_size, fps=30.0, intrinsics=None, threshold=None,
        delay=0, flip=True, smooth: OneEuro | None = None,
    ):  # fmt: skip
        self.lifter, self.skeleton, self.flip, self.smooth = lifter, skeleton, flip, smooth
        width, height, self.fps = checked_picture(image_size, fps)
        self.image_size = width, height
        self.camera, _ = checked_intrinsics(intrinsics, width, height)
        self.threshold = lifter.facts.confidence_threshold if threshold is None else threshold
        frames = lifter.network.frames
        if not 0 <= delay < frames:
            raise ValueError(f"delay must be in 0..{frames - 1} poses, found {delay}")
        self.reach = np.arange(1 - frames, 1) / lifter.rate  # seconds of a window's poses before the newest
        self.pose_index = frames - 1 - delay
        lifter.network.expect_many_batches()
        self.reset()

    def reset(self) -> None:
        """Forgets all frames."""
        self.frames = deque()
        self.given = None
        if self.smooth is not None:
            self.smooth.reset()

    def push(self, keypoints, scores=None, time: float | None = None) -> np.ndarray:
        """The next frame.

        Args:
            keypoints: (K, 2) pixels, NaN where not found; or (K, 3) with the score last.
            scores: (K,) in [0, 1]; None for 1.
            time: seconds, later than the frame before; None for 1 / fps later.

        Returns:
            (J, 3) float32 metres, root-relative, camera frame: the pose `delay` poses ago. Zeros as
            long as nothing has been seen.

        Raises:
            ValueError: for a wrong shape, or a time that does not go forward.
        """
        last = self.frames[-1][0] if self.frames else None
        if time is None:
            time = 0.0 if last is None else last + 1 / self.fps
        if not np.isfinite(time) or (last is not None and time <= last):
            raise ValueError(f"times must go forward, found {time} after {last}")
        scores = None if scores is None else np.asarray(scores)[None]
        points, sure = self.lifter.to_network_joints(np.asarray(keypoints)[None], scores, self.skeleton)
        self.frames.append((time, points[0], (sure[0] > 0) & (sure[0] >= self.threshold)))
        while len(self.frames) > 2 and self.frames[1][0] <= time + self.reach[0]:
            self.frames.popleft()  # one frame before the window stays, to interpolate from
        pose = self.current_pose(time)
        if self.smooth is not None:
            pose = self.smooth.push(pose, time - last if last is not None else 1 / self.fps).astype(np.float32)
        return pose

    def current_pose(self, time) -> np.ndarray:
        """(J, 3) of the window that ends now."""
        times = np.array([frame[0] for frame in self.frames])
        points = np.nan_to_num(np.stack([frame[1] for frame in self.frames]))
        seen = np.stack([frame[2] for frame in self.frames])
        if not seen.any():
            return np.zeros((self.lifter.skeleton.num_joints, 3), np.float32)
        place = np.interp(time + self.reach, times, np.arange(len(times)))
        sampled, shown = between_frames(points, seen, place, near=True)
        pose_2d, turn = self.framed(sampled, shown)
        pose = self.predict(pose_2d, ~shown)
        pose = pose - pose[self.lifter.skeleton.root]
        return pose if turn is None else turn_back(pose[None], turn)[0]

    def framed(self, points, seen):
        """What the network takes, and how the camera was turned: one turn, to the middle of the window."""
        if self.lifter.facts.detector == "none":
            return normalize_screen(points, *self.image_size).astype(np.float32), None
        rays = rays_of(points, self.camera[:2], self.camera[2:])
        turn = turns_to(rays[seen].mean(axis=0)[None]) if seen.any() else np.eye(3)[None]
        rays = np.concatenate([rays, np.ones_like(rays[..., :1])], axis=-1) @ turn[0].T
        rays = rays[..., :2] / np.maximum(rays[..., 2:], 1e-3)
        return np.where(seen[..., None], rays, 0.0).astype(np.float32), turn

    def predict(self, pose_2d, hidden) -> np.ndarray:
        """(J, 3) of the pose asked for; the mirror image goes through in the same batch."""
        batch, skeleton = {"pose_2d": pose_2d[None], "hidden": hidden[None]}, self.lifter.skeleton
        if self.flip:
            batch = {k: np.concatenate([v, flip_windows(v, skeleton)]) for k, v in batch.items()}
        found = np.asarray(self.lifter.network.predict_on_batch(batch)["sequence"], np.float32)[:, self.pose_index]
        return (found[0] + flip_pose(found[1], skeleton)) / 2 if self.flip else found[0]
