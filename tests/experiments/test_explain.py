"""experiments/explain.py as a user calls it."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "experiments" / "explain.py"

pytestmark = pytest.mark.numpy_only


def explain(*arguments, backend):
    command = [sys.executable, str(SCRIPT), *arguments]
    environment = {**os.environ, "KERAS_BACKEND": backend}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_another_backend_is_one_clear_sentence(backend, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    done = explain("keypoints.json", f"--out={tmp_path / 'out'}", backend=backend)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert f"need the TensorFlow backend, this is {backend}: set KERAS_BACKEND=tensorflow" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "KEYPOINTS is needed"),
        (["a.json", "b.json"], "unexpected argument 'b.json'"),
        (["a.json", "--person=all"], "one person at a time"),
        (["a.json", "--coordinate=w"], "should be one of"),
    ],
)
def test_wrong_arguments_end_with_one_line(arguments, message):
    done = explain(*arguments, backend="tensorflow")
    assert done.returncode == 2 and message in done.stderr and done.stderr.count("\n") == 1


def test_help_tells_the_flags():
    done = explain("--help", backend="tensorflow")
    assert done.returncode == 0 and "--coordinate" in done.stdout and "millimetres" in done.stdout
