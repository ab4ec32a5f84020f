"""Bad batches in a run, with and without the option to skip them, and loss spikes."""

import json
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from tiny_training import make_data, make_trainer

from mpm_keras.training.callbacks import RunProgress
from mpm_keras.training.checkpoints import CheckpointFolder, Position, read_state
from mpm_keras.training.loop import fit
from mpm_keras.training.loss_watch import LossWatch


class Poisoned:
    """The batches of `make_data` with NaN in the 3D poses of some steps of the first epoch."""

    def __init__(self, bad):
        self.batches, self.bad, self.num_steps = make_data(), bad, 4

    def batch(self, epoch, step):
        batch = self.batches.batch(epoch, step)
        if epoch == 0 and step in self.bad:
            batch = {**batch, "pose_3d": np.full_like(batch["pose_3d"], np.nan)}
        return batch


def run(folder, bad, skip=0):
    """An epoch of four batches with a checkpoint after each, from wherever the folder's run stopped."""
    trainer, checkpoints = make_trainer(), CheckpointFolder(folder, keep=9)
    progress = RunProgress(checkpoints, 4, 2, checkpoints.restore_newest(trainer) or Position(), seconds=-1.0)
    watch = LossWatch(progress, folder / "events.jsonl", skip)
    trainer.skip_bad_batches = skip > 0
    fit(trainer, Poisoned(bad), epochs=1, progress=progress, callbacks=[watch], pipeline="numpy", verbose=0)
    return watch, read_state(checkpoints.paths()[-1])[0]


def test_a_bad_batch_ends_the_run_and_the_last_checkpoint_is_good(tmp_path):
    message = r"batch 3 of epoch 1, optimiser step 5; the last checkpoint is good \(--skip_bad_batches=N skips"
    with pytest.raises(FloatingPointError, match=message):
        run(tmp_path, bad=[2])
    newest = CheckpointFolder(tmp_path).paths()[-1]
    arrays, position = read_state(newest)
    assert position == Position(0, 2, 4)
    assert all(np.isfinite(value).all() for value in arrays.values())


@pytest.mark.once
def test_bad_batches_are_skipped_counted_and_too_many_stop(tmp_path):
    watch, straight = run(tmp_path / "straight", bad=[1, 2], skip=2)
    assert watch.skipped == 2
    with pytest.raises(FloatingPointError, match=r"batch 3 of epoch 1, .*\(1 were skipped before\)"):
        run(tmp_path / "run", bad=[1, 2], skip=1)
    watch, arrays = run(tmp_path / "run", bad=[1, 2], skip=2)  # what the first start skipped counts
    assert watch.skipped == 2
    lines = [json.loads(line) for line in (tmp_path / "run" / "events.jsonl").read_text().splitlines()]
    assert [(line["event"], line["epoch"], line["batch"], line["step"]) for line in lines] == [
        ("bad_batch", 1, 2, 3), ("bad_batch", 1, 3, 5)
    ]  # fmt: skip
    for name, value in straight.items():
        assert np.isfinite(value).all(), name
        np.testing.assert_array_equal(arrays[name], value, err_msg=name)


@pytest.mark.once
def test_spikes_are_noted_with_their_place(tmp_path):
    progress = SimpleNamespace(position=Position(2, 0, 600), updates_per_batch=2)
    watch = LossWatch(progress, tmp_path / "events.jsonl")
    watch.set_model(SimpleNamespace(trackers={"loss": keras.metrics.Mean()}))
    watch.on_epoch_begin(2)
    losses = np.random.default_rng(0).uniform(1, 2, 60)
    losses[[5, 40]] = 50.0, 18.0  # the first comes before there is a median
    for i, mean in enumerate(np.cumsum(losses) / np.arange(1, 61)):
        progress.position = Position(2, i + 1, 602 + 2 * i)
        watch.on_late_logs({"loss": mean})
    (line,) = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert (line["event"], line["epoch"], line["batch"], line["step"]) == ("loss_spike", 3, 41, 681)
    assert line["loss"] == pytest.approx(18, rel=1e-4) and line["median"] == pytest.approx(
        np.median(losses[:40]), rel=1e-3
    )
