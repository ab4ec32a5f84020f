"""The scripts of tuning/ as users start them."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from script_runs import run_script

ROOT = Path(__file__).resolve().parents[2]
SEARCHES = ["mask_search", "layer_search"]


@pytest.mark.numpy_only
@pytest.mark.parametrize("name", SEARCHES)
def test_help_imports_nothing_heavy(name):
    program = (
        "import runpy, sys; sys.argv = sys.argv[1:]\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "finally: print(sorted({'keras', 'numpy', 'tensorflow', 'jax', 'torch', 'keras_tuner'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, ROOT / "tuning" / f"{name}.py", "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "--tuner: <grid|random|bayesian|hyperband>" in done.stdout and done.stdout.splitlines()[-1] == "[]"


@pytest.mark.numpy_only
@pytest.mark.parametrize(
    ("name", "flag", "message"),
    [
        ("mask_search", "--spatial_mask=2,five", "--spatial_mask: expected numbers separated by commas, found 2,five"),
        ("mask_search", "--temporal_mask=0.4,0.4", "expected one value or several that differ, found 0.4,0.4"),
        ("mask_search", "--tuner=best", "should be one of <grid|random|bayesian|hyperband>"),
        ("mask_search", "--data=nowhere.npz", "--data: no such file or folder: nowhere.npz"),
        ("mask_search", "--config=paper", "known: paper_layers, paper_masks"),
        ("layer_search", "--decoder=stage3", "--decoder: expected some of stage1, stage2, found 'stage3'"),
        ("layer_search", "--layers=", "--layers: expected one value or several"),
    ],
)
def test_bad_input_is_one_line(name, flag, message, tmp_path):
    ended = run_script(name, f"--workdir={tmp_path / 'run'}", flag)
    assert ended.code == 2 and len(ended.lines) == 1 and message in ended.lines[0]
    assert not (tmp_path / "run").exists()


@pytest.mark.once
@pytest.mark.slow  # four processes that import Keras and train a few steps
def test_a_search_leaves_what_pretrain_takes(tmp_path):
    command = [
        sys.executable, ROOT / "tuning" / "mask_search.py", f"--workdir={tmp_path / 'run'}", "--synthetic_clips=4",
        "--width=16", "--encoder_width=16", "--layers=1", "--frames=9", "--batch_size=8", "--val_windows=16",
        "--pretrain_steps=8", "--finetune_steps=4", "--spatial_mask=2,40", "--temporal_mask=0.6",
        "--samples_per_second=100",
    ]  # fmt: skip
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)
    assert done.returncode == 0, done.stderr
    with open(tmp_path / "run" / "trials.csv", newline="") as file:
        completed, failed = csv.DictReader(file)
    assert (completed["status"], failed["status"]) == ("completed", "failed")
    assert "pretrain.py: " in failed["reason"] and "40" in failed["reason"] and failed["exit_code"] == "2"
    finetune = tmp_path / "run" / "runs" / "finetune_spatial_mask-2_temporal_mask-0.6"
    error = json.loads((finetune / "metrics.json").read_text())["val_center_mpjpe_mm"]
    assert float(completed["val_center_mpjpe_mm"]) == error
    assert completed["samples"] == str(8 // 2 * 8 + 4 * 8)
    best = run_script(
        "pretrain", f"--config={tmp_path / 'run' / 'best.json'}", f"--workdir={tmp_path / 'best'}", "--steps=2",
        "--noprogress",
    )  # fmt: skip
    assert best.code == 0
    config = json.loads((tmp_path / "best" / "config.json").read_text())
    assert (config["spatial_mask"], config["temporal_mask"], config["width"]) == (2, 0.6, 16)
