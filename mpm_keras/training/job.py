"""What the training jobs share: settings, data, the fit and its logs."""

from pathlib import Path
from types import SimpleNamespace

import keras

from mpm_keras.data.sources import SourceOptions, load_splits, make_batches, mean_of
from mpm_keras.errors import InputError
from mpm_keras.replicas import is_first
from mpm_keras.skeletons import get_skeleton
from mpm_keras.training.callbacks import EpochLog, RunProgress, TensorBoardScalars, Throughput
from mpm_keras.training.checkpoints import Position
from mpm_keras.training.determinism import use_deterministic_kernels
from mpm_keras.training.distribution import agree, refuse_untried, start
from mpm_keras.training.loop import fit
from mpm_keras.training.loss_watch import LossWatch
from mpm_keras.training.validation import unshuffled
from mpm_keras.training.workdir import Workdir

# What --window_step=0 aims at: an epoch of a minute or two on two cores.
WINDOWS_PER_EPOCH = 20_000


class Job:
    """One run: its settings, folder, data and training.

    Args:
        config: the flags of the script, by name.
        modalities: what training windows must hold, such as ("2d", "3d"); empty for either.

    Raises:
        InputError: the folder holds another run, or the data or a setting makes no sense.
    """

    def __init__(self, config: dict, modalities=()):
        self.config = c = SimpleNamespace(**config)
        self.workdir = Workdir(config, c.keep)
        keras.utils.set_random_seed(c.seed)
        self.devices = start(getattr(c, "devices", 1), getattr(c, "processes", "auto"), c.batch_size)
        refuse_untried(c, self.devices.count)
        if c.deterministic:
            use_deterministic_kernels()
        keras.config.set_dtype_policy(c.dtype)
        self.skeleton = get_skeleton(c.skeleton)
        self.splits = load_splits(c.data, source_options(c))
        for views in self.splits["train"] + self.splits["validation"]:
            for modality in modalities:
                if getattr(views, f"pose_{modality}") is None:
                    raise InputError(
                        f"{views.names[0]}: its source holds no {modality.upper()} poses, which this job needs"
                    )
        if not c.epochs and not c.steps:
            raise InputError("--epochs and --steps are both 0; one of them must say when to stop")
        sizes = (c.frames, c.stride, c.batch_size)
        drawn = sum(float((v.lengths * v.weights).sum()) for v in self.splits["train"])
        step = c.window_step or max(1, int(drawn) // WINDOWS_PER_EPOCH)
        self.training = make_batches(self.splits["train"], *sizes, seed=c.seed, step=step, flip=c.flip)
        self.held_out = unshuffled(make_batches, self.splits["validation"], *sizes, c.val_windows)

    def compile(self, trainer):
        """AdamW whose learning rate falls by a factor per epoch (section 4.2.1), or per so many steps."""
        c = self.config
        jit = {"auto": "auto", "true": True, "false": False}[c.jit_compile]
        try:
            self.updates = len(trainer.updates(self.training.batch(0, 0)))
            steps = getattr(c, "lr_decay_steps", None) or self.training.num_steps * self.updates
            rate = keras.optimizers.schedules.ExponentialDecay(c.learning_rate, steps, c.lr_decay, staircase=True)
            trainer.compile(optimizer=keras.optimizers.AdamW(rate, weight_decay=c.weight_decay), jit_compile=jit)
        except ValueError as error:
            raise InputError(str(error)) from error

    def run(self, trainer, validation, callbacks=()) -> dict:
        """Trains a compiled trainer from where its run stopped. Returns what every `metrics.json` holds."""
        c, folder = self.config, self.workdir.path
        self.workdir.begin()  # first of all: what is restored then changes no more
        begin = self.workdir.checkpoints.restore_newest(trainer) or Position()
        agree(begin.updates, f"the checkpoints in {folder}")
        progress = RunProgress(
            self.workdir.checkpoints, self.training.num_steps, self.updates, begin, c.steps, c.checkpoint_seconds
        )
        trainer.skip_bad_batches = c.skip_bad_batches > 0
        watch = LossWatch(progress, folder / "events.jsonl", c.skip_bad_batches)
        throughput, log = Throughput(c.batch_size), EpochLog(folder / "epochs.jsonl")
        board = [TensorBoardScalars(folder / "tensorboard")] if is_first() else []
        fit(
            trainer,
            self.devices.share(self.training),
            epochs=c.epochs or -(-c.steps // (self.updates * self.training.num_steps)),
            progress=progress,
            pipeline=c.pipeline if hasattr(self.training, "parts") else "numpy",  # arrays need no gathering
            validation=validation,
            callbacks=[watch, throughput, log, *callbacks, *board],
            verbose=1 if c.progress and is_first() else 0,
        )
        old = self.workdir.read_metrics()
        return {
            "train_samples_per_second": throughput.samples_per_second or old.get("train_samples_per_second"),
            "steps": progress.position.updates,
            "epochs": progress.position.epoch,
            "skipped_batches": watch.skipped,
            "train_windows": self.training.num_windows,
            "validation_windows": self.held_out.num_windows,
            "parameters": trainer.network.module_parameters(),
            "backend": keras.backend.backend(),
            "history": log.epochs(),
        }

    def facts(self) -> dict:
        """What the user of the network must know beside its configuration."""
        c, mean = self.config, mean_of(self.splits["train"], "3d")
        facts = {name: getattr(c, name) for name in ("skeleton", "stride", "fps", "normalization", "detector")}
        facts["data"] = {name: getattr(c, name) for name in ("val_subjects", "test_subjects", "without_licenses")}
        facts["data"]["data"] = [Path(source).name for source in c.data]  # where they lay is nobody's business
        return facts if mean is None else {**facts, "mean_pose_3d": mean.tolist()}


def source_options(c) -> SourceOptions:
    """The data flags as `SourceOptions`."""
    return SourceOptions(
        fps=c.fps,
        cameras=c.cameras,
        skeleton=c.skeleton,
        seed=c.data_seed,
        synthetic_clips=c.synthetic_clips,
        validation_subjects=tuple(c.val_subjects),
        test_subjects=tuple(c.test_subjects),
        detector=c.detector,
        without_licenses=tuple(c.without_licenses),
        # Only scripts that train have these.
        roll=getattr(c, "roll", None),
        weights=_numbers(getattr(c, "data_weights", ())),
        mixture=getattr(c, "mixture", None) or "",
        train_share=getattr(c, "train_share", None) or 1.0,
    )


def _numbers(values) -> tuple[float, ...]:
    try:
        return tuple(float(value) for value in values)
    except ValueError as error:
        raise InputError(f"--data_weights: expected numbers ({error})") from error
