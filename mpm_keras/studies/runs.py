"""One run of a training script in a process of its own.

So flags and defaults keep their one definition, a run resumes by the same command, and a crash or an exhausted
memory is the error of that run alone. Imports no backend.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from mpm_keras.command_line import EXIT_RUN_AGAIN
from mpm_keras.errors import InputError, Preempted, printable
from mpm_keras.files import write_json

try:
    import fcntl
except ImportError:  # Windows: no locks there
    fcntl = None

EXPERIMENTS = Path(__file__).resolve().parents[2] / "experiments"
POLL_SECONDS = 0.2
LONGEST_REASON = 300  # characters


class RunFailed(Exception):
    """A script that ended with an error.

    Attributes:
        code: its exit code; negative for a signal.
        reason: one line that says why: the last of its stderr.
    """

    def __init__(self, code: int, reason: str):
        super().__init__(f"exit code {code}: {reason}")
        self.code, self.reason = code, reason


def run_script(script, settings: dict, workdir, environment=None) -> dict:
    """Runs or resumes a script of experiments/ with settings, or reads what it left if it has ended with the same.

    Beside the workdir appear WORKDIR.json (the settings), WORKDIR.log and WORKDIR.err (what it printed) and
    WORKDIR.run.json (see `run_record`). SIGTERM and SIGINT are passed on as SIGTERM and waited for.

    Args:
        script: path of `pretrain.py`, `finetune.py` or another script with --config and --workdir, or its name.
        settings: {flag: value}, without workdir; None stands for the script's default.
        workdir: of the run. Where another process is at work in it, this one waits.
        environment: {name: value} of what differs from this process's, such as KERAS_BACKEND.

    Returns:
        What its metrics.json holds.

    Raises:
        RunFailed: the script ended with another exit code than 0 or 75.
        Preempted: it, or this process, was asked to terminate; the same call goes on.
    """
    script, workdir = script_path(script), Path(workdir)
    settings = {name: value for name, value in settings.items() if value is not None}
    workdir.parent.mkdir(parents=True, exist_ok=True)
    with locked(beside(workdir, "lock")):
        record = run_record(workdir)
        if record.get("finished") and record["settings"] == settings and (workdir / "metrics.json").exists():
            return read_metrics(workdir)
        wait_for_orphans(workdir)
        record = {
            "settings": settings, "finished": False,
            "starts": record.get("starts", 0) + 1, "seconds": record.get("seconds", 0.0),
        }  # fmt: skip
        write_json(beside(workdir, "run.json"), record)
        write_json(beside(workdir, "json"), settings)
        began = time.monotonic()
        code, reason = run_process(script, workdir, environment)
        record |= {"finished": code == 0, "seconds": record["seconds"] + time.monotonic() - began}
        write_json(beside(workdir, "run.json"), record)
    if code == 0:
        return read_metrics(workdir)
    if code in (EXIT_RUN_AGAIN, -signal.SIGTERM):
        raise Preempted(f"{workdir}: stopped from outside; the same command goes on from there")
    raise RunFailed(code, reason)


def script_path(script) -> Path:
    """The file of a script: a path, or a name in experiments/. Raises `ValueError` where there is none."""
    for path in (Path(script), EXPERIMENTS / f"{script}.py"):
        if path.is_file():
            return path.resolve()
    raise ValueError(f"no script {script}; expected a path or a name in {EXPERIMENTS}")


def run_record(workdir) -> dict:
    """What is known of a run beside its metrics; empty where it never started.

    `settings`, `finished`, `starts` and `seconds`: of all starts that ended, those that were killed left out.
    """
    try:
        return dict(json.loads(beside(Path(workdir), "run.json").read_text()))
    except FileNotFoundError:
        return {}


def read_metrics(workdir) -> dict:
    """The metrics.json of a run. Raises `InputError` where it is missing or damaged."""
    file = Path(workdir) / "metrics.json"
    try:
        return dict(json.loads(file.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{file}: expected the metrics of a run ({error})") from error


def samples_seen(workdir) -> int:
    """Training samples, one window each, that a finished run of pretrain.py or finetune.py has seen."""
    config = json.loads((Path(workdir) / "config.json").read_text())
    return read_metrics(workdir)["steps"] // steps_per_batch(config) * config["batch_size"]


def steps_per_batch(config: dict) -> int:
    """Optimiser steps of a batch: one, or one for each pretext task of stage I that takes turns."""
    if config.get("schedule") != "alternate":
        return 1
    return sum(config[name] > 0 for name in ("weight_2d", "weight_3d", "weight_lift"))


def beside(workdir: Path, suffix: str) -> Path:
    return workdir.with_name(f"{workdir.name}.{suffix}")


def run_process(script: Path, workdir: Path, environment) -> tuple[int, str]:
    """Starts the script and waits for it. Returns its exit code and the last line of its stderr."""
    command = [sys.executable, str(script), f"--config={beside(workdir, 'json').resolve()}", f"--workdir={workdir}"]
    if sys.platform == "linux":
        command = [sys.executable, "-I", str(Path(__file__).with_name("child.py")), str(os.getpid()), *command]
    errors = beside(workdir, "err")
    with open(beside(workdir, "log"), "ab") as out, open(errors, "ab") as err, Forwarding() as forwarding:
        before = err.tell()
        # In a session of its own: Ctrl-C at the terminal reaches this process only, which passes it on.
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True,
            env={**os.environ, **(environment or {})},
        )  # fmt: skip
        forwarding.to(process)
        code = process.wait()
    return code, last_line(errors, before, script.name) or ended_by(code)


class Forwarding:
    """Inside `with`, SIGTERM and SIGINT of this process end a child instead, by SIGTERM, so that it can save.

    In the main thread only: elsewhere signals cannot be caught.
    """

    def __init__(self, signals=(signal.SIGTERM, signal.SIGINT)):
        self.signals, self.before, self.process, self.asked = signals, {}, None, False

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            self.before = {number: signal.signal(number, self.catch) for number in self.signals}
        return self

    def __exit__(self, *_):
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def to(self, process: subprocess.Popen):
        """Who gets them; also one that came before the process was there."""
        self.process = process
        if self.asked:
            process.terminate()

    def catch(self, _number, _frame):
        self.asked = True
        if self.process is not None:
            self.process.terminate()


def last_line(file: Path, start: int, name: str) -> str:
    """Of what a script wrote to stderr: its own last message, or the last line of all."""
    with open(file, "rb") as stream:
        stream.seek(start)
        lines = [line.strip() for line in stream.read().decode(errors="replace").splitlines() if line.strip()]
    own = [line for line in lines if line.startswith(f"{name}: ")]
    return printable((own or lines or [""])[-1])[:LONGEST_REASON]


def ended_by(code: int) -> str:
    if code == -signal.SIGKILL:
        return "killed by SIGKILL, as the system does when memory runs out"
    return f"ended by {signal.Signals(-code).name}" if code < 0 else "ended without a message"


@contextlib.contextmanager
def locked(path: Path, wait=True):
    """Holds a lock file inside `with`; the lock ends with the process, however it ends.

    Raises `InputError` where another process holds it and `wait` is False.
    """
    if fcntl is None:
        yield
        return
    with open(path, "a+") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if not wait:
                    raise InputError(f"{path.parent}: another process is at work in it") from error
                time.sleep(POLL_SECONDS)
        yield


def wait_for_orphans(workdir: Path):
    """Waits until no run is at work in the folder: one that a killed process left behind may be saving."""
    if fcntl is None:
        return
    for path in [*workdir.glob(".lock"), *workdir.glob("*/.lock")]:
        with open(path, "a+") as file:
            while True:
                try:
                    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError:
                    time.sleep(POLL_SECONDS)
