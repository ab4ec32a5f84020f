"""The script: prepare, inspect, train on two archives with 16 joints."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "experiments"

pytestmark = pytest.mark.numpy_only


def run(script, *args, cwd):
    command = [sys.executable, str(SCRIPTS / f"{script}.py"), *map(str, args)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300)


def test_prepare_then_inspect(tmp_path):
    done = run("prepare_data", "synthetic", "--out", "a.npz", "--clips=2", "--inspect", "--sheet_clips=1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "a.png"]
    again = run("prepare_data", "--inspect", "a.npz", "--sheet=b.png", "--sheet_clips=1", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert again.stdout.splitlines()[:-1] == done.stdout.splitlines()[:-1]
    assert again.stdout.splitlines()[-1] == "picture     b.png"


@pytest.mark.slow  # a training, however short, compiles
@pytest.mark.once
def test_train_on_two_archives_with_16_joints(tmp_path):
    for name, seed in (("a", 1), ("b", 2)):
        done = run("prepare_data", "synthetic", f"--out={name}.npz", "--clips=8", f"--seed={seed}", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    small = ["--width=32", "--encoder_width=32", "--layers=1", "--batch_size=8", "--steps=2", "--val_windows=16"]
    data = ["--data=a.npz,b.npz", "--skeleton=h36m16", "--data_weights=1,0.5", "--window_step=1", "--cameras=1"]
    refused = run("pretrain", *small, *data, "--mixture=base", "--workdir=none", cwd=tmp_path)
    assert refused.returncode == 2 and "leave --data_weights out" in refused.stderr.splitlines()[-1]
    done = run("pretrain", *small, *data, "--workdir=run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    # Two people of four clips each per archive; one validates, one trains: 2000 and half of 2000 windows.
    assert metrics["train_windows"] == 3000


def test_bad_input_is_one_line_and_code_2(tmp_path):
    (tmp_path / "bad.npz").write_bytes(b"PK\3\4 nothing")
    done = run("prepare_data", "h36m", "bad.npz", "--out=a.npz", cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.splitlines() == ["prepare_data.py: bad.npz: not a complete .npz archive"]
    assert [path.name for path in tmp_path.iterdir()] == ["bad.npz"]
