import keras
import numpy as np
import pytest
from harness import to_numpy
from tiny_training import fixed_batch, make_data, make_trainer

from mpm_keras.training import loop
from mpm_keras.training.callbacks import BestNetwork, EpochLog, RunProgress, TensorBoardScalars, Throughput
from mpm_keras.training.checkpoints import CheckpointFolder, Position
from mpm_keras.training.loop import choose_pipeline, fit, make_pipeline
from mpm_keras.training.loss_watch import LossWatch
from mpm_keras.training.validation import FixedBatches, baseline_errors, masked_batches

ONLY_TENSORFLOW = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="tf.data")


def progress_of(folder, **options):
    return RunProgress(CheckpointFolder(folder / "checkpoints"), 4, 2, Position(), **options)


def test_a_run_with_all_callbacks(tmp_path):
    throughput, log = Throughput(4), EpochLog(tmp_path / "epochs.jsonl")
    board = TensorBoardScalars(tmp_path / "tensorboard")
    progress = progress_of(tmp_path)
    trainer = make_trainer()
    fit(
        trainer, make_data(), epochs=2, progress=progress, validation=FixedBatches([fixed_batch()]),
        callbacks=[LossWatch(progress, tmp_path / "events.jsonl"), throughput, log, board], verbose=0,
    )  # fmt: skip
    assert progress.position == Position(2, 0, 16) and progress.batches_run == 8
    assert throughput.batches == 3 + 3 and throughput.samples_per_second > 0
    epochs = log.epochs()
    assert [line["epoch"] for line in epochs] == [1, 2]
    for line in epochs:
        assert {"loss", "masked_2d", "masked_3d", "val_loss", "val_masked_2d", "val_masked_3d"} <= set(line)
        assert all(np.isfinite(value) for value in line.values())
    assert [p.name for p in progress.checkpoints.paths()] == ["state-000000008.npz", "state-000000016.npz"]
    for part in ("train", "validation"):
        assert list((tmp_path / "tensorboard" / part).glob("events.out.tfevents.*"))
    again = trainer.evaluate(FixedBatches([fixed_batch()]), return_dict=True, verbose=0)
    assert float(again["loss"]) == pytest.approx(epochs[-1]["val_loss"], rel=1e-5)


def test_the_step_limit_counts_optimiser_steps(tmp_path):
    progress = progress_of(tmp_path, max_updates=5)  # two per batch: the third batch passes five
    trainer = make_trainer()
    fit(trainer, make_data(), epochs=2, progress=progress, verbose=0)
    assert progress.position == Position(0, 3, 6) and progress.finished
    assert to_numpy(trainer.optimizer.iterations.value) == 6
    fit(trainer, make_data(), epochs=2, progress=progress, verbose=0)  # does nothing
    assert to_numpy(trainer.optimizer.iterations.value) == 6


def test_no_epochs_still_leaves_a_checkpoint(tmp_path):
    progress = progress_of(tmp_path)
    fit(make_trainer(), make_data(), epochs=0, progress=progress, verbose=0)
    assert len(progress.checkpoints.paths()) == 1


def test_a_loss_that_is_not_finite_ends_the_run_before_it_is_saved(tmp_path):
    trainer, progress = make_trainer(), progress_of(tmp_path, seconds=-1.0)
    token = trainer.network.frame_token.token
    token.assign(np.full(token.shape, np.nan))
    watch = LossWatch(progress, tmp_path / "events.jsonl")
    with pytest.raises(FloatingPointError, match="NaN or infinite at batch 1 of epoch 1"):
        fit(trainer, make_data(), epochs=1, progress=progress, callbacks=[watch], verbose=0)
    assert not progress.checkpoints.paths()


@pytest.mark.once
def test_validation_alike_in_every_epoch_and_without_a_trace(tmp_path):
    """Validation has masks of its own: it draws none, so that training does not depend on it."""
    trainers = []
    for validation in (None, FixedBatches([fixed_batch()])):
        trainer = make_trainer()
        fit(trainer, make_data(), epochs=2, progress=progress_of(tmp_path / str(validation is None)),
            validation=validation, verbose=0)  # fmt: skip
        trainers.append(trainer)
    for a, b in zip(*(t.network.weights for t in trainers), strict=True):
        np.testing.assert_array_equal(to_numpy(a.value), to_numpy(b.value), err_msg=a.path)


def test_unknown_pipeline():
    with pytest.raises(ValueError, match="unknown pipeline 'dali'; known: auto, numpy, tfdata, device"):
        choose_pipeline(make_data(), "dali")


def test_auto_is_the_device_where_there_is_one_and_the_frames_fit(monkeypatch):
    here = "tfdata" if keras.backend.backend() == "tensorflow" else "numpy"
    monkeypatch.setattr(loop, "on_accelerator", lambda: False)
    assert choose_pipeline(make_data(), "auto") == here
    monkeypatch.setattr(loop, "on_accelerator", lambda: True)
    assert choose_pipeline(make_data(), "auto") == "device"
    monkeypatch.setattr(loop, "MOST_BYTES", 1000)
    assert choose_pipeline(make_data(), "auto") == here


@pytest.mark.parametrize("kind", ["numpy", "device", pytest.param("tfdata", marks=ONLY_TENSORFLOW)])
def test_a_pipeline_goes_on_in_the_middle_of_an_epoch(kind):
    pipeline = make_pipeline(make_data(), kind, 1, 2, 3)
    assert len(pipeline) == 2 + 4


def test_the_epoch_log_keeps_the_last_line_of_an_epoch(tmp_path):
    log = EpochLog(tmp_path / "epochs.jsonl")
    for epoch, loss in ((0, 1.0), (1, 0.75), (1, 0.5)):
        log.on_epoch_end(epoch, {"loss": np.float32(loss)})
    assert log.epochs() == [{"epoch": 1, "loss": 1.0}, {"epoch": 2, "loss": 0.5}]


def test_validation_masks_and_baselines():
    trainer, batches = make_trainer(), make_data(steps=2)
    one, two = (masked_batches(batches, trainer.masking, seed=3) for _ in range(2))
    keras.tree.map_structure(np.testing.assert_array_equal, one.batches, two.batches)
    for batch in one.batches:
        assert (batch["masks_2d"]["frames"].sum(-1) == 3).all() and (batch["masks_3d"]["joints"].sum(-1) == 5).all()
    means = {"2d": np.zeros((17, 2), np.float32), "3d": np.zeros((17, 3), np.float32)}
    errors = baseline_errors(one, means, root=0)
    distances = []
    for batch in one.batches:
        hidden = batch["masks_3d"]["joints"] | batch["masks_3d"]["frames"][..., None]
        hidden[..., 0] = False  # the root
        distances.append(1000 * np.linalg.norm(batch["pose_3d"], axis=-1)[hidden])
    assert errors["baseline_mean_pose_3d_mpjpe_mm"] == pytest.approx(np.concatenate(distances).mean(), rel=1e-5)
    assert set(errors) == {
        f"baseline_{n}_{u}" for n in ("interpolation", "mean_pose") for u in ("2d_error", "3d_mpjpe_mm")
    }


@pytest.mark.once
def test_the_best_network_is_never_one_of_nan():
    saved = []
    best = BestNetwork("val_error", None, saved.append)
    for value in (float("nan"), 3.0, float("nan"), 2.0, 4.0):
        best.on_epoch_end(0, {"val_error": value})
    assert saved == [3.0, 2.0]
