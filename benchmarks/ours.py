"""What this project does in each case, on the backend that the environment names: by the paths that users take."""

import contextlib
import tempfile
from pathlib import Path

import keras
import numpy as np
from material import CLIP, Case, batches, clips, windows
from worker import Clock

from mpm_keras.inference.clips import lift_clip
from mpm_keras.masking import PoseMasking
from mpm_keras.models import MPMLifter, MPMPretrainer
from mpm_keras.skeletons import H36M_17
from mpm_keras.training import steps
from mpm_keras.training.callbacks import RunProgress
from mpm_keras.training.checkpoints import CheckpointFolder, Position
from mpm_keras.training.finetuning import LiftTrainer
from mpm_keras.training.loop import fit, make_pipeline
from mpm_keras.training.loss_watch import LossWatch
from mpm_keras.training.pretraining import PretrainTrainer


class Enough(Exception):
    """No more rounds; ends `fit`, which would go on up to its last epoch."""


class Pace(keras.callbacks.Callback):
    """Holds `fit` between rounds. What is asynchronous has ended where a clock stops: the loss is read then.

    The first three batches warm up: they say what compilation costs, and how many batches make a round.
    """

    def __init__(self, rounds, batch_size, progress):
        super().__init__()
        self.rounds, self.batch_size, self.progress = rounds, batch_size, progress
        self.warm_up, self.count, self.left, self.clock = [], 1, 1, Clock()

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left:
            return
        self.progress.before_saving()  # no checkpoint, but what comes before one
        spent = self.clock.read()
        if len(self.warm_up) == 3:
            self.rounds.tell(**spent, units=self.count * self.batch_size)
            self.await_round()
        else:
            self.warm_up.append(seconds := spent["seconds"])
            if len(self.warm_up) == 3:
                self.count = max(1, round(self.rounds.seconds / seconds))
                self.rounds.tell(load_s=self.rounds.loaded, first_s=self.warm_up[0], call_s=seconds)
                self.await_round()
        self.left, self.clock = self.count, Clock()

    def await_round(self):
        if not self.rounds.wanted():
            raise Enough


def trainer_of(case: Case):
    """The compiled trainer of stage I ("train1") or II, with the job's optimiser."""
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(case.dtype)
    if case.what == "train1":
        masking = PoseMasking(seed=0)
        hidden = masking.count_hidden(case.frames, 17)[1]
        network = MPMPretrainer(frames=case.frames, hidden_frames=hidden, layers=case.layers)
        trainer = PretrainTrainer(network, masking)
    else:
        trainer = LiftTrainer(MPMLifter(frames=case.frames, layers=case.layers))
    rate = keras.optimizers.schedules.ExponentialDecay(1e-4, 1000, 0.97, staircase=True)
    trainer.compile(keras.optimizers.AdamW(rate, weight_decay=0.01))
    return trainer


def train(case, who, rounds):
    steps.PATIENCE = 0  # what counts is a long run, not its first hundred batches
    trainer, training = trainer_of(case), batches(case)
    with tempfile.TemporaryDirectory() as folder:
        updates = len(trainer.updates(training.batch(0, 0)))
        checkpoints = CheckpointFolder(Path(folder) / "checkpoints", 1)
        progress = RunProgress(checkpoints, training.num_steps, updates, Position(), seconds=1e9)
        watch = LossWatch(progress, Path(folder) / "events.jsonl")
        callbacks = [watch, Pace(rounds, case.batch_size, progress)]
        with contextlib.suppress(Enough):
            fit(trainer, training, epochs=10_000, progress=progress, callbacks=callbacks, verbose=0)


def lifter_of(case: Case) -> MPMLifter:
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(case.dtype)
    network = MPMLifter(frames=case.frames, layers=case.layers)
    network.expect_many_batches()
    return network


def infer(case, who, rounds):
    network, batch = lifter_of(case), {"pose_2d": windows(case)}

    def work():
        return {k: np.asarray(v, np.float32) for k, v in network.predict_on_batch(batch).items()}

    rounds.run(work, case.batch_size)


def lift(case, who, rounds):
    """A clip: as many frames as fill some batches of windows, in either mode."""
    network = lifter_of(case)
    frames = 4 * case.batch_size if case.what == "center" else max(CLIP, 8 * case.frames)
    clip = clips(max(frames, CLIP))
    pose = np.concatenate([part[0] for part in clip])[:frames]

    def work():
        return lift_clip(network, pose, H36M_17, mode=case.what, flip=False, batch_size=case.batch_size)

    rounds.run(work, frames)


def stream(case, who, rounds):
    """One frame pushed into the live lifter, keypoints in pixels in, a pose out."""
    from mpm_keras import PoseLifter, StreamingLifter, save_preset

    with tempfile.TemporaryDirectory() as folder:
        facts = {"skeleton": "h36m17", "stride": 1, "fps": 50.0, "detector": "none", "confidence_threshold": 0.0}
        save_preset(lifter_of(case), folder, **facts)
        lifter = PoseLifter.from_preset(folder)
    live = StreamingLifter(lifter, skeleton="h36m17", image_size=(1000, 1000), fps=50.0, flip=False)
    points = 500 + 100 * np.random.default_rng(0).standard_normal((17, 2))
    rounds.run(lambda: live.push(points), 1)


def pipeline(case, who, rounds):
    """`who`: "jax:numpy", "tensorflow:tfdata", "jax:device"; batches as the training step gets them."""
    kind, training = who.split(":")[1], batches(case)
    source = make_pipeline(training, kind, 0, 0, 10_000)
    if kind == "tfdata":
        source = iter(source)
        rounds.run(lambda: next(source), case.batch_size)
        return
    step, gather = iter(range(10**9)), None
    if kind == "device":
        from mpm_keras.training.device_frames import DeviceFrames

        gather = gatherer(DeviceFrames(training))

    def work():
        batch = source[next(step)][0]
        return batch if gather is None else gather(batch)

    rounds.run(work, case.batch_size)


def gatherer(frames):
    """Gathering windows on the device as a compiled step does it; returns when it is done."""
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        gather = jax.jit(lambda values, drawn: frames.stateless_call([], values, drawn)[0])
        return lambda drawn: jax.block_until_ready(gather([v.value for v in frames.non_trainable_variables], drawn))
    if backend == "tensorflow":
        import tensorflow as tf

        gather = tf.function(frames)
        return lambda drawn: {key: value.numpy() for key, value in gather(drawn).items()}

    import torch

    def work(drawn):
        with torch.no_grad():
            batch = frames(drawn)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return batch

    return work


def copying(case, who, rounds):
    """The floor of every pipeline: bytes of a batch, copied within memory."""
    training = batches(case)
    sources = list(training.batch(0, 0).values())
    targets = [np.empty_like(source) for source in sources]

    def work():
        for target, source in zip(targets, sources, strict=True):
            np.copyto(target, source)

    rounds.run(work, case.batch_size)


JOBS = {
    "train1": train, "train2": train, "infer": infer, "center": lift, "sequence": lift, "stream": stream,
    "pipeline": lambda case, who, rounds: (copying if who.endswith(":copy") else pipeline)(case, who, rounds),
}  # fmt: skip
