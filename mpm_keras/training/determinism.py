"""Kernels that give the same bits in every run, where an accelerator has a choice."""

import os

import keras

from mpm_keras.errors import InputError

XLA_FLAG = "--xla_gpu_deterministic_ops=true"


def use_deterministic_kernels():
    """Asks the backend for deterministic operations; raises later, from the backend, where one has none.

    JAX is asked by `XLA_FLAGS` in the environment alone, before it starts; raises `InputError` where that was
    not done.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
    elif backend == "torch":
        import torch

        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = False
    elif XLA_FLAG not in os.environ.get("XLA_FLAGS", ""):
        raise InputError(f"deterministic training with JAX needs XLA_FLAGS={XLA_FLAG} in the environment")
