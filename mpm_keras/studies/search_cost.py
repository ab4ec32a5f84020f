"""What a search is going to cost, before it starts."""

import dataclasses
import math
import os

from mpm_keras.command_line import EXIT_BAD_INPUT
from mpm_keras.errors import InputError
from mpm_keras.studies.runs import RunFailed, run_record, steps_per_batch
from mpm_keras.studies.space import STAGES
from mpm_keras.studies.trials import COMPLETED, Trials

START_SECONDS = 10.0  # of a run's start, import, data and compilation, where they have not been measured
PROBE_BATCHES = 12
PROBE_WINDOWS = 64


@dataclasses.dataclass(frozen=True)
class Cost:
    """An estimate.

    Args:
        trials: of the whole search, Hyperband's rounds counted each.
        done: of those, trials that ended at an earlier start.
        samples: training windows that the trials will see in both stages; None where they cannot be known.
        seconds: None where the speed is not known.
        basis: where the speed comes from.
    """

    trials: int
    done: int
    samples: float | None
    seconds: float | None
    basis: str

    def text(self) -> str:
        left = f"{self.trials} trials" + (f", {self.done} of them done" if self.done else "")
        samples = "an unknown number of samples" if self.samples is None else f"{self.samples:,.0f} samples"
        time = "unknown time" if self.seconds is None else f"about {duration(self.seconds)} on one worker"
        return f"{left}; still to do: {samples}, {time} ({self.basis})"


@dataclasses.dataclass(frozen=True)
class Speed:
    """Of one stage: samples a second, seconds around the training, and the windows of an epoch where known."""

    samples_per_second: float
    start_seconds: float = START_SECONDS
    windows: int | None = None


def duration(seconds: float) -> str:
    """Seconds for people."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def estimate(trials: Trials, plan, samples_per_second: float = 0.0) -> Cost:
    """Trials, samples and seconds, from trials that have ended, a speed that was given or a few steps of both stages.

    Args:
        trials: `Trials`.
        plan: `tuners.Plan`.
        samples_per_second: 0 to measure it.

    Raises:
        InputError: the settings do not even start.
    """
    records = trials.all()
    total = sum(count for count, _, _ in rounds(plan, len(trials.space)))
    done = min(total, len(records))
    finished = [r for r in records if r["status"] == COMPLETED and r["parts"] == r["of"]]
    if finished:
        each = sum(r["train_seconds"] for r in finished) / len(finished)
        samples = sum(r["samples"] for r in finished) / len(finished)
        share = budget_left(plan, len(trials.space), done)
        return Cost(total, done, share * samples, share * each, f"as {len(finished)} finished trials took")
    by_epochs = any(settings["epochs"] and not settings["steps"] for settings in trials.settings.values())
    speeds = measure(trials) if by_epochs or not samples_per_second else None
    basis = "measured with a few steps" if speeds else "the settings could not be tried"
    if samples_per_second:
        old = speeds or {stage: Speed(samples_per_second) for stage in STAGES}
        speeds = {stage: dataclasses.replace(s, samples_per_second=samples_per_second) for stage, s in old.items()}
        basis = "at the speed given"
    if not speeds or (by_epochs and any(s.windows is None for s in speeds.values())):
        return Cost(total, done, None, None, basis)
    samples = seconds = 0.0
    for count, parts, before in rounds(plan, len(trials.space)):
        for stage in STAGES:
            share = (parts - before if stage == "pretrain" else parts) / plan.full
            n = share * stage_samples(trials.settings[stage], stage, speeds[stage].windows)
            samples += count * n
            seconds += count * (n / speeds[stage].samples_per_second + speeds[stage].start_seconds)
    return Cost(total, done, samples, seconds, basis)


def rounds(plan, size: int) -> list[tuple[int, int, int]]:
    """[(trials, parts of the budget, parts they had before)] of a search through `size` combinations.

    Hyperband's as in KerasTuner: one bracket for every power of `factor` in `parts`, from many trials with the
    smallest budget to a few with all of it.
    """
    if plan.tuner != "hyperband":
        return [(min(plan.trials, size) or size, 1, 0)]
    found, left = [], size
    steps = math.floor(math.log(plan.parts, plan.factor) + 1e-9)
    end = math.ceil(1 + math.log(plan.parts, plan.factor))
    for bracket in reversed(range(steps + 1)):
        before = 0
        for number in range(bracket + 1):
            count = math.ceil(end / (bracket + 1) * plan.factor ** (bracket - number))
            parts = math.ceil(plan.parts / plan.factor ** (bracket - number))
            if not number:
                if count > left:  # KerasTuner ends where no new settings are left for a bracket
                    return found + [(left, parts, 0)] * bool(left)
                left -= count
            found.append((count, parts, before))
            before = parts
    return found


def budget_left(plan, size: int, done: int) -> float:
    """What is still to train, in full trials, after the first `done` trials."""
    total = 0.0
    for count, parts, before in rounds(plan, size):
        skipped = min(count, done)
        done -= skipped
        total += (count - skipped) * (2 * parts - before) / 2 / plan.full
    return total


def stage_samples(settings: dict, stage: str, windows: int | None) -> float:
    """Training samples of a stage with the full budget: steps, epochs, or what is less."""
    limits = []
    if settings["steps"]:
        limits.append(settings["steps"] // alternating(settings, stage) * settings["batch_size"])
    if settings["epochs"] and windows:
        limits.append(settings["epochs"] * windows)
    return float(min(limits))


def alternating(settings: dict, stage: str) -> int:
    """Optimiser steps of a batch; flags that the search leaves alone are as pretrain.py has them."""
    if stage == "finetune":
        return 1
    usual = {"weight_2d": 2.0, "weight_3d": 3.0, "weight_lift": 0.0}
    weights = {name: float(settings.get(name, value)) for name, value in usual.items()}
    return max(1, steps_per_batch({"schedule": settings.get("schedule", "alternate"), **weights}))


def measure(trials: Trials) -> dict[str, Speed] | None:
    """Trains a few batches of both stages. Returns the speeds, None where it fails.

    Raises `InputError` where the scripts refuse the settings in the middle of the space and the first ones alike.
    """
    errors = []
    for name, values in (("middle", trials.space.middle()), ("first", trials.space.settings({}))):
        try:
            return probe(trials, name, values)
        except RunFailed as error:
            errors.append(error)
    if all(error.code == EXIT_BAD_INPUT for error in errors):
        raise InputError(errors[0].reason)
    return None


def probe(trials: Trials, name: str, values: dict) -> dict[str, Speed]:
    """{stage: speed} of a few batches with some settings. Raises `RunFailed`."""
    found, folder = {}, trials.folder / "runs"
    for stage, _, settings in trials.stages(values):
        few = {
            "steps": PROBE_BATCHES * alternating(settings, stage), "epochs": 0,
            "val_windows": min(settings["val_windows"], PROBE_WINDOWS),
        }  # fmt: skip
        if stage == "finetune":
            few["pretrained"] = os.path.abspath(folder / f"probe_{name}_pretrain")
        workdir = folder / f"probe_{name}_{stage}"
        metrics = trials.run(stage, {**settings, **few}, workdir)
        speed = metrics["train_samples_per_second"]
        training = PROBE_BATCHES * settings["batch_size"] / speed
        start = max(0.0, run_record(workdir).get("seconds", 0.0) - training)
        found[stage] = Speed(speed, start, metrics["train_windows"])
    return found
