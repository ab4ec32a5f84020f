import errno
import os
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest
from tiny_training import fixed_batch, make_data, make_trainer

from mpm_keras.errors import InputError, Preempted
from mpm_keras.files import atomic_write
from mpm_keras.training.callbacks import EpochLog, RunProgress
from mpm_keras.training.checkpoints import CheckpointFolder, Position, read_state
from mpm_keras.training.loop import fit
from mpm_keras.training.preemption import StopOnSignal
from mpm_keras.training.validation import FixedBatches
from mpm_keras.training.workdir import Workdir


class KillAt(keras.callbacks.Callback):
    """Sends this process a signal in the middle of a batch, once, or of the first batch of validation."""

    def __init__(self, batch=None, number=signal.SIGTERM):
        super().__init__()
        self.batch, self.number = batch, number

    def on_train_batch_begin(self, batch, logs=None):
        if batch == self.batch:
            os.kill(os.getpid(), self.number)

    def on_test_batch_begin(self, batch, logs=None):
        if self.batch is None:
            os.kill(os.getpid(), self.number)


def run(folder, callbacks=()):
    """Two epochs of four batches and validation in two, from wherever the folder's run stopped."""
    trainer, checkpoints = make_trainer(), CheckpointFolder(folder)
    start = checkpoints.restore_newest(trainer) or Position()
    progress = RunProgress(checkpoints, 4, 2, start)
    validation = FixedBatches([fixed_batch(), fixed_batch(seed=1)])
    log = EpochLog(folder / "epochs.jsonl")
    fit(
        trainer, make_data(), epochs=2, progress=progress, pipeline="numpy", verbose=0, validation=validation,
        callbacks=[log, *callbacks],
    )  # fmt: skip
    return read_state(checkpoints.paths()[-1])[0]


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    folder = tmp_path_factory.mktemp("straight")
    return run(folder), EpochLog(folder / "epochs.jsonl").epochs()


@pytest.mark.parametrize(
    ("batch", "position"),
    [
        pytest.param(1, Position(0, 2, 4), marks=pytest.mark.once),
        pytest.param(3, Position(0, 4, 8, 1), marks=pytest.mark.once),
        (None, Position(0, 4, 8, 1)),
    ],
)
def test_sigterm_saves_and_the_same_command_goes_on(batch, position, straight, tmp_path):
    """In the midst of an epoch, in its last batch, and in validation, which is then run first."""
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Preempted, match=f"stopped by SIGTERM after {position.updates} steps; saved"):
        run(tmp_path, [KillAt(batch)])
    assert signal.getsignal(signal.SIGTERM) == before
    (path,) = CheckpointFolder(tmp_path).paths()
    assert read_state(path)[1] == position and EpochLog(tmp_path / "epochs.jsonl").epochs() == []
    resumed = run(tmp_path)
    assert EpochLog(tmp_path / "epochs.jsonl").epochs() == straight[1]
    assert resumed.keys() == straight[0].keys()
    for name, value in straight[0].items():
        np.testing.assert_array_equal(resumed[name], value, err_msg=name)


@pytest.fixture
def ctrl_c():
    """Python's own handler, which a command that a shell runs in the background does not have."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.once
def test_ctrl_c_saves_and_a_second_one_ends_at_once(tmp_path, ctrl_c):
    with pytest.raises(KeyboardInterrupt, match="stopped by SIGINT after 4 steps; saved"):
        run(tmp_path, [KillAt(1, signal.SIGINT)])
    with StopOnSignal(None) as stop:
        stop.catch(signal.SIGTERM, None)
        stop.catch(signal.SIGTERM, None)  # a cluster may send it twice
        stop.catch(signal.SIGINT, None)
        with pytest.raises(KeyboardInterrupt, match="at once"):
            stop.catch(signal.SIGINT, None)
    with StopOnSignal(None, signals=(signal.SIGINT,)) as stop:
        assert signal.getsignal(signal.SIGINT) == stop.catch
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler


@pytest.mark.once
def test_signals_that_the_process_ignores_stay_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # what shells do for commands in the background
    try:
        with StopOnSignal(None):
            assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.once
def test_a_second_process_is_refused(tmp_path):
    config = {"workdir": str(tmp_path / "run")}
    mine = Workdir(config)
    mine.begin()
    mine.begin()  # the same process may
    code = (
        "import sys; from mpm_keras.training.workdir import Workdir; from mpm_keras.errors import InputError\n"
        "try: Workdir({'workdir': sys.argv[1]}).begin()\n"
        "except InputError as error: print(error)\n"
    )
    other = subprocess.run([sys.executable, "-c", code, tmp_path / "run"], capture_output=True, text=True, check=True)
    assert f"another process ({os.getpid()}) is at work in it" in other.stdout


@pytest.mark.once
def test_a_full_disk_is_said_and_loses_nothing(tmp_path, monkeypatch):
    checkpoints = CheckpointFolder(tmp_path)
    (tmp_path / "state-000000008.npz").write_bytes(b"whole")

    def full(path, trainer, position):
        def half(file):
            file.write(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        atomic_write(path, half)

    monkeypatch.setattr("mpm_keras.training.checkpoints.save_state", full)
    with pytest.raises(InputError, match=r"state-000000009.npz: cannot be written \(.+\); checkpoints before it are"):
        checkpoints.save(None, Position(1, 0, 9))
    assert [path.name for path in tmp_path.iterdir()] == ["state-000000008.npz"]
