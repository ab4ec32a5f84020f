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
from mpm_keras.training.validation import FixedBatches
from mpm_keras.training.workdir import Workdir


class KillAt(keras.callbacks.Callback):
    """Sends this process SIGTERM in the middle of a batch."""

    def __init__(self, batch):
        super().__init__()
        self.batch = batch

    def on_train_batch_begin(self, batch, logs=None):
        if batch == self.batch:
            os.kill(os.getpid(), signal.SIGTERM)


def run(folder, callbacks=()):
    """Two epochs of four batches, from wherever the folder's run stopped."""
    trainer, checkpoints = make_trainer(), CheckpointFolder(folder)
    start = checkpoints.restore_newest(trainer) or Position()
    progress = RunProgress(checkpoints, 4, 2, start)
    validation, log = FixedBatches([fixed_batch()]), EpochLog(folder / "epochs.jsonl")
    fit(
        trainer, make_data(), epochs=2, progress=progress, pipeline="numpy", verbose=0, validation=validation,
        callbacks=[log, *callbacks],
    )  # fmt: skip
    return read_state(checkpoints.paths()[-1])[0]


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    folder = tmp_path_factory.mktemp("straight")
    return run(folder), EpochLog(folder / "epochs.jsonl").epochs()


@pytest.mark.parametrize("batch", [1, pytest.param(3, marks=pytest.mark.once)])
def test_sigterm_saves_and_the_same_command_goes_on(batch, straight, tmp_path):
    """In the midst of an epoch, and in its last batch: then validation still belongs to it."""
    before = signal.getsignal(signal.SIGTERM)
    steps = 2 * (batch + 1)
    with pytest.raises(Preempted, match=f"stopped by SIGTERM after {steps} steps; saved"):
        run(tmp_path, [KillAt(batch)])
    assert signal.getsignal(signal.SIGTERM) == before
    assert [path.name for path in CheckpointFolder(tmp_path).paths()] == [f"state-{steps:09d}.npz"]
    resumed = run(tmp_path)
    assert EpochLog(tmp_path / "epochs.jsonl").epochs() == straight[1]
    assert resumed.keys() == straight[0].keys()
    for name, value in straight[0].items():
        np.testing.assert_array_equal(resumed[name], value, err_msg=name)


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
