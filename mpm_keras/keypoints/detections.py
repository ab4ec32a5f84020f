"""What a 2D detector saw in a video: people frame by frame, and one person through time."""

import dataclasses

import numpy as np

from mpm_keras.skeletons import Skeleton


@dataclasses.dataclass(frozen=True, eq=False)
class Detections:
    """N people found in the frames of a video, whoever they are. Pixels: origin top left, x right, y down.

    Attributes:
        skeleton: the detector's convention, K joints.
        num_frames: frames of the video, also those with nobody.
        frame: (N,) int64, ascending, from 0.
        points: (N, K, 2) float32 pixels, NaN where a joint was not found.
        scores: (N, K) float32 in [0, 1]; 0 where not found, 1 where the file has no scores.
        track_ids: (N,) int64 the file's own number of the person, -1 where it has none.
        image_size: (width, height) in pixels, None where the file does not say.
        fps: frames a second, None where the file does not say.
        layout: what the file was recognised as, such as "mmpose".
        notes: what was assumed or left out while reading, a line each.
    """

    skeleton: Skeleton
    num_frames: int
    frame: np.ndarray
    points: np.ndarray
    scores: np.ndarray
    track_ids: np.ndarray
    image_size: tuple[int, int] | None
    fps: float | None
    layout: str
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, eq=False)
class Track:
    """One person through all F frames of a video.

    Attributes:
        name: such as "person1"; names the files that come of it.
        skeleton: the detector's convention, K joints.
        points: (F, K, 2) float32 pixels, NaN where not found.
        scores: (F, K) float32 in [0, 1], 0 where not found.
        exchanged: (F,) bool, frames whose left and right joints the detector had swapped and which
            are put right here.
        notes: what was assumed, a line each.
    """

    name: str
    skeleton: Skeleton
    points: np.ndarray
    scores: np.ndarray
    exchanged: np.ndarray
    notes: tuple[str, ...] = ()
