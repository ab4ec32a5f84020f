"""experiments/export.py as a user runs it, with a tiny network."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import pytest
from harness import seed_weights

from mpm_keras.models import MPMLifter, save_preset

SCRIPT = Path(__file__).resolve().parents[2] / "experiments" / "export.py"
TINY = {"frames": 9, "joints": 17, "layers": 1, "width": 8, "encoder_width": 8, "heads": 2, "feed_forward": 8}

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="one backend is enough for the script")


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    lifter = MPMLifter(**TINY)
    seed_weights(lifter, scale=0.2)
    save_preset(lifter, folder / "network", skeleton="h36m17", stride=2, fps=50.0)
    return folder


def export(*flags, code=0):
    command = [sys.executable, str(SCRIPT), *map(str, flags)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == code, done.stderr
    return done


def test_litert_from_a_run_folder(network, tmp_path):
    out = tmp_path / "exports" / "lifter"
    done = export(f"--network={network}", "--format=litert", "--signature=lift_pixels", f"--out={out}")
    assert "lift_pixels(keypoints, image_size)" in done.stdout and "(batch, 9, 17, 3)" in done.stdout
    assert "largest difference" in done.stdout and str(out) + ".tflite" in done.stdout
    card = json.loads((tmp_path / "exports" / "lifter.tflite.json").read_text())
    assert card["verified"]["tolerance"] == 0.1
    assert list(card["signatures"]["lift_pixels"]["inputs"]) == ["keypoints", "image_size"]


def test_above_the_tolerance_the_exit_code_is_1(network, tmp_path):
    flags = [f"--network={network}", "--format=litert", "--tolerance_mm=0", f"--out={tmp_path / 'lifter'}"]
    done = export(*flags, code=1)
    assert "differs from its source by" in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "flags, message",
    [
        ([], "--network is needed"),
        (["--network=x", "--out=y"], "--format is needed"),
        (["--network=x", "--format=caffe"], "should be one of"),
        (["--network=x", "--format=onnx", "--out=y", "--tolerance_mm=-1"], "non-negative"),
    ],
)
def test_wrong_flags_end_with_one_line(flags, message):
    done = export(*flags, code=2)
    assert done.stderr.startswith("export.py: ") and message in done.stderr and done.stderr.count("\n") == 1
