"""Validation of stage I on windows and masks that never change, beside what no network needs."""

import keras
import numpy as np

from mpm_keras.data.baselines import interpolate_hidden
from mpm_keras.data.windows import slice_of
from mpm_keras.masking import hidden_joints
from mpm_keras.replicas import replicas
from mpm_keras.training.losses import joint_distance


class FixedBatches(keras.utils.PyDataset):
    """A list of batches as validation data.

    Args:
        batches: whole ones, which stay so as `batches`.
        slice: (i, n), which of n equal slices of each to yield.
    """

    def __init__(self, batches, slice=(0, 1)):
        super().__init__()
        self.batches, self.slice = list(batches), slice

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, i):
        batch = self.batches[i]
        if self.slice[1] > 1:
            rows = slice_of(len(next(iter(batch.values()))), *self.slice)
            batch = keras.tree.map_structure(lambda x: x[rows], batch)
        return (bool_to_bytes(batch) if replicas().mirrored else batch,)

    def share(self, index: int, count: int) -> "FixedBatches":
        """The same batches, yielding of each the slice `index` of `count`."""
        return FixedBatches(self.batches, (index, count))


def bool_to_bytes(batch):
    """Booleans of a batch as bytes, which `Trainer.unpack` turns back."""
    return keras.tree.map_structure(lambda x: x.astype(np.uint8) if x.dtype == bool else x, batch)


def masked_batches(batches, masking, seed: int) -> FixedBatches:
    """All batches of an unshuffled epoch with masks drawn from NumPy noise.

    So every epoch, every backend and every run with this seed is judged on the same hidden joints.
    """
    rng = np.random.default_rng(seed)
    found = []
    for step in range(batches.num_steps):
        batch = batches.batch(0, step)
        for modality in [m for m in ("2d", "3d") if f"pose_{m}" in batch]:
            shape = batch[f"pose_{modality}"].shape[:3]
            masks = masking.from_noise(rng.random(shape, np.float32), rng.random(shape[:2], np.float32))
            batch[f"masks_{modality}"] = {k: keras.ops.convert_to_numpy(v) for k, v in masks.items()}
        found.append(batch)
    return FixedBatches(found)


def baseline_errors(data: FixedBatches, means: dict, root: int) -> dict:
    """Errors of the hidden joints without a network, over the same masks.

    Args:
        data: validation batches with masks.
        means: {"2d": (J, 2), "3d": (J, 3)} mean poses of the training data, where it has any.
        root: index of the root joint, left out in 3D, where it is zero by definition.

    Returns:
        `baseline_{interpolation,mean_pose}_3d_mpjpe_mm` and `..._2d_error` (normalised screen units).
    """
    sums = {}
    for batch in data.batches:
        for modality, mean in means.items():
            pose = batch[f"pose_{modality}"]
            hidden = keras.ops.convert_to_numpy(hidden_joints(batch[f"masks_{modality}"]))
            counted = hidden.copy()
            if modality == "3d":
                counted[..., root] = False
            guesses = {
                "mean_pose": np.broadcast_to(mean, pose.shape),
                "interpolation": interpolate_hidden(pose, hidden, mean),
            }
            for name, guess in guesses.items():
                distance = keras.ops.convert_to_numpy(joint_distance(guess, pose))[counted]
                total, count = sums.get((name, modality), (0.0, 0))
                sums[name, modality] = total + float(distance.sum()), count + distance.size
    scale, unit = {"2d": 1.0, "3d": 1000.0}, {"2d": "2d_error", "3d": "3d_mpjpe_mm"}
    return {
        f"baseline_{name}_{unit[m]}": scale[m] * total / count for (name, m), (total, count) in sums.items() if count
    }


def unshuffled(make, views, frames, stride, batch_size, windows: int):
    """About `windows` windows of views, spread evenly, in whole batches and in order."""
    total = max(v.num_frames for v in views)
    return make(views, frames, stride, batch_size, step=max(1, total // max(windows, batch_size)), shuffle=False)
