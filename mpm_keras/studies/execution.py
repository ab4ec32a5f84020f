"""Runs the runs of a study one after the other, and says how long it will take."""

import sys
import time
from pathlib import Path

from mpm_keras.errors import InputError
from mpm_keras.files import read_json
from mpm_keras.studies.plan import Run, Table
from mpm_keras.studies.runs import RunFailed, run_record, run_script

BAD_INPUT = 2  # exit code of the scripts


def execute(table: Table, folder: Path, runner=run_script, say=None) -> dict[str, str]:
    """Runs what is not there yet; a run that fails is recorded, and those that start from it are left out.

    Args:
        table: whose runs.
        folder: of the runs, `folder/NAME` each. What is finished there is not run again.
        runner: as `run_script`.
        say: takes lines about cost and progress; None prints them to stderr.

    Returns:
        {name of a run: why it failed}; empty where all is well.

    Raises:
        InputError: a script refused its input, which is that of the study.
        Preempted: asked to terminate; the same call goes on.
    """
    say = say or (lambda line: print(line, file=sys.stderr, flush=True))
    runs = table.runs()
    ready = [run for run in runs if is_finished(run, folder)]
    say(cost_of(runs, ready))
    clock, failures = Clock(runs), {}
    for number, run in enumerate(runs, 1):
        if run in ready:
            clock.passed(run, run_record(folder / run.name).get("seconds", 0.0))
            continue
        if run.source and run.source.name in failures:
            failures[run.name] = f"{run.source.name} failed"
            continue
        began = time.monotonic()
        try:
            runner(run.script, run.flags(folder), folder / run.name)
            outcome = "done"
        except RunFailed as error:
            if error.code == BAD_INPUT:
                raise InputError(error.reason) from error
            failures[run.name] = error.reason
            outcome = f"failed ({error.reason})"
        seconds = time.monotonic() - began
        clock.passed(run, seconds)
        left = clock.left(runs[number:], set(ready))
        say(f"[{number}/{len(runs)}] {describe(run)}: {outcome}, {seconds:.0f} s; {duration(left)} left")
    return failures


def is_finished(run: Run, folder: Path) -> bool:
    workdir = folder / run.name
    return bool(run_record(workdir).get("finished")) and (workdir / "metrics.json").exists()


def metrics_of(case, folder: Path) -> dict:
    """{script: its metrics} of the runs of a case that are finished."""
    return {
        run.script: read_json(folder / run.name / "metrics.json", "the metrics of a run", finite=False)
        for run in case
        if is_finished(run, folder)
    }


def cost_of(runs, ready) -> str:
    """The line before the start: how many runs of what, and samples to train on."""
    to_do = [run for run in runs if run not in ready]
    kinds = [f"{sum(r.script == s for r in to_do)} {s}" for s in dict.fromkeys(r.script for r in to_do)]
    what = f"{len(to_do)} to do ({', '.join(kinds)})" if to_do else "all done"
    samples = sum(run.samples for run in to_do)
    return f"{len(runs)} runs, {what}; {samples:,} training samples" if samples else f"{len(runs)} runs, {what}"


def describe(run: Run) -> str:
    seed = run.settings.get("seed", run.source.settings.get("seed") if run.source else None)
    return f"{run.name}, seed {seed}"


class Clock:
    """How long runs take: seconds a sample of each script's runs so far, or the mean of all runs before there is one.

    Args:
        runs: those of the study.
    """

    def __init__(self, runs):
        self.samples = {run.name: max(run.samples, 1) for run in runs}
        self.spent = {}  # script: [seconds, samples]

    def passed(self, run: Run, seconds: float):
        spent = self.spent.setdefault(run.script, [0.0, 0])
        spent[0] += seconds
        spent[1] += self.samples[run.name]

    def left(self, runs, ready=()) -> float:
        """Seconds that runs are going to take."""
        total = 0.0
        every = [sum(column) for column in zip(*self.spent.values(), strict=True)] or [0.0, 1]
        for run in runs:
            if run not in ready:
                seconds, samples = self.spent.get(run.script, every)
                total += seconds / samples * self.samples[run.name]
        return total


def duration(seconds: float) -> str:
    """Seconds as `40 s`, `12 min` or `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
