"""The MPI-INF-3DHP evaluation as a user runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from mpm_keras.data.mpi_inf_3dhp import read_sequences
from mpm_keras.inference.protocol_3dhp import evaluate_3dhp, lift_3dhp
from mpm_keras.models import MPMLifter, save_preset

SCRIPT = Path(__file__).resolve().parents[2] / "experiments" / "evaluate_3dhp.py"


def run(*arguments):
    environment = {**os.environ, "KERAS_BACKEND": keras.backend.backend(), "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.once
@pytest.mark.slow  # two processes that import Keras
def test_figures_and_bad_input(tmp_path):
    rng = np.random.default_rng(0)
    test = {
        name: {
            "data_2d": rng.uniform(0, 1080, (12, 17, 2)),
            "data_3d": rng.normal(0, 300, (12, 17, 3)) + [0, 0, 4000],
            "valid": np.arange(12) % 2,
        }
        for name in ("TS2", "TS5")
    }
    np.savez(tmp_path / "data_test_3dhp.npz", data=test)
    network = MPMLifter(frames=9, layers=1, width=16, encoder_width=16, heads=2, feed_forward=8)
    save_preset(network, tmp_path / "network", skeleton="h36m17", stride=1, fps=25.0)
    arguments = [f"--network={tmp_path / 'network'}", f"--workdir={tmp_path / 'run'}", "--joints=17"]
    done = run(tmp_path / "data_test_3dhp.npz", *arguments)
    assert done.returncode == 0, done.stderr
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    sequences = read_sequences(tmp_path / "data_test_3dhp.npz")
    expected = evaluate_3dhp(lift_3dhp(network, sequences), sequences, 17)
    assert metrics["TS5"]["frames"] == 6 and metrics["total"]["frames"] == 12
    for name in ("TS2", "TS5", "total"):
        np.testing.assert_allclose(metrics[name]["mpjpe_mm"], expected[name]["mpjpe_mm"], rtol=1e-5)
        assert f"{name} " in done.stdout

    failed = run(tmp_path / "none.npz", *arguments)
    assert failed.returncode == 2 and "none.npz: expected annot.mat" in failed.stderr.splitlines()[-1]
