"""A chief and two workers, processes of their own, share a search; one of the workers dies."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.numpy_only  # this process needs no Keras

PROGRAM = Path(__file__).with_name("parallel_search.py")


@pytest.fixture
def processes():
    started = []
    yield started
    for process in started:
        process.kill()
        process.communicate()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def start(processes, folder, name, port, die_at=0) -> subprocess.Popen:
    variables = {
        "KERASTUNER_TUNER_ID": name, "KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": str(port),
        "PYTHONPATH": str(PROGRAM.parent), "GRPC_VERBOSITY": "ERROR",
    }  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, PROGRAM, folder, str(die_at), "grid"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env={**os.environ, **variables},
    )  # fmt: skip
    processes.append(process)
    return process


def last_line(process) -> dict:
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    return json.loads(out.splitlines()[-1])


@pytest.mark.slow  # four processes that import KerasTuner, and with it Keras
def test_every_trial_is_done_once(processes, tmp_path):
    port = free_port()
    chief = start(processes, tmp_path, "chief", port)
    one = start(processes, tmp_path, "one", port)
    other = start(processes, tmp_path, "other", port, die_at=2)
    assert other.wait(200) == -signal.SIGKILL  # within its first trial
    again = start(processes, tmp_path, "other", port)
    found = last_line(chief)
    assert found["trials"] == 9 and found["failed_trials"] == 0 and found["best_val_center_mpjpe_mm"] == 100
    counts = [last_line(process)["trials_of_this_worker"] for process in (one, again)]
    assert sum(counts) == 9 and min(counts) > 0
    started = [json.loads(line) for line in (tmp_path / "started.jsonl").read_text().splitlines()]
    assert len(started) == 9 and len({pretrained for _, pretrained in started}) == 9
    assert {name for name, _ in started} == {"one", "other"}
    with open(tmp_path / "search" / "trials.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["status"] for row in rows] == ["completed"] * 9 and {row["worker"] for row in rows} == {"one", "other"}
