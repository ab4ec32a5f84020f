"""Windows over the frames of many views, and the NumPy batches made of them.

There is no object per window: a window is a number, and a view's frames are rows of flat arrays.
"""

import dataclasses
from fractions import Fraction
from functools import cached_property

import keras
import numpy as np

from mpm_keras.data.shuffle import coin, fold_key, permuted_range
from mpm_keras.data.views import Views
from mpm_keras.geometry import flip_joints, flip_pose

FLIP_STREAM, SHUFFLE_STREAM = 1, 2


@dataclasses.dataclass(frozen=True, eq=False)
class WindowIndex:
    """The windows of views: every `step`-th frame of a view is the centre of one.

    A view of weight 1/2 has half as many, spread evenly, one of weight 2 twice as many, some centres
    then standing for two. A window is `frames` poses around its centre, `stride` frames apart; beyond
    the ends of the view the first or last frame repeats. The centre has position frames // 2.

    Attributes:
        offsets: (V+1,) int64, as in `Views`.
        frames: F, poses in a window.
        stride: distance of the poses in frames of the view.
        step: distance of the centres.
        weights: (V,) positive, or None for 1 everywhere.
    """

    offsets: np.ndarray
    frames: int
    stride: int = 1
    step: int = 1
    weights: np.ndarray | None = None

    def __post_init__(self):
        if min(self.frames, self.stride, self.step) < 1:
            raise ValueError(
                f"frames, stride and step must be positive, found {self.frames}, {self.stride} and {self.step}"
            )

    @cached_property
    def spacing(self) -> tuple[np.ndarray, np.ndarray]:
        """(V,) int64 each: centres are `spacing[0] / spacing[1]` frames apart, step over weight as a fraction."""
        weights = np.ones(len(self.offsets) - 1) if self.weights is None else self.weights
        values, view = np.unique(weights, return_inverse=True)
        ratios = [self.step / Fraction(float(value)).limit_denominator(1000) for value in values]
        apart, per = (np.array([getattr(r, n) for r in ratios], np.int64) for n in ("numerator", "denominator"))
        return apart[view], per[view]

    @cached_property
    def firsts(self) -> np.ndarray:
        """(V+1,) int64: number of the first window of each view, then the number of windows."""
        apart, per = self.spacing
        lengths = np.diff(self.offsets)
        return np.concatenate([[0], np.cumsum(-(-lengths * per // apart))]).astype(np.int64)

    @property
    def num_windows(self) -> int:
        return int(self.firsts[-1])

    @property
    def reach(self) -> np.ndarray:
        """(F,) int64: frames of a window relative to its centre."""
        return (np.arange(self.frames, dtype=np.int64) - self.frames // 2) * self.stride

    def frame_indices(self, window) -> np.ndarray:
        """Window numbers (B,) -> rows of the flat arrays (B, F) int64."""
        window = np.asarray(window, np.int64)
        view = np.searchsorted(self.firsts, window, side="right") - 1
        apart, per = self.spacing
        centre = self.offsets[view] + (window - self.firsts[view]) * apart[view] // per[view]
        rows = centre[:, None] + self.reach
        return np.clip(rows, self.offsets[view][:, None], self.offsets[view + 1][:, None] - 1)


@dataclasses.dataclass(frozen=True, eq=False)
class WindowBatches:
    """Shuffled, optionally flipped batches of windows: a function of (seed, epoch, step).

    Attributes:
        views: the frames.
        index: their windows.
        batch_size: B.
        seed: of shuffle and flips.
        shuffle: False goes through the windows in order.
        flip: mirror every other window, drawn at random.
        drop_last: leave out the last, smaller batch of an epoch, so that shapes are static.
        slice: (i, n), which of n equal slices of each batch to yield; the slices together are the whole batch.
    """

    views: Views
    index: WindowIndex
    batch_size: int
    seed: int = 0
    shuffle: bool = True
    flip: bool = False
    drop_last: bool = True
    slice: tuple[int, int] = (0, 1)

    def __post_init__(self):
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be positive, found {self.batch_size}")
        slice_of(self.batch_size, *self.slice)
        if self.slice[1] > 1 and not self.drop_last:
            raise ValueError("slices need batches of one size: drop_last")
        if self.num_steps < 1:
            raise ValueError(f"{self.index.num_windows} windows do not fill one batch of {self.batch_size}")

    @property
    def num_steps(self) -> int:
        """Batches in an epoch."""
        full, rest = divmod(self.index.num_windows, self.batch_size)
        return full if self.drop_last or not rest else full + 1

    @property
    def num_windows(self) -> int:
        """Windows in an epoch, the last batch's included."""
        return self.index.num_windows

    @property
    def parts(self) -> "tuple[WindowBatches, ...]":
        return (self,)

    def arrays(self) -> dict:
        """The flat arrays that a batch gathers from, by batch key."""
        found = {"pose_2d": self.views.pose_2d, "pose_3d": self.views.pose_3d, "confidence": self.views.confidence}
        return {key: value for key, value in found.items() if value is not None}

    def keys(self, epoch: int) -> tuple[int, int]:
        """The keys of an epoch's order and of its flips."""
        return fold_key(self.seed, SHUFFLE_STREAM, epoch), fold_key(self.seed, FLIP_STREAM, epoch)

    def windows(self, epoch: int, step: int) -> np.ndarray:
        """Window numbers (B,) of a batch."""
        start, count = step * self.batch_size, self.index.num_windows
        part = slice_of(self.batch_size, *self.slice)
        start, stop = start + part.start, min(start + part.stop, count)
        if self.shuffle:
            return permuted_range(start, stop, count, self.keys(epoch)[0])
        return np.arange(start, stop, dtype=np.int64)

    def share(self, index: int, count: int) -> "WindowBatches":
        """The same batches, of each the slice `index` of `count`."""
        return dataclasses.replace(self, slice=(index, count))

    def places(self, epoch: int, step: int) -> "list[tuple[WindowBatches, tuple[int, int]]]":
        """[(part, its (epoch, step))] of what makes the batch at a step of an epoch."""
        return [(self, (epoch, step))]

    def drawn(self, epoch: int, step: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Rows (B, F) of the flat arrays, and which windows are mirrored (B,) bool, None without `flip`."""
        if not 0 <= step < self.num_steps:
            raise ValueError(f"step {step} is outside an epoch of {self.num_steps} steps")
        window = self.windows(epoch, step)
        mirror = coin(window, self.keys(epoch)[1]).astype(bool) if self.flip else None
        return self.index.frame_indices(window), mirror

    def batch(self, epoch: int, step: int) -> dict:
        """The batch at a step of an epoch: {"pose_2d": (B, F, J, 2), ...} of what the views hold."""
        rows, mirror = self.drawn(epoch, step)
        batch = {key: np.take(values, rows, axis=0) for key, values in self.arrays().items()}
        if mirror is not None:
            for values in batch.values():
                values[mirror] = flip_windows(values[mirror], self.views.skeleton)
        return batch


def slice_of(rows: int, index: int, count: int) -> slice:
    """Rows of the slice `index` of `count` equal ones. Raises `ValueError` where there are none."""
    if not 0 <= index < count or rows % count:
        raise ValueError(f"slice {index} of {count} does not fit a batch of {rows}")
    return slice(index * rows // count, (index + 1) * rows // count)


def flip_windows(values, skeleton):
    """Mirrors poses (B, F, J, D), exchanges the joints of (B, F, J) and leaves (B, F) as it is."""
    if values.ndim == 4:
        return flip_pose(values, skeleton)
    return flip_joints(values, skeleton) if values.ndim == 3 else values


@dataclasses.dataclass(frozen=True, eq=False)
class UnpairedBatches:
    """Batches whose modalities come from different sources, 2D here and 3D there.

    The 2D and 3D poses of a batch do not belong together. An epoch is one of the longest part; the
    shorter ones go on into epochs of their own.

    Attributes:
        parts: `WindowBatches` that share no batch key.
    """

    parts: tuple[WindowBatches, ...]

    def __post_init__(self):
        keys = [key for part in self.parts for key in part.arrays()]
        if len(set(keys)) < len(keys):
            raise ValueError(f"parts of unpaired batches must not share keys, found {', '.join(keys)}")

    @property
    def num_steps(self) -> int:
        return max(part.num_steps for part in self.parts)

    def share(self, index: int, count: int) -> "UnpairedBatches":
        """The same batches, of each the slice `index` of `count`."""
        return UnpairedBatches(tuple(part.share(index, count) for part in self.parts))

    @property
    def num_windows(self) -> int:
        """Windows of all parts."""
        return sum(part.num_windows for part in self.parts)

    def places(self, epoch: int, step: int) -> list[tuple[WindowBatches, tuple[int, int]]]:
        """[(part, its (epoch, step))] of what makes the batch at a step of an epoch."""
        position = epoch * self.num_steps + step
        return [(part, divmod(position, part.num_steps)) for part in self.parts]

    def batch(self, epoch: int, step: int) -> dict:
        """The batch at a step of an epoch, joined from all parts."""
        return {k: v for part, place in self.places(epoch, step) for k, v in part.batch(*place).items()}


class NumpyPipeline(keras.utils.PyDataset):
    """The counterpart of `tf_pipeline` without TensorFlow; for `fit` with `steps_per_epoch` and `shuffle=False`.

    One stream over all epochs: Keras also calls `on_epoch_end` where no epoch has ended, so that the
    epoch cannot be counted there.

    Args:
        batches: `WindowBatches` or `UnpairedBatches`.
        first, last: global steps, epoch * num_steps + step; the default is the first epoch.
    """

    def __init__(self, batches, first: int = 0, last: int | None = None):
        super().__init__()
        self.batches, self.first = batches, first
        self.last = batches.num_steps if last is None else last

    def __len__(self):
        return self.last - self.first

    def __getitem__(self, i):
        return (self.batches.batch(*divmod(self.first + i, self.batches.num_steps)),)
