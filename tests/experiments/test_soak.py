"""The soak command: what it finds, and a run that is killed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.once
@pytest.mark.slow  # five or so processes that import Keras and train sixteen steps
def test_a_killed_run_ends_like_one_that_was_let_alone(tmp_path):
    done = subprocess.run(
        [
            sys.executable, ROOT / "experiments" / "soak.py", "finetune", "--kills=2", "--seed=1",
            f"--workdir={tmp_path / 'soak'}", "--", "--synthetic_clips=4", "--width=16", "--encoder_width=16",
            "--layers=1", "--frames=9", "--batch_size=8", "--val_windows=16", "--epochs=0", "--steps=16",
            "--window_step=25", "--noprogress", "--deterministic",
        ],
        capture_output=True, text=True, timeout=600, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((tmp_path / "soak" / "soak.json").read_text())
    assert result["identical"] and result["different"] == {} and result["kills_survived"] == 2
    assert sum(result["kills_by_kind"].values()) == 2 and result["starts"] >= 3


def fake_run(folder, value=1.0, loss=0.5):
    """What differs can be told from files alone."""
    for part in ("checkpoints", "network"):
        (folder / part).mkdir(parents=True)
    np.savez(folder / "checkpoints" / "state-000000001.npz", header=np.array("{}"), weights=np.zeros(3))
    np.savez(folder / "checkpoints" / "state-000000002.npz", header=np.array("{}"), weights=np.array([1.0, value]))
    np.savez(folder / "network" / "weights.npz", kernel=np.ones(2))
    lines = [{"epoch": 1, "loss": 9.0}, {"epoch": 1, "loss": loss}]
    (folder / "epochs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


@pytest.fixture
def soak(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "experiments"))
    import soak  # defines flags of absl

    yield soak
    from absl import flags

    for name in ("kills", "seed", "workdir"):
        delattr(flags.FLAGS, name)
    del sys.modules["soak"]


@pytest.mark.numpy_only
def test_differences_are_found(soak, tmp_path):
    one = fake_run(tmp_path / "one" / "part")
    assert soak.differences(tmp_path / "one", tmp_path / "one") == []
    fake_run(tmp_path / "same" / "part")
    assert soak.differences(tmp_path / "one", tmp_path / "same") == []
    fake_run(tmp_path / "other" / "part", value=np.nextafter(1.0, 2), loss=0.25)
    assert soak.differences(tmp_path / "one", tmp_path / "other") == [
        "part/checkpoints/state-000000002.npz: weights", "part/epochs.jsonl: other values"
    ]  # fmt: skip
    for name, text in (("one", "| 5 | 100.0 |"), ("same", "| 5 | 99.9 |")):
        (tmp_path / name / "table.md").write_text(text)
    assert soak.differences(tmp_path / "one", tmp_path / "same") == ["table.md: other values"]
    (tmp_path / "same" / "table.md").write_text("| 5 | 100.0 |")
    shutil.rmtree(one / "network")
    assert soak.differences(tmp_path / "one", tmp_path / "same") == ["part/network/weights.npz: only one run has it"]


@pytest.mark.numpy_only
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lift"], "expected one of pretrain, finetune, complete, mask_search, layer_search, found 'lift'"),
        (["pretrain"], "not an empty folder"),
    ],
)
def test_bad_input_ends_in_one_line(arguments, message, tmp_path):
    (tmp_path / "something").touch()
    done = subprocess.run(
        [sys.executable, ROOT / "experiments" / "soak.py", *arguments, f"--workdir={tmp_path}"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    lines = [line for line in done.stderr.splitlines() if line.startswith("soak.py: ")]
    assert done.returncode == 2 and len(lines) == 1 and message in lines[0]
