"""The search: which trials run, in what order, what a stop leaves, and what it refuses."""

import csv
import json
import socket

import pytest
from fake_runs import FakeRuns, bowl

from mpm_keras.errors import InputError, Preempted
from mpm_keras.studies.search import run_search
from mpm_keras.studies.search_figures import draw_masks
from mpm_keras.studies.space import Dimension, Space

pytestmark = pytest.mark.once  # KerasTuner needs Keras, but no certain backend

SPATIAL, TEMPORAL = (2, 5, 9), (0.4, 0.6, 0.8)


def space(spatial=SPATIAL, temporal=TEMPORAL):
    return Space(
        [Dimension("spatial_mask", spatial, ("pretrain",)), Dimension("temporal_mask", temporal, ("pretrain",))]
    )


def config(folder, **changes):
    return {
        "workdir": str(folder), "config": None, "data": ["synthetic"], "seed": 0, "batch_size": 32, "frames": 27,
        "val_windows": 256, "progress": True, "tuner": "grid", "trials": 0, "hyperband_parts": 9,
        "hyperband_factor": 3, "samples_per_second": 0.0, "retry_failed": False, "pretrain": ["weight_lift=0.5"],
        "finetune": [], "pretrain_steps": 270, "pretrain_epochs": 0, "finetune_steps": 90, "finetune_epochs": 0,
        **changes,
    }  # fmt: skip


def no_pictures(*_):
    pass


def search(folder, runs, draw=no_pictures, space=space(), **changes):  # noqa: B008
    return run_search("mask_search", config(folder, **changes), space, draw, runs)


def masks(runs) -> list[tuple]:
    return [(s["spatial_mask"], s["temporal_mask"]) for s in runs.stages("pretrain")]


def test_a_grid_is_complete_and_leaves_its_results(tmp_path, capsys):
    runs = FakeRuns(bowl)
    metrics = search(tmp_path, runs, draw_masks)
    assert masks(runs) == [(s, t) for s in SPATIAL for t in TEMPORAL]
    assert metrics["trials"] == 9 and metrics["failed_trials"] == 0 and metrics["best_val_center_mpjpe_mm"] == 100
    assert (metrics["best_spatial_mask"], metrics["best_temporal_mask"]) == (5, 0.6)
    assert json.loads((tmp_path / "metrics.json").read_text()) == metrics
    best = json.loads((tmp_path / "best.json").read_text())
    assert best["spatial_mask"] == 5 and best["temporal_mask"] == 0.6 and best["weight_lift"] == "0.5"
    assert best["steps"] == 270 and not {"workdir", "tuner", "config", "pretrained"} & set(best)
    finetune = runs.stages("finetune")[0]
    assert finetune["steps"] == 90 and "spatial_mask" not in finetune and "weight_lift" not in finetune
    with open(tmp_path / "trials.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["val_center_mpjpe_mm"]) for row in rows[:3]] == [113, 109, 113]
    # With a third task stage I takes three optimiser steps a batch.
    assert {row["samples"] for row in rows} == {str(32 * (270 // 3 + 90))}
    table = (tmp_path / "table.md").read_text()
    assert "| 5 | 104.0 | 100.0 | 104.0 |" in table and "**spatial_mask=5 temporal_mask=0.6** with 100.0 mm" in table
    for name in ("surface.png", "heatmap.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("9 trials; still to do: ") and "measured with a few steps" in out[0]
    assert out[-1].startswith("[====================] 9/9  spatial_mask=9 temporal_mask=0.8  120.0 mm, best 100.0 mm")


@pytest.mark.parametrize("tuner", ["grid", "random", "bayesian", "hyperband"])
def test_a_stopped_search_ends_like_one_that_was_let_alone(tuner, tmp_path):
    trials = {"random": 8, "bayesian": 7}.get(tuner, 0)  # the first six of Bayesian optimisation are random
    alone = FakeRuns(bowl)
    search(tmp_path / "alone", alone, tuner=tuner, trials=trials, seed=3)
    assert len(set(masks(alone))) == (trials or 9)

    started = []
    for stop_at in (4, 6) if tuner == "bayesian" else (4, 5, 6):  # in the fine-tuning of a trial, and before it
        runs = FakeRuns(bowl, stop_at=stop_at)
        with pytest.raises(Preempted, match="the same command"):
            search(tmp_path / "stopped", runs, tuner=tuner, trials=trials, seed=3)
        started += runs.started[:-1]
        journal = tmp_path / "stopped" / "journal.jsonl"
        journal.write_bytes(journal.read_bytes() + b'{"begin": "0')  # torn
        oracle = tmp_path / "stopped" / "kerastuner" / "tuner0" / "oracle.json"
        oracle.write_text(oracle.read_text()[:20])
    runs = FakeRuns(bowl)
    search(tmp_path / "stopped", runs, tuner=tuner, trials=trials, seed=3)
    started += runs.started
    assert [name for name, _ in started] == [name for name, _ in alone.started]
    assert [(s["steps"], s.get("spatial_mask")) for _, s in started] == [
        (s["steps"], s.get("spatial_mask")) for _, s in alone.started
    ]
    assert (tmp_path / "stopped" / "table.md").read_text() == (tmp_path / "alone" / "table.md").read_text()


def test_random_trials_are_a_matter_of_the_seed(tmp_path):
    orders = []
    for seed in (0, 0, 1):
        runs = FakeRuns(bowl)
        search(tmp_path / str(len(orders)), runs, tuner="random", trials=9, seed=seed)
        orders.append(masks(runs))
    assert orders[0] == orders[1] != orders[2] and len(set(orders[2])) == 9


def test_hyperband_budgets_follow_the_brackets(tmp_path):
    runs = FakeRuns(bowl)
    metrics = search(tmp_path, runs, tuner="hyperband", space=space((2, 3, 4, 5, 6), (0.5, 0.6, 0.7, 0.8)))
    steps = [s["steps"] for s in runs.stages("pretrain")]
    # 9 trials with a ninth of 270 steps, the best 3 with a third, the best with all; then 5, 2; then 3.
    assert steps == [30] * 9 + [90] * 3 + [270] + [90] * 5 + [270] * 2 + [270] * 3
    assert [s["steps"] for s in runs.stages("finetune")] == [step // 3 for step in steps]
    first, second = runs.stages("pretrain")[:9], runs.stages("pretrain")[9:12]
    ranked = sorted(bowl(s, {}) for s in first)[:3]
    assert sorted(bowl(s, {}) for s in second) == ranked
    folders = sorted(path.name for path in (tmp_path / "runs").glob("finetune_*spatial_mask-*") if path.is_dir())
    assert any(name.endswith("@1of9") for name in folders) and any(name.endswith("@3of9") for name in folders)
    # A pre-training goes on where its smaller budget ended: one folder for all of a trial's budgets.
    assert len([p for p in (tmp_path / "runs").glob("pretrain_spatial_mask-*") if p.is_dir()]) == 9 + 5 + 3
    assert metrics["trials"] == 23


@pytest.mark.parametrize("tuner", ["grid", "random", "bayesian", "hyperband"])
def test_a_failing_trial_is_recorded_and_skipped(tuner, tmp_path, capsys):
    def fails(settings):
        return "pretrain.py: r_s is too large" if settings.get("spatial_mask") == 9 else None

    runs = FakeRuns(bowl, fails)
    metrics = search(tmp_path, runs, tuner=tuner, trials=0 if tuner in ("grid", "hyperband") else 7)
    assert metrics["failed_trials"] >= 1 and metrics["best_val_center_mpjpe_mm"] == 100
    with open(tmp_path / "trials.csv", newline="") as file:
        failed = [row for row in csv.DictReader(file) if row["status"] == "failed"]
    assert {row["spatial_mask"] for row in failed} == {"9"} and {row["exit_code"] for row in failed} == {"2"}
    assert failed[0]["reason"] == "pretrain.py: r_s is too large"
    assert "failed: pretrain.py: r_s is too large" in capsys.readouterr().out
    assert "r_s is too large" in (tmp_path / "table.md").read_text()
    again = FakeRuns(bowl)
    if tuner in ("grid", "hyperband"):
        assert search(tmp_path, again, tuner=tuner, retry_failed=True)["failed_trials"] == 0


def test_stages_share_what_does_not_differ(tmp_path):
    def error(pretrain, finetune):
        return 100.0 + pretrain["layers"] + (finetune["dropout"] > 0.1)

    both = Space([Dimension("layers", (2, 3)), Dimension("dropout", (0.1, 0.2), ("finetune",))])
    runs = FakeRuns(error)
    assert search(tmp_path, runs, space=both)["trials"] == 4
    assert len(runs.stages("pretrain")) == 2 and len(runs.stages("finetune")) == 4
    assert [(s["layers"], s["dropout"]) for s in runs.stages("finetune")] == [(2, 0.1), (2, 0.2), (3, 0.1), (3, 0.2)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 1}, "holds a search with seed=0, not 1"),
        ({"pretrain_steps": 10}, "holds a search with pretrain_steps=270, not 10"),
        ({"space": space((2, 5))}, r"holds a search with spatial_mask=\[2, 5, 9\], not \[2, 5\]"),
    ],
)
def test_a_folder_is_of_one_search(changes, message, tmp_path):
    search(tmp_path, FakeRuns(bowl), samples_per_second=50.0)
    with pytest.raises(InputError, match=message):
        search(tmp_path, FakeRuns(bowl), **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": ["synthetic", "nowhere.npz"]}, "--data: no such file or folder: nowhere.npz"),
        ({"pretrain_steps": 0}, "--pretrain_steps and --pretrain_epochs are both 0"),
        ({"finetune": ["steps=3"]}, "--finetune=steps=3: expected NAME=VALUE"),
        ({"pretrain": ["spatial_mask=3"]}, "--pretrain=spatial_mask=3: expected NAME=VALUE"),
        ({"workdir": "/dev/null/here"}, "--workdir /dev/null/here: cannot be written"),
    ],
)
def test_bad_settings_are_refused(changes, message, tmp_path):
    with pytest.raises(InputError, match=message):
        search(**{"folder": tmp_path, "runs": FakeRuns(bowl), **changes})


def test_what_no_trial_can_take_is_refused_before_the_search(tmp_path):
    runs = FakeRuns(bowl, lambda settings: "pretrain.py: no clip is long enough")
    with pytest.raises(InputError, match="no clip is long enough"):
        search(tmp_path, runs)
    assert len(runs.started) == 2
    with pytest.raises(InputError, match="no trial was completed: pretrain.py: no clip is long enough"):
        search(tmp_path, runs, samples_per_second=10.0)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"ORACLE_IP": "127.0.0.1"}, "KERASTUNER_TUNER_ID: not set"),
        ({"TUNER_ID": "a", "ORACLE_IP": "127.0.0.1", "ORACLE_PORT": "port"}, "ORACLE_PORT=port: expected a number"),
    ],
)
def test_half_a_chief_is_refused(variables, message, tmp_path, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(f"KERASTUNER_{name}", value)
    with pytest.raises(InputError, match=message):
        search(tmp_path, FakeRuns(bowl))


def test_a_chief_that_cannot_listen_says_so(tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("KERASTUNER_TUNER_ID", "chief")
        monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
        monkeypatch.setenv("KERASTUNER_ORACLE_PORT", str(taken.getsockname()[1]))
        with pytest.raises(InputError, match="cannot listen at 127.0.0.1:"):
            search(tmp_path, FakeRuns(bowl))


def test_a_damaged_record_is_named(tmp_path):
    search(tmp_path, FakeRuns(bowl))
    (tmp_path / "trials" / "spatial_mask-5_temporal_mask-0.6.json").write_text('{"values"')
    with pytest.raises(InputError, match="spatial_mask-5_temporal_mask-0.6.json: expected the record of a trial"):
        search(tmp_path, FakeRuns(bowl))
