"""`fit`, from wherever a run stopped."""

import keras

from mpm_keras.data.windows import NumpyPipeline
from mpm_keras.errors import InputError
from mpm_keras.training.callbacks import RunProgress
from mpm_keras.training.preemption import StopOnSignal

PIPELINES = ("auto", "numpy", "tfdata")


def make_pipeline(batches, kind: str, epoch: int, first_step: int, epochs: int):
    """A data source for `fit` from a step of an epoch on: "numpy", "tfdata" or "auto".

    "auto" is tf.data with the TensorFlow backend and NumPy elsewhere; both yield the same batches.
    """
    if kind not in PIPELINES:
        raise ValueError(f"unknown pipeline {kind!r}; known: {', '.join(PIPELINES)}")
    if kind == "auto":
        kind = "tfdata" if keras.backend.backend() == "tensorflow" else "numpy"
    first, last = epoch * batches.num_steps + first_step, epochs * batches.num_steps
    if kind == "numpy":
        return NumpyPipeline(batches, first, last)
    from mpm_keras.data.tf_pipeline import tf_pipeline

    try:
        return tf_pipeline(batches, first, last)
    except ImportError as error:
        raise InputError(str(error)) from error


def fit(trainer, batches, *, epochs, progress: RunProgress, pipeline="auto", validation=None, callbacks=(), verbose=1):
    """Trains a compiled trainer up to `epochs` epochs in all, from `progress.position` on.

    An epoch that was interrupted is finished first, by a `fit` of its own over the steps left, and with the
    running means that it had.

    Args:
        batches: `WindowBatches` or `UnpairedBatches`.
        epochs: in all, those already done counted in.
        progress: knows where to start and when to stop.
        validation: data for `validation_data`, or None.

    Raises:
        Preempted: the process was sent SIGTERM; the state is saved.
    """
    progress.set_model(trainer)  # also where there is nothing left to train
    with StopOnSignal(progress) as stop:
        while (start := progress.position).epoch < epochs and not progress.finished:
            last = start.epoch + 1 if start.step else epochs
            trainer.epoch_goes_on = start.step > 0
            source = make_pipeline(batches, pipeline, start.epoch, start.step, last)
            trainer.fit(
                source,
                initial_epoch=start.epoch,
                epochs=last,
                steps_per_epoch=batches.num_steps - start.step,
                validation_data=validation,
                callbacks=[*callbacks, progress, stop],  # these last: what the others refuse is not saved
                shuffle=False,  # the pipelines do it
                verbose=verbose,
            )
    progress.save()
