"""The conversion script as a user runs it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from harness import to_numpy
from released_network import Released, random_state

from mpm_keras.models.presets import load_preset, read_preset

SCRIPT = Path(__file__).resolve().parents[2] / "experiments" / "convert_checkpoint.py"


def convert(*arguments):
    return subprocess.run([sys.executable, SCRIPT, *map(str, arguments)], capture_output=True, text=True, timeout=300)


@pytest.mark.once
def test_safetensors_to_preset_and_bad_input(tmp_path):
    save_file = pytest.importorskip("safetensors.numpy").save_file
    state = random_state("stage2", layers=1)
    save_file({f"module.{key}": value for key, value in state.items()}, tmp_path / "a.safetensors")
    done = convert(tmp_path / "a.safetensors", "--out", tmp_path / "preset", "--stride", 1)
    assert done.returncode == 0, done.stderr
    facts = read_preset(tmp_path / "preset")["facts"]
    assert (facts["skeleton"], facts["stride"], facts["stage"]) == ("h36m16", 1, "finetune")
    pose = np.random.default_rng(0).normal(size=(2, 9, 16, 2)).astype(np.float32)
    found = load_preset(tmp_path / "preset")({"pose_2d": pose}, training=False)["center"]
    np.testing.assert_allclose(to_numpy(found), Released(state).stage_2(pose)[0], rtol=0, atol=1e-5)

    del state["fcn_1.0.running_var"]
    save_file(state, tmp_path / "b.safetensors")
    failed = convert(tmp_path / "b.safetensors", "--out", tmp_path / "other")
    assert failed.returncode == 2 and "fcn_1.0.running_var" in failed.stderr.splitlines()[-1]
    assert not (tmp_path / "other").exists()
