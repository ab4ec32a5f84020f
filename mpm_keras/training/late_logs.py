"""Logs of training read late, so that nothing waits for the device.

Keras reads the logs of every batch as soon as it is handed over. That waits for a GPU, which is then idle until the
next batch is prepared and handed over. One batch later the logs are there.
"""

import keras


class LateLogs(keras.callbacks.CallbackList):
    """Callbacks hear of a batch at its end, but with the logs of the batch before it.

    A callback with `on_late_logs(logs)` hears of the logs of each batch once, in order: after the next batch has been
    handed to the device, or when `settle` is called. At an epoch's end, before validation and before a checkpoint all
    logs are settled.
    """

    def __init__(self, callbacks, **options):
        super().__init__(callbacks, **options)
        self.reading, self.last = None, {}

    def on_train_batch_end(self, batch, logs=None):
        self.settle()
        self.reading = {name: start_reading(value) for name, value in (logs or {}).items()}
        super().on_train_batch_end(batch, self.last)

    def settle(self):
        """Reads the logs of the last batch, if they have not been read."""
        if self.reading is None:
            return
        self.last, self.reading = {name: float(value) for name, value in self.reading.items()}, None
        for callback in self.callbacks:
            if hasattr(callback, "on_late_logs"):
                callback.on_late_logs(self.last)

    def on_epoch_begin(self, epoch, logs=None):
        self.last = {}
        super().on_epoch_begin(epoch, logs)

    def on_test_begin(self, logs=None):
        self.settle()
        super().on_test_begin(logs)

    def on_epoch_end(self, epoch, logs=None):
        self.settle()
        super().on_epoch_end(epoch, logs)


def start_reading(value):
    """Something that `float` makes the number of a scalar tensor, whose copy to the host is under way."""
    backend = keras.backend.backend()
    if backend == "jax" and hasattr(value, "copy_to_host_async"):
        value.copy_to_host_async()
    if backend == "torch" and getattr(value, "is_cuda", False):
        return PinnedCopy(value)
    return value


class PinnedCopy:
    """The copy of a CUDA scalar to the host: an ordinary one would wait for all that was handed over after it, too."""

    def __init__(self, value):
        import torch

        self.host = torch.empty((), dtype=value.dtype, device="cpu", pin_memory=True)
        self.host.copy_(value.detach(), non_blocking=True)
        self.done = torch.cuda.Event()
        self.done.record()

    def __float__(self):
        self.done.synchronize()
        return float(self.host)
