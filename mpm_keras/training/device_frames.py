"""Frames that live on the device, and windows that are gathered from them there.

What then travels for a batch is the numbers of its frames: 27 integers a window in place of 27 poses.
"""

import keras
import numpy as np
from keras import ops

# "auto" puts frames on an accelerator up to here; a whole Human3.6M takes less than 2 GB.
MOST_BYTES = 4 << 30


class DeviceFrames(keras.layers.Layer):
    """The flat arrays of a training set as variables that training does not change and checkpoints leave out.

    Args:
        batches: `WindowBatches` or `UnpairedBatches`.

    Call arguments:
        drawn: {"rows_<part>": (B, F) int, "mirror_<part>": (B,) bool}, as `DrawnWindows` yields them.

    Returns:
        The batch that `batches` would have made of them: {"pose_2d": (B, F, J, 2), ...}.
    """

    def __init__(self, batches, **kwargs):
        super().__init__(dtype="float32", autocast=False, trainable=False, **kwargs)
        self.flip_orders = [np.asarray(part.views.skeleton.flip_order, np.int32) for part in batches.parts]
        self.frames = [
            {
                key: self.add_weight(
                    shape=values.shape, initializer=lambda shape, dtype, values=values: ops.convert_to_tensor(values),
                    trainable=False, autocast=False, name=f"{key}_{i}",
                )
                for key, values in part.arrays().items()
            }
            for i, part in enumerate(batches.parts)
        ]  # fmt: skip
        self.built = True

    def call(self, drawn):
        batch = {}
        for i, frames in enumerate(self.frames):
            rows, mirror = drawn[f"rows_{i}"], drawn.get(f"mirror_{i}")
            for key, values in frames.items():
                windows = ops.take(values, rows, axis=0)
                batch[key] = windows if mirror is None else self.mirrored(windows, mirror, self.flip_orders[i])
        return batch

    @staticmethod
    def mirrored(windows, mirror, order):
        """Mirrors the windows that `mirror` (B,) marks, as `flip_windows` does in NumPy."""
        swapped = ops.take(windows, order, axis=2)
        if len(windows.shape) == 4:
            swapped = swapped * np.array([-1] + [1] * (windows.shape[-1] - 1), np.float32)
        return ops.where(ops.reshape(mirror, (-1,) + (1,) * (len(windows.shape) - 1)), swapped, windows)


class DrawnWindows:
    """Batches as the numbers of their frames: what `DeviceFrames` takes.

    Attributes:
        batches: `WindowBatches` or `UnpairedBatches`; the same batches, at the same steps.
    """

    def __init__(self, batches):
        self.batches, self.num_steps = batches, batches.num_steps

    def batch(self, epoch: int, step: int) -> dict:
        """{"rows_<part>": (B, F) int, "mirror_<part>": (B,) bool where windows are mirrored}."""
        drawn = {}
        for i, (part, place) in enumerate(self.batches.places(epoch, step)):
            rows, mirror = part.drawn(*place)
            drawn[f"rows_{i}"] = rows.astype(np.int32 if part.views.num_frames < 2**31 else np.int64)
            if mirror is not None:
                drawn[f"mirror_{i}"] = mirror
        return drawn


def num_bytes(batches) -> int:
    """Of the frames that `batches` gathers from."""
    return sum(values.nbytes for part in batches.parts for values in part.arrays().values())


def on_accelerator() -> bool:
    """Whether the active backend computes on something else than the CPU."""
    if keras.backend.backend() == "torch":
        import torch

        return torch.cuda.is_available()
    return not keras.distribution.list_devices()[0].startswith("cpu")
