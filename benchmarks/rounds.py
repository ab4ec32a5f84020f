"""Contestants in turn: every one gets a round, then every one the next, so that a noisy machine hits all alike."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

from material import Case
from worker import MARK

WORKER = Path(__file__).with_name("worker.py")

# Contestants stand on one GPU together: none may take all of its memory at its start.
SHARING = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}


class Failed(Exception):
    """A contestant that ended before its time; the message is the last line of what it said."""


class Contestant:
    """A worker process that is warm and waits."""

    def __init__(self, who: str, case: Case):
        spec = json.dumps({"who": who, "case": dataclasses.asdict(case)})
        environment = {**SHARING, "TF_CPP_MIN_LOG_LEVEL": "3", **os.environ}
        self.who, self.case = who, case
        self.process = subprocess.Popen(
            [sys.executable, str(WORKER), spec], env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.facts = self.hear()

    def hear(self) -> dict:
        """The next line that is meant for us."""
        for line in self.process.stdout:
            if line.startswith(MARK):
                return json.loads(line[len(MARK) :])
        said = self.process.stderr.read().strip().splitlines()
        raise Failed(said[-1] if said else f"exit code {self.process.wait()}")

    def round(self) -> tuple[float, float]:
        """Units per second of one more round, and per second of processor time."""
        self.say("go")
        found = self.hear()
        return found["units"] / found["seconds"], found["units"] / max(found["cpu_seconds"], 1e-9)

    def end(self) -> dict:
        """No more rounds. Returns the memory that the process took."""
        self.say("")
        return self.hear()

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def kill(self):
        self.process.kill()
        self.process.communicate()


def note(line):
    """Progress, beside the results."""
    print(line, file=sys.stderr, flush=True)


def race(names, case: Case, rounds: int) -> list[dict]:
    """All contestants at a case.

    Args:
        names: of the contestants; those that fail are left out, and noted.
        rounds: of each.

    Returns:
        For each contestant `who`, the fields of the case, `rates` (units per second, one per round), `cpu_rates`,
        `load_s`, `first_s` (the first call, which compiles), `call_s`, `peak_memory_mb` and `device_memory_mb`.
    """
    running, rates, found = [], {}, []
    try:
        for who in names:
            try:
                running.append(Contestant(who, case))
            except Failed as failure:
                note(f"{case.name}: {who} failed ({failure})")
        for contestant in [*running] * rounds:
            rates.setdefault(contestant.who, []).append(rate := contestant.round())
            note(f"{case.name}: {contestant.who} {rate[0]:.4g}/s, {rate[1]:.4g} per second of processor time")
        for contestant in running:
            memory = contestant.end()
            facts = {**dataclasses.asdict(case), **contestant.facts, **memory}
            wall, cpu = zip(*rates[contestant.who], strict=True)
            found.append({"who": contestant.who, "rates": wall, "cpu_rates": cpu, **facts})
    finally:
        for contestant in running:
            contestant.kill()
    return found
