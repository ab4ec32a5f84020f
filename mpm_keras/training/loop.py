"""`fit`, from wherever a run stopped."""

import keras

from mpm_keras.data.windows import NumpyPipeline
from mpm_keras.errors import InputError
from mpm_keras.replicas import replicas
from mpm_keras.training.callbacks import RunProgress
from mpm_keras.training.device_frames import MOST_BYTES, DeviceFrames, DrawnWindows, num_bytes, on_accelerator
from mpm_keras.training.late_logs import LateLogs
from mpm_keras.training.preemption import StopOnSignal

PIPELINES = ("auto", "numpy", "tfdata", "device")


def choose_pipeline(batches, kind: str) -> str:
    """The pipeline that "auto" stands for: frames on an accelerator where they fit, tf.data with TensorFlow, NumPy."""
    if kind not in PIPELINES:
        raise ValueError(f"unknown pipeline {kind!r}; known: {', '.join(PIPELINES)}")
    if kind != "auto":
        return kind
    if on_accelerator() and num_bytes(batches) <= MOST_BYTES and not replicas().mirrored:
        return "device"
    return "tfdata" if keras.backend.backend() == "tensorflow" else "numpy"


def make_pipeline(batches, kind: str, epoch: int, first_step: int, epochs: int):
    """A data source for `fit` from a step of an epoch on; all kinds make the same batches.

    Args:
        kind: "numpy", "tfdata", or "device" for a trainer with `frames`, see `choose_pipeline`.
    """
    first, last = epoch * batches.num_steps + first_step, epochs * batches.num_steps
    if kind != "tfdata":
        return NumpyPipeline(DrawnWindows(batches) if kind == "device" else batches, first, last)
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
        batches: `WindowBatches` or `UnpairedBatches`; of several processes, this one's share.
        epochs: in all, those already done counted in.
        pipeline: see `choose_pipeline`.
        progress: knows where to start and when to stop.
        validation: data for `validation_data`, or None.

    Raises:
        Preempted: the process was sent SIGTERM; the state is saved.
        KeyboardInterrupt: likewise, after Ctrl-C.
    """
    pipeline = choose_pipeline(batches, pipeline)
    if pipeline == "device":
        trainer.frames = DeviceFrames(batches)
    progress.set_model(trainer)  # also where there is nothing left to train
    with StopOnSignal(progress) as stop:
        callbacks = [*callbacks, progress, stop]  # these last: what the others refuse is not saved
        if progress.position.validation_due:
            finish_epoch(trainer, validation, callbacks, progress)
        while (start := progress.position).epoch < epochs and not progress.finished:
            last = start.epoch + 1 if start.step else epochs
            trainer.epoch_goes_on = start.step > 0
            steps = batches.num_steps - start.step
            shown = {"add_history": True, "add_progbar": verbose != 0, "verbose": verbose}  # as `fit` has it by itself
            listeners = LateLogs(callbacks, model=trainer, epochs=last, steps=steps, **shown)
            progress.before_saving = listeners.settle
            trainer.fit(
                make_pipeline(batches, pipeline, start.epoch, start.step, last),
                initial_epoch=start.epoch,
                epochs=last,
                steps_per_epoch=steps,
                validation_data=validation,
                callbacks=listeners,
                shuffle=False,  # the pipelines do it
                verbose=verbose,
            )
    progress.save()


def finish_epoch(trainer, validation, callbacks, progress: RunProgress):
    """What `trainer.fit` does after the last batch of an epoch, for a run that was stopped there or in validation."""
    listeners = keras.callbacks.CallbackList(callbacks, model=trainer)
    listeners.on_train_begin()
    progress.keep_running_means()
    logs = trainer.get_metrics_result()
    if validation is not None:
        found = trainer.evaluate(validation, callbacks=listeners, verbose=0, return_dict=True)
        logs |= {f"val_{name}": value for name, value in found.items()}
    listeners.on_epoch_end(progress.position.epoch, logs)
    listeners.on_train_end(logs)
