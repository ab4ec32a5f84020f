"""Kills a training script again and again, and compares what is left with a run that was let alone.

    python experiments/soak.py pretrain --kills=20
    python experiments/soak.py complete --kills=50 --workdir=runs/soak -- --data=views.npz --epochs=3
    python experiments/soak.py mask_search --kills=10

What follows -- goes to the script in place of the tiny run that is the default. The script runs once
without being disturbed, and then again and again: SIGKILL, SIGTERM, or SIGKILL and the newest
checkpoint cut off, at random moments, and the same command once more, until it ends. Prints what
happened and whether every checkpoint, network and epoch log is the same bit for bit, of a search its
table and its best settings too, and writes soak.json to --workdir; exit code 1 where anything differs.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from absl import flags

from mpm_keras import command_line
from mpm_keras.studies.runs import wait_for_orphans

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = {
    "pretrain": "experiments", "finetune": "experiments", "complete": "experiments",
    "mask_search": "tuning", "layer_search": "tuning",
}  # fmt: skip
TINY = (
    "--synthetic_clips=12", "--width=16", "--encoder_width=16", "--layers=1", "--frames=9", "--batch_size=8",
    "--window_step=25", "--val_windows=32", "--epochs=3", "--steps=0", "--noprogress",
)  # fmt: skip
TINY_SEARCH = (
    "--synthetic_clips=12", "--width=16", "--encoder_width=16", "--frames=9", "--batch_size=8", "--window_step=25",
    "--val_windows=32", "--pretrain_steps=24", "--finetune_steps=12", "--samples_per_second=100",
)  # fmt: skip
TINY_OF = {
    "mask_search": (*TINY_SEARCH, "--layers=1", "--spatial_mask=2,5", "--temporal_mask=0.6"),
    "layer_search": (*TINY_SEARCH, "--layers=1,2", "--decoder=stage2"),
}
KILL, TERMINATE, TRUNCATE = "SIGKILL", "SIGTERM", "SIGKILL, newest checkpoint cut off"
KINDS = {KILL: 0.5, TERMINATE: 0.3, TRUNCATE: 0.2}
IN_START = 0.15  # share of the kills that fall anywhere, mostly where the process starts
GRACE_SECONDS = 120.0

flags.DEFINE_integer("kills", 20, "How often to kill the script.", lower_bound=1)
flags.DEFINE_integer("seed", 0, "Of the moments and the kinds of death.")
flags.DEFINE_string("workdir", "runs/soak", "Folder for the runs and for soak.json; must not hold anything yet.")


class Soak:
    """A script under attack.

    Args:
        command: of the script, without --workdir.
        folder: runs go to `alone` and `killed_1`, `killed_2`, ... in it.
        seed: of what happens to them.
    """

    def __init__(self, command: list[str], folder: Path, seed: int):
        self.command, self.folder, self.random = command, folder, random.Random(seed)
        self.deaths, self.starts, self.rounds, self.seconds_alone = [], 0, 0, 0.0
        self.alone = folder / "alone"

    def start(self, workdir) -> subprocess.Popen:
        self.starts += 1
        with open(self.folder / "output.log", "ab") as log:
            return subprocess.Popen([*self.command, f"--workdir={workdir}"], stdout=log, stderr=log)

    def run_alone(self):
        """The run that all others are compared with. Ends this process where it fails."""
        began = time.monotonic()
        if code := self.start(self.alone).wait():
            self.give_up(code)
        self.seconds_alone = time.monotonic() - began
        self.starts = 0

    def run_killed(self, kills: int) -> Path:
        """One run from beginning to end with up to so many deaths. Returns its folder."""
        self.rounds += 1
        workdir, left = self.folder / f"killed_{self.rounds}", kills
        while True:
            process = self.start(workdir)
            if not left:
                code = process.wait()
            elif self.wait_for_the_moment(process, workdir):
                code, left = self.kill(process, workdir), left - 1
            else:
                code = process.returncode
            if code == 0:
                return workdir
            if code not in (command_line.EXIT_RUN_AGAIN, -signal.SIGKILL, -signal.SIGTERM):
                self.give_up(code)

    def give_up(self, code):
        command_line.fail(f"the script ended with code {code}; {self.folder / 'output.log'} says why", code=1)

    def wait_for_the_moment(self, process, workdir) -> bool:
        """Waits for a random while, mostly within training. Returns False where the process ended before."""
        if self.random.random() < IN_START:
            return not ended_within(process, self.random.uniform(0, self.seconds_alone))
        saves, before = self.random.choice([1, 1, 2, 4, 8, 16]), newest_change(workdir)
        while saves:
            if ended_within(process, 0.01):
                return False
            if (now := newest_change(workdir)) != before:
                before, saves = now, saves - 1
        return not ended_within(process, self.random.uniform(0, 0.2))

    def kill(self, process, workdir) -> int:
        """Ends the process in one of the ways. Returns its exit code."""
        kind = self.random.choices(list(KINDS), KINDS.values())[0]
        process.send_signal(signal.SIGTERM if kind == TERMINATE else signal.SIGKILL)
        if not ended_within(process, GRACE_SECONDS):
            process.kill()
            command_line.fail(f"the script did not end within {GRACE_SECONDS:g} s of {kind}", code=1)
        for lock in workdir.rglob(".lock"):  # a run of a search that was killed may be saving
            wait_for_orphans(lock.parent)
        if (code := process.returncode) == 0:  # it was faster
            return code
        newest = max(checkpoints(workdir), key=lambda path: path.stat().st_mtime_ns, default=None)
        if kind == TRUNCATE and not (newest and self.cut_off(newest)):
            kind = KILL
        self.deaths.append({"kind": kind, "exit_code": code, "run": workdir.name, "newest": newest and newest.name})
        return code

    def cut_off(self, newest) -> bool:
        """Truncates a checkpoint that has another before it, as a loss of power may; not of a run that has ended."""
        if len(list(newest.parent.glob("state-*.npz"))) < 2 or (newest.parents[1] / "metrics.json").exists():
            return False
        os.truncate(newest, self.random.randrange(newest.stat().st_size))
        return True


def ended_within(process, seconds) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def checkpoints(workdir) -> list[Path]:
    return list(workdir.rglob("checkpoints/state-*.npz"))


def newest_change(workdir) -> int:
    """When the newest checkpoint was written, 0 where there is none."""
    times = [0]
    for path in checkpoints(workdir):
        try:
            times.append(path.stat().st_mtime_ns)
        except FileNotFoundError:  # an old one that has just been removed
            continue
    return max(times)


def differences(one, other) -> list[str]:
    """What differs between two runs: arrays of last checkpoints and networks, bit for bit, epoch logs and tables."""
    found = []
    files = {path.relative_to(root) for root in (one, other) for path in last_files(root)}
    for file in sorted(files):
        if not (one / file).exists() or not (other / file).exists():
            found.append(f"{file}: only one run has it")
        elif file.suffix == ".npz":
            found += [f"{file}: {name}" for name in different_arrays(one / file, other / file)]
        elif contents_of(one / file) != contents_of(other / file):
            found.append(f"{file}: other values")
    return found


def last_files(root) -> list[Path]:
    """The last checkpoint, the network and the epoch log of every run in a folder, and the results of a search."""
    newest = {path.parent: path for path in sorted(checkpoints(root))}
    tables = [root / name for name in ("table.md", "best.json") if (root / name).exists()]
    return [*newest.values(), *root.rglob("network/weights.npz"), *root.rglob("epochs.jsonl"), *tables]


def different_arrays(one, other) -> list[str]:
    import numpy as np

    with np.load(one, allow_pickle=False) as a, np.load(other, allow_pickle=False) as b:
        if a.files != b.files:
            return ["other names"]
        return [name for name in a.files if a[name].dtype != b[name].dtype or a[name].tobytes() != b[name].tobytes()]


def contents_of(path):
    """The text of a table; of an epoch log {epoch: its last line}, since one that was run twice has two."""
    if path.suffix != ".jsonl":
        return path.read_text()
    lines = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
    return {line["epoch"]: line for line in lines}


def soak(script: str, arguments: list[str], kills: int, seed: int, folder: Path) -> dict:
    """Runs it all. Returns what soak.json holds."""
    path = ROOT / SCRIPTS[script] / f"{script}.py"
    command = [sys.executable, str(path), *arguments, "--checkpoint_seconds=0"]
    attack, found, began = Soak(command, folder, seed), {}, time.monotonic()
    attack.run_alone()
    while len(attack.deaths) < kills:
        run = attack.run_killed(kills - len(attack.deaths))
        found[run.name] = differences(attack.alone, run)
        if not found[run.name]:
            shutil.rmtree(run)
    kinds = [death["kind"] for death in attack.deaths]
    return {
        "script": script,
        "arguments": arguments,
        "backend": os.environ.get("KERAS_BACKEND") or command_line.configured_backend(),
        "seed": seed,
        "kills_survived": len(kinds),
        "kills_by_kind": {kind: kinds.count(kind) for kind in KINDS},
        "preempted_exit_75": sum(death["exit_code"] == command_line.EXIT_RUN_AGAIN for death in attack.deaths),
        "starts": attack.starts,
        "runs_to_the_end": attack.rounds,
        "identical": not any(found.values()),
        "different": {run: names for run, names in found.items() if names},
        "seconds_alone": attack.seconds_alone,
        "seconds": time.monotonic() - began,
        "deaths": attack.deaths,
    }


def main(words):
    script, *arguments = words
    if script not in SCRIPTS:
        command_line.fail(f"expected one of {', '.join(SCRIPTS)}, found {script!r}")
    folder = Path(flags.FLAGS.workdir)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        command_line.fail(f"--workdir {folder}: exists and is not an empty folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        command_line.fail(f"--workdir {folder}: cannot be written ({error.strerror})")
    tiny = list(TINY_OF.get(script, TINY))
    result = soak(script, arguments or tiny, flags.FLAGS.kills, flags.FLAGS.seed, folder)
    (folder / "soak.json").write_text(json.dumps(result, indent=2) + "\n")
    for name, value in result.items():
        if name != "deaths":
            print(f"{name:20} {value}")
    sys.exit(0 if result["identical"] else 1)


if __name__ == "__main__":
    command_line.run(main, positional="SCRIPT")
