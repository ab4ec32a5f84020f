"""Starts the processes of a run on one host, one for each device, and ends as they end. Imports no backend."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from mpm_keras.command_line import EXIT_RUN_AGAIN, LAUNCHED
from mpm_keras.errors import printable

GRACE = 15.0  # seconds for the others to end by themselves after one has ended with an error
LAST_LINES = 30


def count_gpus() -> int:
    """NVIDIA GPUs of this host that a new process would see; 1 where there is none."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return max(1, len([name for name in visible.split(",") if name.strip()]))
    if (tool := shutil.which("nvidia-smi")) is None:
        return 1
    listed = subprocess.run([tool, "--list-gpus"], capture_output=True, text=True, check=False)
    return max(1, listed.stdout.count("GPU "))


class Worker:
    """One process of a run.

    Args:
        index, count: which of how many.
        port: on which the first waits for the others.
        log: file for what the process prints; None for this terminal.
    """

    def __init__(self, index: int, count: int, port: int, log: Path | None):
        threads = os.environ.get("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count)))
        environment = {
            **os.environ, LAUNCHED: "1", "OMP_NUM_THREADS": threads, "RANK": str(index),
            "LOCAL_RANK": str(index), "WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
        }  # fmt: skip
        self.index, self.log = index, log
        file = None if log is None else open(log, "wb")  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, *sys.argv], env=environment, stdin=subprocess.PIPE, stdout=file, stderr=file
        )

    @property
    def code(self) -> int | None:
        """As `Popen.poll`: None while it runs, negative where a signal ended it."""
        return self.process.poll()

    def last_lines(self) -> str:
        """The end of what it printed."""
        lines = [] if self.log is None else self.log.read_text(errors="replace").splitlines()
        return "\n".join(printable(line) for line in lines[-LAST_LINES:])


def run_workers(count: int) -> int:
    """Runs this very command in `count` processes that train together. Returns the exit code of the run.

    The first prints to this terminal; what another printed is shown where it alone ended with an error. SIGTERM goes
    on to all of them. Where one ends, the others do within seconds.
    """
    workers, asked = [], []

    def pass_on(number, _frame):
        asked.append(number)
        for worker in workers:
            worker.process.terminate()

    before = signal.signal(signal.SIGTERM, pass_on)
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        for index in range(count):
            workers.append(Worker(index, count, port, Path(folder, str(index)) if index else None))
        if asked:  # before all were there
            pass_on(signal.SIGTERM, None)
        interrupted = signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all of them
        try:
            return verdict(workers, first_to_fail(workers), bool(asked))
        finally:
            end(workers)
            signal.signal(signal.SIGTERM, before)
            signal.signal(signal.SIGINT, interrupted)


def free_port() -> int:
    """A port of this host that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def first_to_fail(workers) -> Worker | None:
    """Waits until all have ended, or `GRACE` after one has ended with an error; returns that one."""
    failed, until = None, float("inf")
    while any(worker.code is None for worker in workers) and time.monotonic() < until:
        time.sleep(0.1)
        ended = [worker for worker in workers if worker.code]
        if ended and failed is None:
            failed = min(ended, key=lambda worker: worker.code)  # those that a signal has ended come first
            until = time.monotonic() + GRACE
    return failed or next((worker for worker in workers if worker.code), None)


def verdict(workers, failed: Worker | None, asked: bool) -> int:
    """The exit code of a run, after a message where no worker has printed it to the terminal."""
    if failed is None:
        return 0
    first, code = workers[0], failed.code
    if asked and code < 0:
        return 128 - code
    name = f"{Path(sys.argv[0]).name}: process {failed.index + 1} of {len(workers)}"
    if code < 0:
        print(
            f"{name} was ended by {signal.Signals(-code).name}; the same command goes on from the last checkpoint",
            file=sys.stderr,
        )
        return EXIT_RUN_AGAIN
    if first.code != code:
        print(f"{failed.last_lines()}\n{name} ended with code {code}", file=sys.stderr)
    return code


def end(workers):
    """Ends those that still run, in seconds."""
    for worker in workers:
        if worker.code is None:
            worker.process.kill()
        worker.process.wait()
        worker.process.stdin.close()


def follow_launcher():
    """In a worker: where the launcher disappears, save and end, as after SIGTERM."""
    if LAUNCHED not in os.environ:
        return

    def wait():
        while os.read(0, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()
