"""The trials of a search: a short pre-training and a short fine-tuning, their results in files."""

import dataclasses
import json
import math
import os
import time
from pathlib import Path

from mpm_keras.errors import InputError
from mpm_keras.files import write_json
from mpm_keras.studies.runs import RunFailed, run_record, run_script, samples_seen
from mpm_keras.studies.space import Space, key_of

OBJECTIVE = "val_center_mpjpe_mm"  # of finetune.py, on the validation subjects; the smaller the better
COMPLETED, FAILED = "completed", "failed"
# What a table shows of the metrics of the two stages.
PRETRAIN_METRICS = ("val_masked_3d_mpjpe_mm", "val_masked_2d_error")
FINETUNE_METRICS = (OBJECTIVE, "val_sequence_mpjpe_mm")


@dataclasses.dataclass(frozen=True)
class Budget:
    """How much of the full training a trial gets; less than all of it with Hyperband only.

    Args:
        parts, of: `parts / of` of the steps and epochs of both stages.
    """

    parts: int = 1
    of: int = 1

    def of_settings(self, settings: dict) -> dict:
        """Settings with steps and epochs cut down, never to nothing."""
        cut = {
            name: math.ceil(int(settings[name]) * self.parts / self.of)
            for name in ("steps", "epochs")
            if settings.get(name)
        }
        return {**settings, **cut}

    @property
    def suffix(self) -> str:
        return "" if self.parts == self.of else f"@{self.parts}of{self.of}"


class Trials:
    """Runs trials and remembers them: what has ended is read, and what was stopped goes on.

    A pre-training that several trials share runs once. With a larger budget a pre-training goes on from where
    the smaller one ended, and the fine-tuning, which begins with its network, begins anew.

    Args:
        folder: results go to `trials` in it, runs to `runs`.
        space: what differs between trials.
        settings: {stage: {flag: value}} of what does not.
        shared: whether trials that differ in the fine-tuning only share a pre-training; not with Hyperband, whose
            budgets would mix.
        run: `run_script`, or something like it.
        worker: name of this process, for the record.
    """

    def __init__(self, folder, space: Space, settings: dict, shared=True, run=run_script, worker="tuner0"):
        self.folder, self.space, self.settings, self.shared = Path(folder), space, settings, shared
        self.run, self.worker = run, worker

    def file(self, values: dict, budget: Budget) -> Path:
        return self.folder / "trials" / f"{key_of(values)}{budget.suffix}.json"

    def find(self, values: dict, budget=Budget()) -> dict | None:
        """The record of a trial that has ended, or None."""
        file = self.file(values, budget)
        return read_record(file) if file.exists() else None

    def all(self) -> list[dict]:
        """The records of all trials that have ended, in the order of their settings."""
        files = sorted((self.folder / "trials").glob("*.json"))
        records = [read_record(file) for file in files]
        order = {name: d.values for name, d in zip(self.space.names, self.space.dimensions, strict=True)}

        def place(record):
            return [order[n].index(record["values"][n]) for n in self.space.names] + [record["parts"]]

        return sorted(records, key=place)

    def forget_failures(self):
        """Removes the records of trials that failed, so that they run again."""
        for file in (self.folder / "trials").glob("*.json"):
            if read_record(file)["status"] == FAILED:
                file.unlink()

    def result(self, values: dict, budget=Budget()) -> dict:
        """Runs a trial, or goes on with it, unless it has ended already. Returns its record.

        Raises `Preempted` where this process or a run of its was asked to terminate.
        """
        if found := self.find(values, budget):
            return found
        began = time.monotonic()
        record = {"values": values, "parts": budget.parts, "of": budget.of, "worker": self.worker}
        try:
            record |= {"status": COMPLETED, "reason": "", "exit_code": 0, **self.train(values, budget)}
        except RunFailed as error:
            record |= {"status": FAILED, "reason": error.reason, "exit_code": error.code}
        record["seconds"] = time.monotonic() - began
        file = self.file(values, budget)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, record)
        return record

    def train(self, values: dict, budget: Budget) -> dict:
        """Both stages. Returns what the record of a trial says about them."""
        found = {"samples": 0, "train_seconds": 0.0}
        for stage, workdir, settings in self.stages(values, budget):
            metrics = self.run(stage, settings, workdir)
            names = PRETRAIN_METRICS if stage == "pretrain" else FINETUNE_METRICS
            found |= {name: metrics[name] for name in names if name in metrics}
            found[f"{stage}_samples_per_second"] = metrics.get("train_samples_per_second")
            found["samples"] += samples_seen(workdir)
            found["train_seconds"] += run_record(workdir).get("seconds", 0.0)
        if not math.isfinite(found[OBJECTIVE]):
            raise RunFailed(0, f"{OBJECTIVE} is {found[OBJECTIVE]}")
        return found

    def stages(self, values: dict, budget=Budget()):
        """Yields (script, workdir, settings) of a trial's runs."""
        part = self.space.of_stage(values, "pretrain") if self.shared else values
        pretrained = self.folder / "runs" / f"pretrain_{key_of(part)}"
        settings = {**self.settings["pretrain"], **self.space.of_stage(values, "pretrain")}
        yield "pretrain", pretrained, budget.of_settings(settings)
        settings = {**self.settings["finetune"], **self.space.of_stage(values, "finetune")}
        workdir = self.folder / "runs" / f"finetune_{key_of(values)}{budget.suffix}"
        yield "finetune", workdir, {**budget.of_settings(settings), "pretrained": os.path.abspath(pretrained)}


def read_record(file: Path) -> dict:
    """The record of a trial. Raises `InputError` where the file was damaged; it is written whole or not at all."""
    try:
        return {**json.loads(file.read_text())}
    except (ValueError, TypeError) as error:
        raise InputError(f"{file}: expected the record of a trial ({error}); remove it") from error


def best_of(records: list[dict]) -> dict | None:
    """The completed trial with the smallest error, of those with the largest budget; None where all failed."""
    done = [r for r in records if r["status"] == COMPLETED]
    most = max((r["parts"] for r in done), default=0)
    return min((r for r in done if r["parts"] == most), key=lambda r: r[OBJECTIVE], default=None)
