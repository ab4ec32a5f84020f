"""ablate.py: what it refuses, and one small study from end to end."""

import json

import keras
import pytest
from script_runs import contents, run_script


@pytest.mark.numpy_only
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "TABLE is needed"),
        (["gold"], "expected one table of masks, tasks, scale, labels, cost, found 'gold'"),
        (["labels", "--shares=200"], "--shares: expected percentages from 0.1 to 100, found 200"),
        (["labels", "--render"], "labels.json does not exist"),
        (["labels", "--data=gone.npz"], "gone.npz: no such file"),
        (["labels", "--final_rate=0"], "--final_rate=0"),
    ],
)
def test_bad_input_ends_with_one_line(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ended = run_script("ablate", *arguments, *(["--workdir=out"] if arguments else []))
    assert ended.code == 2 and len(ended.lines) == 1 and message in ended.lines[0]
    assert contents(tmp_path) == {}


@pytest.mark.slow  # three processes, each of which starts a backend
@pytest.mark.once
def test_a_small_study(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", keras.backend.backend())
    size = "frames=9,layers=1,width=8,encoder_width=8,batch_size=8,val_windows=8,synthetic_clips=6"
    steps = ["--pretrain_steps=2", "--finetune_steps=2", "--evaluate=validation", "--frame_step=100"]
    command = ("ablate", "labels", "--rows=2d", "--shares=20", "--seeds=0", *steps, f"--settings={size}")
    ended = run_script(*command, f"--workdir={tmp_path}")
    assert ended.code == 0, ended
    document = json.loads((tmp_path / "labels.json").read_text())
    (row,) = document["rows"]
    assert (row["label"], row["x"], row["missing"]) == ("2D, 20 %", 20, 0)
    assert all(len(values) == 1 and 0 < values[0] < 2000 for values in row["values"].values())
    assert set(row["values"]) == {heading for heading, _ in document["metrics"]} and len(row["values"]) == 5
    (tuned,) = (tmp_path / "runs").glob("finetune-*/config.json")
    assert json.loads(tuned.read_text())["train_share"] == 0.2
    again = run_script(*command, f"--workdir={tmp_path}")
    assert again.code == 0 and any("3 runs, all done" in line for line in again.lines)
