"""The launcher, with processes that do nothing but end."""

import signal
import sys
import time

import pytest

from mpm_keras.training import launch

pytestmark = pytest.mark.numpy_only

DO = """
import os, signal, sys, time
rank = int(os.environ["RANK"])
action = sys.argv[1 + rank]
if action == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
if action == "wait":
    time.sleep(60)
if action == "parent":
    os.kill(os.getppid(), signal.SIGTERM)
    time.sleep(60)
print("out of rank", rank, os.environ["WORLD_SIZE"], os.environ["MASTER_ADDR"])
if action not in ("0", "parent"):
    print("trouble in rank", rank, file=sys.stderr)
sys.exit(int(action) if action.isdigit() else 0)
"""


@pytest.fixture
def run(tmp_path, monkeypatch, capfd):
    script = tmp_path / "job.py"
    script.write_text(DO)

    def run(*actions):
        monkeypatch.setattr(sys, "argv", [str(script), *actions])
        monkeypatch.setattr(launch, "GRACE", 0.5)
        before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
        began = time.monotonic()
        code = launch.run_workers(len(actions))
        assert time.monotonic() - began < 15
        assert before == (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT))
        return code, capfd.readouterr()

    return run


def test_all_end_well_and_the_first_alone_is_heard(run):
    code, said = run("0", "0")
    assert code == 0 and said.out == "out of rank 0 2 127.0.0.1\n" and not said.err


def test_one_that_is_killed_ends_the_run_with_a_message(run):
    code, said = run("wait", "kill")
    assert code == 75
    assert (
        said.err == "job.py: process 2 of 2 was ended by SIGKILL; the same command goes on from the last checkpoint\n"
    )


def test_the_error_of_another_than_the_first_is_shown(run):
    code, said = run("wait", "0", "2")
    assert code == 2
    assert said.err == "out of rank 2 3 127.0.0.1\ntrouble in rank 2\njob.py: process 3 of 3 ended with code 2\n"


def test_what_all_say_is_said_once(run):
    code, said = run("2", "2")
    assert code == 2 and said.err == "trouble in rank 0\n"


def test_sigterm_goes_on_to_all(run):
    code, said = run("parent", "wait")
    assert code == 128 + signal.SIGTERM and not said.err
