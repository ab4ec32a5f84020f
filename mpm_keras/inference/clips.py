"""Whole clips in, whole clips out: windows, flip averaging, blending."""

import keras
import numpy as np

from mpm_keras.data.windows import WindowIndex, flip_windows
from mpm_keras.geometry import flip_pose

MODES = ("center", "sequence")


def lift_clip(
    network, pose_2d, skeleton, *, hidden=None, mode="center", stride=1, flip=True, batch_size=64, overlap=0.5
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
        flip: average with the mirrored prediction of the mirrored clip.
        batch_size: windows at a time; memory does not grow with N beyond input and output.
        overlap: share of a window that the next one covers again, in sequence mode.

    Returns:
        (N, J, 3) float32, root-relative metres in the camera frame.

    Raises:
        ValueError: for a wrong shape, NaN or an unknown mode.
    """
    pose_2d, hidden = checked_clip(pose_2d, hidden, skeleton, 2)
    if mode not in MODES:
        raise ValueError(f"unknown mode {mode!r}; known: {', '.join(MODES)}")
    if mode == "center":
        windows = CenterWindows(len(pose_2d), network.frames, stride)
    else:
        windows = SequenceWindows(len(pose_2d), network.frames, stride, overlap)

    def predict(rows):
        batch = {"pose_2d": pose_2d[rows]}
        if hidden is not None:
            batch["hidden"] = hidden[rows]
        return predict_flipped(network, batch, mode, skeleton, flip, batch_size)

    predicted = blend(predict, windows, skeleton, batch_size)
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
    windows = SequenceWindows(len(pose_3d), network.frames, stride, overlap)

    def predict(rows):
        masks = {"joints": hidden[rows], "frames": np.zeros(rows.shape, bool)}
        batch = {"pose_3d": pose_3d[rows], "masks_3d": masks}
        return predict_flipped(network, batch, "pose_3d", skeleton, flip, batch_size)

    return np.where(hidden[..., None], blend(predict, windows, skeleton, batch_size), pose_3d)


def blend(predict, windows, skeleton, batch_size) -> np.ndarray:
    """(N, J, 3): predictions of all windows, averaged with the windows' weights per frame."""
    total = np.zeros((windows.length, skeleton.num_joints, 3), np.float32)
    weight = np.zeros(windows.length, np.float32)
    for start in range(0, windows.count, batch_size):
        rows = windows.rows(start, min(start + batch_size, windows.count))  # (b, F)
        predicted = predict(rows) * windows.weights[None, :, None, None]
        rows = rows[:, windows.used]
        np.add.at(total, rows, predicted)
        np.add.at(weight, rows, np.broadcast_to(windows.weights, rows.shape))
    return total / weight[:, None, None]


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


class CenterWindows:
    """A window around every frame, as in training; only its centre is used."""

    def __init__(self, length, frames, stride):
        self.index, self.length, self.count = WindowIndex(np.array([0, length]), frames, stride), length, length
        self.weights, self.used = np.ones(1, np.float32), slice(frames // 2, frames // 2 + 1)

    def rows(self, start, stop):
        return self.index.frame_indices(np.arange(start, stop))


class SequenceWindows:
    """Overlapping windows that cover a clip; weights fall towards their ends.

    With stride s the clip is s interleaved ones, each covered by itself. Windows lie inside the
    clip; in one shorter than a window the last frame repeats.
    """

    def __init__(self, length, frames, stride, overlap):
        self.length, self.stride, self.reach = length, stride, np.arange(frames) * stride
        ramp = np.minimum(np.arange(frames) + 1, np.arange(frames, 0, -1)).astype(np.float32)
        self.weights, self.used = ramp / ramp.max(), slice(None)
        hop = max(1, round(frames * (1 - overlap)))
        starts = []
        for phase in range(min(stride, length)):
            last = max(-(-(length - phase) // stride) - frames, 0)  # start of the last window that fits
            starts.append(phase + np.unique(np.append(np.arange(0, last, hop), last)) * stride)
        self.starts = np.concatenate(starts)
        self.count = len(self.starts)

    def rows(self, start, stop):
        first = self.starts[start:stop, None]
        last = first + (self.length - 1 - first) // self.stride * self.stride  # of the phase, not of the clip
        return np.minimum(first + self.reach, last)


def predict_flipped(network, batch, output, skeleton, flip, batch_size):
    """(b, F', J, 3) predictions of an output, averaged over the mirror image if asked."""
    predicted = predict_batch(network, batch, batch_size)[output]
    if not flip:
        return predicted
    mirrored = keras.tree.map_structure(lambda v: flip_windows(v, skeleton), batch)
    return (predicted + flip_pose(predict_batch(network, mirrored, batch_size)[output], skeleton)) / 2


def predict_batch(network, batch, batch_size):
    """Runs a batch, padded to batch_size so that the network compiles once."""
    count = len(keras.tree.flatten(batch)[0])

    def pad(values):
        return np.concatenate([values, np.repeat(values[-1:], batch_size - count, axis=0)])

    predicted = network.predict_on_batch(keras.tree.map_structure(pad, batch))
    return keras.tree.map_structure(lambda x: np.asarray(x, np.float32)[:count], predicted)
