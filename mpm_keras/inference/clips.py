"""Whole clips in, whole clips out: windows, flip averaging, blending."""

import keras
import numpy as np

from mpm_keras.data.windows import WindowIndex, flip_windows
from mpm_keras.geometry import flip_pose
from mpm_keras.inference.unfinished import Unfinished, key_of

MODES = ("center", "sequence")


def lift_clip(
    network, pose_2d, skeleton, *, hidden=None, mode="center", stride=1, step=1, flip=True, batch_size=64,
    overlap=0.5, progress=None, unfinished=None,
) -> np.ndarray:  # fmt: skip
    """Lifts a 2D clip of any length to 3D.

    Args:
        network: `MPMLifter`.
        pose_2d: (N, J, 2) normalised screen coordinates.
        skeleton: of the poses.
        hidden: (N, J) bool, joints that were not seen; None where all were.
        mode: "center" runs a window per frame and takes its centre pose; "sequence" takes all poses
            of overlapping windows from the sequence head and blends them: far fewer windows.
        stride: distance of a window's poses in frames, as in training.
        step: only every step-th frame is lifted; in center mode the others cost nothing.
        flip: average with the mirrored prediction of the mirrored clip.
        batch_size: windows at a time; memory does not grow with N beyond input and output.
        overlap: share of a window that the next one covers again, in sequence mode; 0 to below 1.
        progress: progress(done, windows) is called after every batch.
        unfinished: file for what is done, written every half minute and removed at the end; a call that
            was cut short goes on from it where network, clip and options are the same, and returns the same.

    Returns:
        (N, J, 3) float32, root-relative metres in the camera frame; (ceil(N / step), J, 3) with a step.

    Raises:
        ValueError: for a wrong shape, NaN where a joint is not hidden, or an option out of range.
    """
    pose_2d, hidden = checked_clip(pose_2d, hidden, skeleton, 2)
    checked_options(network, skeleton, stride=stride, step=step, batch_size=batch_size)
    if mode not in MODES:
        raise ValueError(f"unknown mode {mode!r}; known: {', '.join(MODES)}")
    if mode == "center":
        windows = CenterWindows(len(pose_2d), network.frames, stride, step)
    else:
        windows = SequenceWindows(len(pose_2d), network.frames, stride, overlap)

    def predict(rows):
        batch = {"pose_2d": pose_2d[rows]}
        if hidden is not None:
            batch["hidden"] = hidden[rows]
        return predict_flipped(network, batch, mode, skeleton, flip, batch_size)

    kept = None
    if unfinished is not None:
        options = {"mode": mode, "stride": stride, "step": step, "flip": bool(flip), "batch_size": batch_size}
        key = key_of(network, (pose_2d, hidden), overlap=overlap, skeleton=skeleton.name, **options)
        kept = Unfinished(unfinished, key)
    predicted = blend(predict, windows, skeleton, batch_size, progress, kept)
    if mode == "sequence":
        predicted = predicted[::step]
    return predicted - predicted[:, skeleton.root : skeleton.root + 1]


def complete_clip(network, pose_3d, hidden, skeleton, *, stride=1, flip=True, batch_size=64, overlap=0.5) -> np.ndarray:
    """Completes a partial 3D clip; what was observed is returned as observed.

    Args:
        network: `MPMPretrainer` with `hidden_frames=0`.
        pose_3d: (N, J, 3) root-relative metres in the camera frame; values of hidden joints are
            not looked at.
        hidden: (N, J) bool.
        The others as in `lift_clip`, sequence mode.

    Returns:
        (N, J, 3) float32.
    """
    pose_3d, hidden = checked_clip(pose_3d, hidden, skeleton, 3)
    checked_options(network, skeleton, stride=stride, batch_size=batch_size)
    windows = SequenceWindows(len(pose_3d), network.frames, stride, overlap)

    def predict(rows):
        masks = {"joints": hidden[rows], "frames": np.zeros(rows.shape, bool)}
        batch = {"pose_3d": pose_3d[rows], "masks_3d": masks}
        return predict_flipped(network, batch, "pose_3d", skeleton, flip, batch_size)

    return np.where(hidden[..., None], blend(predict, windows, skeleton, batch_size), pose_3d)


def blend(predict, windows, skeleton, batch_size, progress=None, unfinished=None) -> np.ndarray:
    """(N, J, 3): predictions of all windows, averaged with the windows' weights per pose."""
    total = np.zeros((windows.length, skeleton.num_joints, 3), np.float32)
    weight = np.zeros(windows.length, np.float32)
    first = unfinished.load(total, weight) if unfinished else 0
    for start in range(first, windows.count, batch_size):
        stop = min(start + batch_size, windows.count)
        places = windows.places(start, stop)
        np.add.at(total, places, predict(windows.rows(start, stop)) * windows.weights[:, None, None])
        np.add.at(weight, places, np.broadcast_to(windows.weights, places.shape))
        if unfinished:
            unfinished.save(stop, total, weight)
        if progress:
            progress(stop, windows.count)
    if unfinished:
        unfinished.remove()
    total /= weight[:, None, None]
    return total


def checked_clip(pose, hidden, skeleton, dims):
    """The clip as float32 and its mask as bool, or a `ValueError` with the offending shape."""
    pose = np.asarray(pose, np.float32)
    if pose.ndim != 3 or pose.shape[1:] != (skeleton.num_joints, dims) or not len(pose):
        raise ValueError(f"expected a clip of shape (frames, {skeleton.num_joints}, {dims}), found {pose.shape}")
    if hidden is not None:
        hidden = np.asarray(hidden, bool)
        if hidden.shape != pose.shape[:2]:
            raise ValueError(f"expected a mask of shape {pose.shape[:2]}, found {hidden.shape}")
        pose = np.where(hidden[..., None], np.float32(0), pose)  # what is not seen may be NaN
    if not np.isfinite(pose).all():
        bad = ~np.isfinite(pose).all(axis=(1, 2))
        raise ValueError(
            f"{int(bad.sum())} frames hold NaN or infinity, first frame {int(bad.argmax())}; mark them hidden"
        )
    return pose, hidden


def checked_options(network, skeleton, **positive):
    """Raises `ValueError` for options below 1, and for a network of other joints than the skeleton's."""
    for name, value in positive.items():
        if value < 1:
            raise ValueError(f"{name} must be positive, found {value}")
    if network.joints != skeleton.num_joints:
        raise ValueError(f"the network has {network.joints} joints, skeleton {skeleton.name} {skeleton.num_joints}")


class CenterWindows:
    """A window around every `step`-th frame, as in training; only its centre is used.

    Attributes:
        length: poses that come out.
        count: windows.
        weights: (F',) of a window's predicted poses.
    """

    def __init__(self, length, frames, stride, step=1):
        self.index = WindowIndex(np.array([0, length]), frames, stride, step)
        self.length = self.count = self.index.num_windows
        self.weights = np.ones(1, np.float32)

    def rows(self, start, stop):
        """(b, F) frames that windows start to stop read."""
        return self.index.frame_indices(np.arange(start, stop))

    def places(self, start, stop):
        """(b, F') poses that their predictions go to."""
        return np.arange(start, stop)[:, None]


class SequenceWindows:
    """Overlapping windows that cover a clip; weights fall towards their ends.

    With stride s the clip is s interleaved ones, each covered by itself. Windows lie inside the
    clip; in one shorter than a window the last frame repeats. Attributes as `CenterWindows`.
    """

    def __init__(self, length, frames, stride, overlap):
        if not 0 <= overlap < 1:
            raise ValueError(f"overlap must be at least 0 and below 1, found {overlap}")
        self.length, self.stride, self.reach = length, stride, np.arange(frames) * stride
        ramp = np.minimum(np.arange(frames) + 1, np.arange(frames, 0, -1)).astype(np.float32)
        self.weights = ramp / ramp.max()
        hop = max(1, round(frames * (1 - overlap)))
        starts = []
        for phase in range(min(stride, length)):
            last = max(-(-(length - phase) // stride) - frames, 0)  # start of the last window that fits
            starts.append(phase + np.unique(np.append(np.arange(0, last, hop), last)) * stride)
        self.starts = np.concatenate(starts)
        self.count = len(self.starts)

    def rows(self, start, stop):
        """(b, F) frames that windows start to stop read."""
        first = self.starts[start:stop, None]
        last = first + (self.length - 1 - first) // self.stride * self.stride  # of the phase, not of the clip
        return np.minimum(first + self.reach, last)

    places = rows


def predict_flipped(network, batch, output, skeleton, flip, batch_size):
    """(b, F', J, 3) predictions of an output, averaged over the mirror image if asked."""
    predicted = predict_batch(network, batch, batch_size)[output]
    if not flip:
        return predicted
    mirrored = keras.tree.map_structure(lambda v: flip_windows(v, skeleton), batch)
    return (predicted + flip_pose(predict_batch(network, mirrored, batch_size)[output], skeleton)) / 2


def predict_batch(network, batch, batch_size):
    """Runs a batch, padded to one of a few sizes, so that the network compiles only so often.

    The sizes are batch_size and quarters of it, and of those: a short clip costs little more than it must.
    """
    count, size = len(keras.tree.flatten(batch)[0]), batch_size
    while size // 4 >= count:
        size //= 4

    def pad(values):
        return np.concatenate([values, np.repeat(values[-1:], size - count, axis=0)])

    predicted = network.predict_on_batch(keras.tree.map_structure(pad, batch))
    return keras.tree.map_structure(lambda x: np.asarray(x, np.float32)[:count], predicted)
