"""Several devices train as one does: on each backend its own way, with two parts of the CPU or two processes."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from pose_views import make_batches
from script_runs import SCRIPTS, run_script
from tiny_training import fixed_batch

from mpm_keras.data.windows import UnpairedBatches
from mpm_keras.errors import InputError, Preempted
from mpm_keras.replicas import Processes, set_processes
from mpm_keras.training.checkpoints import CheckpointFolder, Position, read_state
from mpm_keras.training.distribution import start
from mpm_keras.training.preemption import StopOnSignal
from mpm_keras.training.validation import FixedBatches

BACKEND = keras.backend.backend()
TINY = (
    "--synthetic_clips=4", "--cameras=1", "--width=8", "--encoder_width=8", "--layers=1", "--frames=5",
    "--batch_size=8", "--val_windows=16", "--loss=masked", "--noprogress", "--checkpoint_seconds=0", "--keep=99",
    # Two gradients in a step take twice as long to compile; for PyTorch they are two modules that share weights.
    f"--schedule={'alternate' if BACKEND == 'torch' else 'joint'}",
)  # fmt: skip
# Their exact gradient is zero (a norm or a softmax takes them out), and Adam makes a step of the rounding error.
IDLE = ("dense/bias", "contract/bias", "query_key_value/bias", "moving_mean")


def test_slices_are_disjoint_and_together_the_batch():
    one = make_batches((17,), batch_size=6, flip=True, seed=3)
    other = make_batches((40,), batch_size=6, seed=4, views=None)
    for batches in (one, UnpairedBatches((only(one, "2d"), only(other, "3d")))):
        shares = [batches.share(i, 3) for i in range(3)]
        for epoch in range(2):
            for step in range(batches.num_steps):
                parts = [share.batch(epoch, step) for share in shares]
                for key, whole in batches.batch(epoch, step).items():
                    assert len(whole) == 6 and all(len(part[key]) == 2 for part in parts)
                    np.testing.assert_array_equal(np.concatenate([part[key] for part in parts]), whole)
    with pytest.raises(ValueError, match="slice 0 of 4 does not fit a batch of 6"):
        one.share(0, 4)


def only(batches, modality):
    """Batches of one modality."""
    other = "pose_3d" if modality == "2d" else "pose_2d"
    return dataclasses.replace(batches, views=dataclasses.replace(batches.views, **{other: None}))


def test_slices_of_validation():
    whole = FixedBatches([fixed_batch(size=4)])
    halves = [whole.share(i, 2)[0][0] for i in range(2)]
    keras.tree.map_structure(
        lambda x, *parts: np.testing.assert_array_equal(np.concatenate(parts), x), whole[0][0], *halves
    )
    assert whole.share(1, 2).batches == whole.batches


@pytest.mark.skipif(BACKEND != "tensorflow", reason="of TensorFlow's pipeline")
def test_slices_of_the_tensorflow_pipeline():
    from mpm_keras.data.tf_pipeline import tf_pipeline

    share = make_batches((17,), batch_size=6, flip=True).share(1, 3)
    for step, batch in enumerate(tf_pipeline(share)):
        keras.tree.map_structure(lambda a, b: np.testing.assert_array_equal(a, b), batch, share.batch(0, step))


def test_what_a_backend_cannot_do_is_said(monkeypatch):
    if BACKEND == "tensorflow":
        for name, value in {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost"}.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(InputError, match="KERAS_BACKEND=jax or torch takes several"):
            start(1)
    elif BACKEND == "torch":
        with pytest.raises(InputError, match="PyTorch needs a process for each device"):
            start(2)
    else:
        monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=1")  # else there would be as many
        with pytest.raises(InputError, match="--devices=1024: this host has 1"):
            start(1024)
    assert start(1, "none").count == 1


def test_all_processes_stop_where_one_is_told_to():
    class Progress:
        position, saves = Position(0, 1, 2), 0

        def save(self):
            self.saves += 1

    told, asked = 0, []
    set_processes(Processes(1, 2, lambda number: asked.append(number) or max(number, told)))
    try:
        stop = StopOnSignal(Progress())
        stop.on_train_batch_end(0)
        told = int(signal.SIGTERM)
        with pytest.raises(Preempted, match="stopped by SIGTERM after 2 steps"):
            stop.on_train_batch_end(1)
    finally:
        set_processes(Processes())
    assert stop.progress.saves == 1 and asked == [0, 0, 0]  # the last is where all wait for what the first writes


def newest(folder):
    """({name: array}, position) of the newest checkpoint."""
    return read_state(CheckpointFolder(folder / "checkpoints").paths()[-1])


def command(folder, *flags):
    return [sys.executable, str(SCRIPTS / "pretrain.py"), *TINY, f"--workdir={folder}", *flags]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """A run of eight optimiser steps on one device, with a checkpoint after every two."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    ended = run_script("pretrain", *TINY, f"--workdir={folder}", "--steps=8")
    assert ended.code == 0, ended.lines
    return folder


def half_done(alone, folder):
    """A folder with the run `alone` as it stood after four steps."""
    (folder / "checkpoints").mkdir(parents=True)
    shutil.copy(alone / "config.json", folder)
    shutil.copy(alone / "checkpoints" / "state-000000004.npz", folder / "checkpoints")
    return folder


def assert_same_run(folder, alone):
    """Losses and errors to 1e-5, weights to a twentieth of a step of the learning rate."""
    one, other = (json.loads((f / "epochs.jsonl").read_text().splitlines()[-1]) for f in (alone, folder))
    assert other == pytest.approx(one, rel=1e-4)
    assert {k: v for k, v in other.items() if not k.startswith("val_")} == pytest.approx(
        {k: v for k, v in one.items() if not k.startswith("val_")}, rel=1e-5
    )
    (expected, position), (found, reached) = newest(alone), newest(folder)
    assert reached == position and found.keys() == expected.keys()
    compared = [n for n in expected if n.startswith("model/") and not any(idle in n for idle in IDLE)]
    assert len(compared) > 50
    for name in compared:
        np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=5e-5, err_msg=name)
    assert (folder / "network" / "preset.json").exists() and (folder / "metrics.json").exists()


@pytest.mark.slow  # a training in a process of its own, of PyTorch in two
def test_two_devices_go_on_with_a_run_of_one_and_end_as_one_does(alone, tmp_path):
    """Masks and dropout included: they are those of the global batch."""
    folder = half_done(alone, tmp_path / "run")
    ended = subprocess.run(command(folder, "--steps=8", "--devices=2"), capture_output=True, text=True, timeout=1200)
    assert ended.returncode == 0, ended.stderr
    assert_same_run(folder, alone)


def wait_for_checkpoint(folder):
    until = time.monotonic() + 600
    while not list(folder.glob("checkpoints/state-*.npz")):
        assert time.monotonic() < until
        time.sleep(0.2)


@pytest.mark.slow  # starts PyTorch twice
@pytest.mark.skipif(BACKEND != "torch", reason="PyTorch alone has a process for each device")
def test_a_worker_that_dies_ends_the_run_with_a_message(tmp_path):
    endless = command(tmp_path, "--steps=1000000", "--devices=2")
    run = subprocess.Popen(endless, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wait_for_checkpoint(tmp_path)
    workers = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
    os.kill(int(workers[1]), signal.SIGKILL)
    errors = run.communicate(timeout=60)[1]
    assert run.returncode == 75
    assert "process 2 of 2 was ended by SIGKILL; the same command goes on from the last checkpoint" in errors
