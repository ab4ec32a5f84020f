"""A cluster takes its machine back, or somebody presses Ctrl-C: save, and say that the same command goes on."""

import signal
import threading

import keras

from mpm_keras.errors import Preempted
from mpm_keras.replicas import processes, wait_for_all


class StopOnSignal(keras.callbacks.Callback):
    """Saves and stops at the end of the batch, of training or of validation, in which the process is asked to end.

    Where a run has several processes, all stop at the batch in which one of them is asked.
    Validation that was stopped is run first when the run goes on. Listens inside `with`, in the main thread only:
    elsewhere signals cannot be caught. SIGTERM that is sent again changes nothing; a second Ctrl-C ends at once.

    Args:
        progress: `RunProgress`, which saves.
        signals: numbers of the signals; those that the process ignores, as in the background, stay ignored.
    """

    def __init__(self, progress, signals=(signal.SIGTERM, signal.SIGINT)):
        super().__init__()
        self.progress, self.signals, self.caught, self.before = progress, signals, None, {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            listened = [number for number in self.signals if signal.getsignal(number) != signal.SIG_IGN]
            self.before = {number: signal.signal(number, self.catch) for number in listened}
        return self

    def __exit__(self, *_):
        for number, handler in self.before.items():
            signal.signal(number, handler)
        self.before = {}

    def catch(self, number, _frame):
        if self.caught == number == signal.SIGINT:
            raise KeyboardInterrupt("interrupted at once; the same command goes on from the last checkpoint")
        self.caught = signal.Signals(number)

    def on_train_batch_end(self, batch, logs=None):
        self.leave()

    def on_test_batch_end(self, batch, logs=None):
        self.leave()

    def on_epoch_end(self, epoch, logs=None):
        self.leave()

    def leave(self):
        """Saves and raises `Preempted`, or `KeyboardInterrupt` after Ctrl-C, where a signal was caught."""
        if caught := processes().largest(int(self.caught or 0)):
            self.progress.save()
            wait_for_all()
            kind = KeyboardInterrupt if caught == signal.SIGINT else Preempted
            raise kind(
                f"stopped by {signal.Signals(caught).name} after {self.progress.position.updates} steps; saved: "
                "the same command goes on from there"
            )
