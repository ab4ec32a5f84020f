"""Tables of runs with a runner that trains nothing: rows, budgets, sharing, resuming, rendering, failures."""

import csv
import json
from types import SimpleNamespace

import pytest

from mpm_keras.errors import InputError
from mpm_keras.files import write_json
from mpm_keras.studies.ablate_run import run_table
from mpm_keras.studies.ablations import STUDIES, same_ratio
from mpm_keras.studies.execution import Clock, duration
from mpm_keras.studies.plan import Run
from mpm_keras.studies.runs import RunFailed, beside

pytestmark = pytest.mark.numpy_only

FLAGS = dict(
    config=None, data=["synthetic"], finetune_data=[], seeds=["0", "1"], rows=[], shares=["1", "10", "100"], budget=[],
    pretrain_steps=600, finetune_steps=80, final_rate=0.05, settings=["batch_size=4"], pretrain=[], finetune=[],
    evaluate="none", frame_step=10, render=False,
)  # fmt: skip


def plan(name, **changes):
    return STUDIES[name](SimpleNamespace(**(FLAGS | changes)))


class Runner:
    """Stands for `run_script`: writes what a finished run leaves, with an error that its settings decide.

    Args:
        fails: called with (script, settings); true for a run that fails.
    """

    def __init__(self, fails=lambda script, settings: False, code=1):
        self.fails, self.code, self.calls = fails, code, []

    def __call__(self, script, settings, workdir):
        self.calls.append((script, settings))
        if self.fails(script, settings):
            raise RunFailed(self.code, "this is why")
        metrics = {"masked_share": 0.7125}
        if script == "finetune":
            error = (
                200 - settings.get("train_share", 1.0) * 100 + 2 * settings["seed"] - 10 * ("pretrained" in settings)
            )
            metrics = {"val_center_mpjpe_mm": error, "val_sequence_mpjpe_mm": error - 1}
        write_json(beside(workdir, "run.json"), {"finished": True, "seconds": 60.0, "settings": settings})
        workdir.mkdir()
        write_json(workdir / "metrics.json", metrics)
        return metrics

    def count(self, script) -> int:
        return sum(call[0] == script for call in self.calls)


def make(name, folder, runner, **changes):
    stem, failures = run_table([name], FLAGS | {"workdir": str(folder)} | changes, f"ablate.py {name}", runner)
    return stem, failures


def test_label_shares_differ_in_labels_alone():
    table = plan("labels")
    assert [(row.series, row.x) for row in table.rows] == [
        (name, share) for name in ("from scratch", "2D + 3D") for share in (1, 10, 100)
    ]
    runs = table.runs()
    assert [run.script for run in runs].count("pretrain") == 2  # one a seed, for all shares
    assert len(runs) == 2 + 12
    tuned = [run for run in runs if run.script == "finetune"]
    assert {run.settings.get("train_share") for run in tuned} == {0.01, 0.1, None}
    same = {json.dumps({k: v for k, v in run.settings.items() if k not in ("seed", "train_share")}) for run in tuned}
    assert len(same) == 1
    assert all("train_share" not in run.settings for run in runs if run.script == "pretrain")
    assert tuned[0].settings["lr_decay_steps"] == 10 and tuned[0].settings["steps"] == 80
    assert tuned[0].settings["lr_decay"] ** 7 == pytest.approx(0.05, rel=1e-4)


def test_tasks_at_both_budgets():
    table = plan("tasks", seeds=["0"])
    found = {row.label: row.cases[0][0] for row in table.rows}
    steps = {label: run.settings["steps"] for label, run in found.items() if run.script == "pretrain"}
    assert steps == {
        "2D": 600, "3D": 600, "2D + 3D, 300 steps of each": 600, "2D + 3D, 600 steps of each": 1200,
        "2D + 3D + lifting, 200 steps of each": 600, "2D + 3D + lifting, 600 steps of each": 1800,
    }  # fmt: skip
    assert found["from scratch"].script == "finetune"
    assert found["3D"].settings["weight_2d"] == 0 and found["3D"].samples == 600 * 4
    assert found["2D + 3D, 600 steps of each"].samples == found["2D"].samples  # batches, seen by both tasks
    assert [row.label for row in plan("tasks", rows=["2d+3d"], budget=["updates"]).rows] == [
        "2D + 3D, 600 steps of each"
    ]
    paper = {row.label: row.paper.get("paper MPJPE") for row in table.rows}
    assert (paper["from scratch"], paper["2D"], paper["2D + 3D, 300 steps of each"]) == (43.1, 42.9, 42.3)


def test_masks_hide_alike(tmp_path):
    assert same_ratio("tube", 0.718, 27, 17) == {"spatial_mask": 12}
    assert same_ratio("temporal", 0.718, 27, 17) == {"temporal_mask": 19 / 27}
    other = tmp_path / "motion.npz"
    other.touch()
    table = plan("masks", data=["synthetic", str(other)], evaluate="test")
    assert [(row.series, row.label) for row in table.rows[:4]] == [
        ("synthetic", "spatiotemporal"), ("synthetic", "tube"), ("synthetic", "temporal"),
        ("motion.npz", "spatiotemporal"),
    ]  # fmt: skip
    first, second, third = table.rows[3].cases[1]
    assert first.settings["data"] == second.settings["data"] == third.settings["data"] == [str(other)]
    assert third.settings["split"] == "test" and third.source is second
    assert {row.cases[0][0].settings["mask_strategy"] for row in table.rows} == {"spatiotemporal", "tube", "temporal"}


def test_scales_of_one_source_and_of_the_papers_three(tmp_path, monkeypatch):
    shares = [row.cases[0][0].settings.get("train_share") for row in plan("scale").rows]
    assert shares == [0.225, 0.4501, None]
    datasets = {"a.npz": "h36m", "b.npz": "3dhp", "c.npz": "amass"}
    monkeypatch.setattr("mpm_keras.studies.ablations.dataset_of", datasets.get)
    monkeypatch.chdir(tmp_path)
    for name in datasets:
        (tmp_path / name).touch()
    rows = plan("scale", data=list(datasets)).rows
    first, second = rows[1].cases[0]
    assert (first.settings["mixture"], first.settings["data"]) == ("base", ["a.npz", "b.npz"])
    assert second.settings["data"] == ["b.npz"] and "mixture" not in second.settings
    assert rows[2].cases[0][0].settings["data"] == list(datasets)


def test_mean_and_spread_in_all_files(tmp_path):
    stem, failures = make("labels", tmp_path, Runner())
    assert failures == {}
    text = stem.with_suffix(".md").read_text()
    assert "| from scratch, 1 % | 200.0 ± 1.4 | 199.0 ± 1.4 |" in text  # 199 and 201
    assert "| 2D + 3D, 100 % | 91.0 ± 1.4 | 90.0 ± 1.4 |" in text
    for fact in ("command: ablate.py labels", "600 steps of stage I", "seeds: 0, 1", "14 of 14, 14 minutes"):
        assert fact in text
    with open(stem.with_suffix(".csv"), newline="") as file:
        row = list(csv.DictReader(file))[1]
    assert (row["labelled pairs, %"], float(row["MPJPE val"])) == ("10.0", 191.0)
    assert float(row["MPJPE val spread"]) == pytest.approx(2**0.5) and row["MPJPE val runs"] == "190.0 192.0"
    assert stem.with_suffix(".png").read_bytes()[:4] == b"\x89PNG"


def test_what_is_there_is_not_run_again(tmp_path):
    first = Runner()
    make("labels", tmp_path, first)
    assert (first.count("pretrain"), first.count("finetune")) == (2, 12)
    again, more, other = Runner(), Runner(), Runner()
    make("labels", tmp_path, again)
    make("labels", tmp_path, more, seeds=["0", "1", "2"])
    make("tasks", tmp_path, other, rows=["none", "2d+3d"], budget=["steps"])  # all of it is in the other table
    assert (again.calls, len(more.calls), other.calls) == ([], 1 + 6, [])


def test_a_killed_study_loses_the_running_run_only(tmp_path):
    class Killed(Exception):
        pass

    class Killer(Runner):
        def __call__(self, *arguments):
            if len(self.calls) == 5:
                raise Killed
            return super().__call__(*arguments)

    with pytest.raises(Killed):
        make("labels", tmp_path, Killer())
    stem, _ = make("labels", tmp_path, Runner(), render=True)
    assert "missing" in stem.with_suffix(".md").read_text()
    rest = Runner()
    make("labels", tmp_path, rest)
    assert len(rest.calls) == 14 - 5


def test_rendering_runs_nothing_and_needs_no_flags(tmp_path):
    stem, _ = make("masks", tmp_path, Runner(), seeds=["3"])
    before = {suffix: stem.with_suffix(suffix).read_bytes() for suffix in (".md", ".csv", ".png")}
    for suffix in before:
        stem.with_suffix(suffix).unlink()
    nobody = Runner()
    make("masks", tmp_path, nobody, render=True, pretrain_steps=1, settings=[])
    assert nobody.calls == []
    assert {suffix: stem.with_suffix(suffix).read_bytes() for suffix in before} == before


def test_a_run_that_fails_is_missing_and_tried_again(tmp_path):
    stem, failures = make("tasks", tmp_path, Runner(lambda script, s: s["seed"] == 1 and s.get("weight_3d") == 0))
    (run, reason), (after, follows) = failures.items()
    assert reason == "this is why" and run.startswith("pretrain-")
    assert after.startswith("finetune-") and follows == f"{run} failed"
    text = stem.with_suffix(".md").read_text()
    assert "| 2D | 90.0 (1 of 2) |" in text and f"- failed: {run}: this is why" in text
    assert "| 3D | 91.0 ± 1.4 |" in text
    again = Runner()
    assert make("tasks", tmp_path, again)[1] == {}
    assert [script for script, _ in again.calls] == ["pretrain", "finetune"]
    assert "failed" not in stem.with_suffix(".md").read_text()


def test_a_table_without_a_single_run_says_missing(tmp_path):
    stem, failures = make("masks", tmp_path, Runner(lambda *_: True))
    assert len(failures) == 12
    assert stem.with_suffix(".md").read_text().count("missing") == 9
    assert stem.with_suffix(".png").exists()


def test_input_that_a_script_refuses_is_the_users(tmp_path):
    with pytest.raises(InputError, match="this is why"):
        make("labels", tmp_path, Runner(lambda *_: True, code=2))


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("nothing", {}, "expected one table of masks, tasks, scale, labels, cost, found 'nothing'"),
        ("masks", {"rows": ["cube"]}, "--rows: unknown 'cube'; expected spatiotemporal, tube, temporal"),
        ("labels", {"rows": ["2d+3d+lift"]}, "sees the pairs of all clips"),
        ("labels", {"shares": ["0.01"]}, "--shares: expected percentages from 0.1 to 100, found 0.01"),
        ("labels", {"seeds": ["-1"]}, "--seeds: expected whole numbers below 2147483648, found -1"),
        ("labels", {"seeds": []}, "--seeds: expected at least one"),
        ("labels", {"settings": ["seed=3"]}, "--settings: seed is for the study to decide"),
        ("labels", {"pretrain": ["no_such_config"]}, "no_such_config"),
        ("tasks", {"budget": ["money"]}, "--budget: unknown 'money'"),
        ("cost", {"settings": ["frames=0"]}, "--settings: cost takes skeleton, frames"),
        ("masks", {"render": True}, "--render: .*masks.json does not exist"),
    ],
)
def test_what_makes_no_sense_is_refused(name, changes, message, tmp_path):
    with pytest.raises(InputError, match=message):
        make(name, tmp_path / "folder", Runner(), **changes)
    assert not (tmp_path / "folder").exists()


def test_a_folder_holds_one_study_of_a_table(tmp_path):
    make("labels", tmp_path, Runner())
    with pytest.raises(InputError, match="labels.json is of a study with pretrain_steps=600, not 700"):
        make("labels", tmp_path, Runner(), pretrain_steps=700)
    (tmp_path / "labels.json").write_text("[1]")
    with pytest.raises(InputError, match=r"labels.json: expected a table of ablate.py"):
        make("labels", tmp_path, Runner())


def test_time_left_goes_by_samples():
    short, long = (Run("pretrain", {"steps": steps, "batch_size": 4, "seed": 0}) for steps in (10, 1000))
    check = Run("evaluate", {}, short)
    clock = Clock([short, long, check])
    clock.passed(short, 2.0)
    assert clock.left([long]) == pytest.approx(200.0)
    assert clock.left([long], ready={long}) == 0.0
    clock.passed(check, 30.0)
    assert clock.left([check, long]) == pytest.approx(230.0)
    assert [duration(s) for s in (40, 600, 8000)] == ["40 s", "10 min", "2.2 h"]
