"""A cluster takes its machine back: save, and say that the same command goes on."""

import signal
import threading

import keras

from mpm_keras.errors import Preempted


class StopOnSignal(keras.callbacks.Callback):
    """Saves and stops at the end of the batch in which the process is asked to terminate.

    In the last batch of an epoch and in validation it waits for the end of the epoch, which decides on the best
    network. Listens inside `with`, in the main thread only: elsewhere signals cannot be caught.

    Args:
        progress: `RunProgress`, which saves.
        signals: numbers of the signals.
    """

    def __init__(self, progress, signals=(signal.SIGTERM,)):
        super().__init__()
        self.progress, self.signals, self.caught, self.before = progress, signals, None, {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            self.before = {number: signal.signal(number, self.catch) for number in self.signals}
        return self

    def __exit__(self, *_):
        for number, handler in self.before.items():
            signal.signal(number, handler)
        self.before = {}

    def catch(self, number, _frame):
        self.caught = signal.Signals(number).name

    def on_train_batch_end(self, batch, logs=None):
        if self.progress.position.step and not self.progress.finished:
            self.leave()

    def on_epoch_end(self, epoch, logs=None):
        self.leave()

    def leave(self):
        if self.caught:
            self.progress.save()
            p = self.progress.position
            raise Preempted(
                f"stopped by {self.caught} after {p.updates} steps; saved: the same command goes on from there"
            )
