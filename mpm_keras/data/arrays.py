"""Batches of plain arrays, shuffled as windows are."""

import dataclasses

import numpy as np

from mpm_keras.data.shuffle import coin, fold_key, permuted_range
from mpm_keras.data.windows import FLIP_STREAM, SHUFFLE_STREAM, flip_windows, slice_of
from mpm_keras.skeletons import Skeleton


@dataclasses.dataclass(frozen=True, eq=False)
class ArrayBatches:
    """Samples that lie ready in memory: a function of (seed, epoch, step) like `WindowBatches`.

    Attributes:
        arrays: {key: (N, ...)}.
        skeleton: of the poses, for the flip.
        batch_size, seed, shuffle, flip, slice: as in `WindowBatches`.
    """

    arrays: dict
    skeleton: Skeleton
    batch_size: int
    seed: int = 0
    shuffle: bool = True
    flip: bool = False
    slice: tuple[int, int] = (0, 1)

    @property
    def num_windows(self) -> int:
        return len(next(iter(self.arrays.values())))

    @property
    def num_steps(self) -> int:
        return max(1, self.num_windows // self.batch_size)

    def share(self, index: int, count: int) -> "ArrayBatches":
        """The same batches, of each the slice `index` of `count`."""
        return dataclasses.replace(self, slice=(index, count))

    def batch(self, epoch: int, step: int) -> dict:
        """The batch at a step of an epoch."""
        first = step * self.batch_size
        part = slice_of(min(self.batch_size, self.num_windows - first), *self.slice)
        start, stop = first + part.start, first + part.stop
        if self.shuffle:
            rows = permuted_range(start, stop, self.num_windows, fold_key(self.seed, SHUFFLE_STREAM, epoch))
        else:
            rows = np.arange(start, stop, dtype=np.int64)
        batch = {key: values[rows] for key, values in self.arrays.items()}
        if self.flip:
            mirror = coin(rows, fold_key(self.seed, FLIP_STREAM, epoch)).astype(bool)
            for values in batch.values():
                values[mirror] = flip_windows(values[mirror], self.skeleton)
        return batch
