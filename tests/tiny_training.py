"""A tiny stage I trainer and its data, for the tests of training."""

import dataclasses

import keras
import numpy as np
from harness import seed_weights
from pose_views import make_batches

from mpm_keras.masking import PoseMasking
from mpm_keras.models.pretrainer import MPMPretrainer
from mpm_keras.training.pretraining import PretrainTrainer

FRAMES, JOINTS = 5, 17


def make_trainer(dropout=0.1, rate=1e-2, seed=0, dtype=None, compile_options=None, **options):
    """A compiled trainer of 5 frames and 17 joints, width 8."""
    keras.utils.set_random_seed(seed)
    network = MPMPretrainer(
        frames=FRAMES, joints=JOINTS, hidden_frames=3, layers=1, width=8, encoder_width=12, heads=2, feed_forward=8,
        dropout=dropout, dtype=dtype,
    )  # fmt: skip
    trainer = PretrainTrainer(network, PoseMasking(5, 0.6, seed=seed), dtype=dtype, **options)
    trainer.compile(keras.optimizers.AdamW(rate, weight_decay=0.01), **(compile_options or {}))
    return trainer


def make_data(steps=4, batch_size=4, seed=0, flip=True):
    """`WindowBatches` of so many steps an epoch; the poses are small, so that a metre is a metre."""
    batches = make_batches((steps * batch_size,), FRAMES, 1, batch_size, seed=seed, flip=flip)
    views = batches.views
    views = dataclasses.replace(views, pose_2d=0.3 * np.tanh(views.pose_2d), pose_3d=0.3 * np.tanh(views.pose_3d))
    return dataclasses.replace(batches, views=views)


def fixed_batch(modalities=("2d", "3d"), size=4, seed=0):
    """Poses with masks, from NumPy alone."""
    rng, batch = np.random.default_rng(seed), {}
    for m in ("2d", "3d"):
        pose = 0.3 * rng.normal(size=(size, FRAMES, JOINTS, int(m[0]))).astype("float32")
        joints = np.argsort(np.argsort(rng.random((size, FRAMES, JOINTS)))) < 5
        frames = np.argsort(np.argsort(rng.random((size, FRAMES)))) < 3
        if m in modalities:
            batch |= {f"pose_{m}": pose, f"masks_{m}": {"joints": joints, "frames": frames}}
    return batch


def seeded_trainer(**options):
    """A trainer whose network has the same weights on every backend."""
    trainer = make_trainer(dropout=0.0, **options)
    seed_weights(trainer.network)
    return trainer
