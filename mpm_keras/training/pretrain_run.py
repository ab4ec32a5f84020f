"""The stage I job: from sources to a trained checkpoint, metrics and a picture."""

from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np

from mpm_keras.data.sources import SourceOptions, load_splits, make_batches, mean_of
from mpm_keras.errors import InputError
from mpm_keras.masking import PoseMasking, hidden_joints
from mpm_keras.models.pretrainer import MPMPretrainer
from mpm_keras.skeletons import get_skeleton
from mpm_keras.training.callbacks import FiniteLoss, RunProgress, TensorBoardScalars, Throughput
from mpm_keras.training.checkpoints import Position
from mpm_keras.training.loop import fit
from mpm_keras.training.pretraining import PretrainTrainer
from mpm_keras.training.validation import baseline_errors, masked_batches, unshuffled
from mpm_keras.training.workdir import Workdir


def pretrain(config: dict) -> dict:
    """Runs or resumes stage I.

    Args:
        config: the flags of `experiments/pretrain.py`.

    Returns:
        What `metrics.json` holds.

    Raises:
        InputError: the data or a setting makes no sense.
    """
    c = SimpleNamespace(**config)
    workdir = Workdir(config, c.keep)
    keras.utils.set_random_seed(c.seed)
    keras.config.set_dtype_policy(c.dtype)
    skeleton = get_skeleton(c.skeleton)
    splits = load_splits(c.data, source_options(c))
    training = make_batches(splits["train"], c.frames, c.stride, c.batch_size, seed=c.seed, flip=c.flip)
    trainer = build_trainer(c, skeleton)
    held_out = unshuffled(make_batches, splits["validation"], c.frames, c.stride, c.batch_size, c.val_windows)
    validation = masked_batches(held_out, trainer.masking, seed=c.seed)
    updates = len(trainer.updates(training.batch(0, 0)))
    compile_trainer(trainer, c, training.num_steps * updates)

    start = workdir.checkpoints.restore_newest(trainer) or Position()
    workdir.begin()
    progress = RunProgress(workdir.checkpoints, training.num_steps, updates, start, c.steps)
    throughput = Throughput(c.batch_size)
    callbacks = [FiniteLoss(), throughput, TensorBoardScalars(workdir.path / "tensorboard")]
    history = fit(
        trainer, training, epochs=c.epochs, progress=progress, pipeline=c.pipeline, validation=validation,
        callbacks=callbacks, verbose=1 if c.progress else 0,
    )  # fmt: skip
    save_weights(trainer.network, workdir.path / "network.weights.h5")
    draw_reconstruction(trainer, validation, skeleton, workdir.path / "reconstruction.png")
    metrics = {
        **validation_metrics(trainer, validation),
        **baseline_errors(validation, {m: mean_of(splits["train"], m) for m in modalities(validation)}, skeleton.root),
        "masked_share": trainer.masking.ratio(c.frames, skeleton.num_joints),
        "train_samples_per_second": throughput.samples_per_second,
        "steps": progress.position.updates,
        "epochs": progress.position.epoch,
        "train_windows": sum(part.index.num_windows for part in training.parts),
        "validation_windows": sum(part.index.num_windows for part in held_out.parts),
        "parameters": trainer.network.module_parameters(),
        "backend": keras.backend.backend(),
        "history": history,
    }
    workdir.write_metrics(metrics)
    return metrics


def source_options(c) -> SourceOptions:
    return SourceOptions(
        fps=c.fps,
        cameras=c.cameras,
        skeleton=c.skeleton,
        seed=c.seed,
        synthetic_clips=c.synthetic_clips,
        validation_subjects=tuple(c.val_subjects),
    )


def build_trainer(c, skeleton) -> PretrainTrainer:
    """The network, its masks and its trainer. Raises `InputError` where a mask does not fit."""
    try:
        masking = PoseMasking(c.spatial_mask, c.temporal_mask, c.mask_strategy, seed=c.seed)
        _, hidden_frames = masking.count_hidden(c.frames, skeleton.num_joints)
        network = MPMPretrainer(
            frames=c.frames, joints=skeleton.num_joints, hidden_frames=hidden_frames, layers=c.layers,
            width=c.width, encoder_width=c.encoder_width, dropout=c.dropout,
        )  # fmt: skip
        weights = {"2d": c.weight_2d, "3d": c.weight_3d, "lift": c.weight_lift}
        return PretrainTrainer(
            network, masking, weights, c.schedule, masked_only=c.loss == "masked", root=skeleton.root
        )  # fmt: skip
    except ValueError as error:
        raise InputError(str(error)) from error


def compile_trainer(trainer, c, updates_per_epoch):
    """AdamW whose learning rate falls by a factor per epoch (section 4.2.1)."""
    rate = keras.optimizers.schedules.ExponentialDecay(c.learning_rate, updates_per_epoch, c.lr_decay, staircase=True)
    trainer.compile(optimizer=keras.optimizers.AdamW(rate, weight_decay=c.weight_decay))


def save_weights(network, path: Path):
    """Writes a network's weights whole or not at all."""
    temporary = path.with_name(f".{path.name.removesuffix('.weights.h5')}.tmp.weights.h5")
    network.save_weights(temporary)
    temporary.replace(path)


def modalities(validation) -> list[str]:
    return [m for m in ("2d", "3d") if f"pose_{m}" in validation.batches[0]]


def validation_metrics(trainer, validation) -> dict:
    """The errors of the hidden joints under the names of `metrics.json`."""
    logs = trainer.evaluate(validation, return_dict=True, verbose=0)
    names = {"masked_3d": "val_masked_3d_mpjpe_mm", "masked_2d": "val_masked_2d_error", "loss": "val_loss"}
    names["masked_lift"] = "val_masked_lift_mpjpe_mm"
    counted = {f"masked_{m}" for m in modalities(validation)} | {"loss", "masked_lift"}
    return {name: float(logs[key]) for key, name in names.items() if key in logs and key in counted}


def draw_reconstruction(trainer, validation, skeleton, path):
    """The picture of masked, reconstructed and true poses of a window amid the validation data."""
    from mpm_keras.viz.skeleton import reconstruction_figure

    batch = validation.batches[len(validation.batches) // 2]
    middle = len(next(iter(batch.values()))) // 2
    one = keras.tree.map_structure(lambda x: x[middle : middle + 1], batch)
    predicted = trainer.network(one, training=False)
    arrays = {}
    for m in ("2d", "3d"):
        if f"pose_{m}" not in one:
            continue
        arrays[f"true_{m}"] = one[f"pose_{m}"][0]
        arrays[f"predicted_{m}"] = np.asarray(keras.ops.convert_to_numpy(predicted[f"pose_{m}"])[0], np.float32)
        arrays[f"masked_{m}"] = keras.ops.convert_to_numpy(hidden_joints(one[f"masks_{m}"]))[0]
    reconstruction_figure(path, skeleton=skeleton, **arrays)
