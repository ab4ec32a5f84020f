"""The learning rate falls by epochs, or by as many optimiser steps as a flag says."""

from types import SimpleNamespace

import pytest

from mpm_keras.training.job import Job

pytestmark = pytest.mark.once


def rates(at, **settings):
    """The learning rate after so many optimiser steps, in a job of 10 batches an epoch and 2 steps a batch."""
    compiled = {}
    job = object.__new__(Job)  # without data and a folder
    job.config = SimpleNamespace(learning_rate=1.0, lr_decay=0.5, weight_decay=0.01, jit_compile="auto", **settings)
    job.training = SimpleNamespace(num_steps=10, batch=lambda epoch, step: {})
    job.compile(SimpleNamespace(updates=lambda batch: ["2d", "3d"], compile=lambda **given: compiled.update(given)))
    optimizer, found = compiled["optimizer"], []
    for step in at:
        optimizer.iterations.assign(step)
        found.append(float(optimizer.learning_rate))
    return found


def test_by_epochs():
    assert rates([0, 19, 20, 40]) == [1.0, 1.0, 0.5, 0.25]


def test_by_steps():
    assert rates([0, 4, 5, 20], lr_decay_steps=5) == [1.0, 1.0, 0.5, 0.0625]
    assert rates([19, 20], lr_decay_steps=None) == [1.0, 0.5]
