"""Runs in processes of their own: read when finished, stopped with their parent, failures with a reason."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mpm_keras.errors import Preempted
from mpm_keras.studies.runs import RunFailed, run_record, run_script, samples_seen

pytestmark = pytest.mark.numpy_only

# Stands for a training script: counts its starts, and does what its settings say.
SCRIPT = """
import json, os, pathlib, signal, sys, time
options = dict(word[2:].split("=", 1) for word in sys.argv[1:])
config, folder = json.loads(pathlib.Path(options["config"]).read_text()), pathlib.Path(options["workdir"])
folder.mkdir(exist_ok=True)
with open(folder / "starts", "a") as file:
    file.write(f"{os.getpid()}\\n")
signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
time.sleep(config.get("seconds", 0))
if "code" in config:
    print("warning: of a library", file=sys.stderr)
    print("train.py: this is why", file=sys.stderr)
    sys.exit(config["code"])
if config.get("kill"):
    os.kill(os.getpid(), signal.SIGKILL)
(folder / "config.json").write_text(json.dumps(config))
(folder / "metrics.json").write_text(json.dumps({"steps": config["steps"], "backend": os.environ.get("KERAS_BACKEND")}))
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "train.py"
    path.write_text(SCRIPT)
    return path


def starts(workdir) -> list[int]:
    file = workdir / "starts"
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def wait_for(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_finished_run_is_read_and_another_is_started(script, tmp_path):
    workdir = tmp_path / "runs" / "one"
    settings = {"steps": 30, "batch_size": 4, "detector": None}
    assert run_script(script, settings, workdir, {"KERAS_BACKEND": "jax"}) == {"steps": 30, "backend": "jax"}
    assert run_script(script, {"steps": 30, "batch_size": 4}, workdir)["steps"] == 30
    assert len(starts(workdir)) == 1 and samples_seen(workdir) == 120
    assert run_script(script, {**settings, "steps": 40}, workdir)["steps"] == 40
    assert len(starts(workdir)) == 2
    record = run_record(workdir)
    assert record["finished"] and record["starts"] == 2 and 0 < record["seconds"] < 20
    (workdir / "metrics.json").unlink()
    assert run_script(script, {**settings, "steps": 40}, workdir)["steps"] == 40


def test_samples_of_alternating_tasks(tmp_path):
    config = {"schedule": "alternate", "weight_2d": 2.0, "weight_3d": 3.0, "weight_lift": 0.0, "batch_size": 8}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "metrics.json").write_text('{"steps": 10}')
    assert samples_seen(tmp_path) == 5 * 8


@pytest.mark.parametrize(
    ("settings", "code", "reason"),
    [({"code": 2}, 2, "train.py: this is why"), ({"kill": True}, -signal.SIGKILL, "memory"), ({}, 1, "KeyError")],
)
def test_a_failure_has_its_reason(settings, code, reason, script, tmp_path):
    with pytest.raises(RunFailed) as caught:
        run_script(script, settings, tmp_path / "run")
    assert caught.value.code == code and reason in caught.value.reason
    assert not run_record(tmp_path / "run")["finished"]


def test_a_script_that_was_stopped(script, tmp_path):
    with pytest.raises(Preempted, match="the same command"):
        run_script(script, {"code": 75}, tmp_path / "run")


PARENT = """
import sys
from mpm_keras.errors import Preempted
from mpm_keras.studies.runs import run_script
try:
    print(run_script(sys.argv[1], {"steps": 1, "seconds": float(sys.argv[3])}, sys.argv[2]))
except Preempted:
    sys.exit(75)
"""


def parent(script, workdir, seconds) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", PARENT, script, workdir, str(seconds)], stdout=subprocess.PIPE)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_are_passed_on_and_waited_for(number, script, tmp_path):
    process = parent(script, tmp_path / "run", 30)
    wait_for(lambda: starts(tmp_path / "run"))
    time.sleep(0.2)  # until the script listens
    process.send_signal(number)
    assert process.wait(20) == 75
    assert not Path(f"/proc/{starts(tmp_path / 'run')[0]}").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends the children of a killed process")
def test_no_child_outlives_a_killed_parent(script, tmp_path):
    process = parent(script, tmp_path / "run", 30)
    wait_for(lambda: starts(tmp_path / "run"))
    process.kill()
    process.wait(20)
    wait_for(lambda: not alive(starts(tmp_path / "run")[0]))
    assert run_script(script, {"steps": 1}, tmp_path / "run")["steps"] == 1


def alive(pid) -> bool:
    """Whether a process runs; one that has ended may stay in the table until somebody asks."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def test_two_processes_do_a_run_once(script, tmp_path):
    both = [parent(script, tmp_path / "run", 0.5) for _ in range(2)]
    printed = [process.communicate(timeout=20)[0] for process in both]
    assert printed[0] == printed[1] != b"" and len(starts(tmp_path / "run")) == 1


def test_it_waits_for_a_run_of_somebody_else(script, tmp_path):
    workdir = tmp_path / "run"
    workdir.mkdir()
    hold = (
        "import fcntl, sys, time; f = open(sys.argv[1], 'a+'); fcntl.lockf(f, fcntl.LOCK_EX); print('held', flush=True)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", f"{hold}; time.sleep(0.6)", workdir / ".lock"], stdout=subprocess.PIPE
    )
    assert holder.stdout.readline() == b"held\n"
    run_script(script, {"steps": 1}, workdir)
    assert holder.poll() is not None and os.path.exists(workdir / "metrics.json")
