"""The paper's Tables B, 6 and E, and the curve over the share of labels, as runs of the scripts.

Within a table all rows have the same number of optimiser steps, the same schedule of the learning rate, counted in
steps, the same seeds and the same data, but for what the row is about.
"""

import json
import math
from pathlib import Path
from types import SimpleNamespace

from mpm_keras.command_line import config_path
from mpm_keras.data.mixtures import MIXTURES
from mpm_keras.data.shares import SMALLEST_SHARE
from mpm_keras.errors import InputError
from mpm_keras.files import read_json
from mpm_keras.npz import read_npz
from mpm_keras.skeletons import get_skeleton
from mpm_keras.studies.plan import Metric, Row, Run, Table
from mpm_keras.studies.runs import steps_per_batch

# Settings that evaluate.py must be given as training was: they decide who is held out and what is seen.
SHARED_WITH_EVALUATION = (
    "cameras", "val_subjects", "test_subjects", "without_licenses", "data_seed", "synthetic_clips",
)  # fmt: skip
SYNTHETIC = "synthetic"
# What a study decides itself.
DECIDED = ("workdir", "config", "data", "epochs", "steps", "lr_decay", "lr_decay_steps", "seed", "pretrained")
DEFAULTS = {"frames": 27, "batch_size": 64, "skeleton": "h36m17", "progress": False}
FALLS = 7  # of the learning rate, at equal distances; the last eighth of the steps has the smallest

# Pretext tasks -> their loss weights. The paper has no weight for the third; alternating tasks have steps of
# their own, whose length AdamW makes independent of it.
TASKS = {
    "none": None,
    "2d": {"weight_2d": 2.0, "weight_3d": 0.0, "weight_lift": 0.0},
    "3d": {"weight_2d": 0.0, "weight_3d": 3.0, "weight_lift": 0.0},
    "2d+3d": {"weight_2d": 2.0, "weight_3d": 3.0, "weight_lift": 0.0},
    "2d+3d+lift": {"weight_2d": 2.0, "weight_3d": 3.0, "weight_lift": 1.0},
}
LABELS = {
    "none": "from scratch", "2d": "2D", "3d": "3D", "2d+3d": "2D + 3D", "2d+3d+lift": "2D + 3D + lifting",
}  # fmt: skip
STRATEGIES = ("spatiotemporal", "tube", "temporal")
# Table E: samples of each scale as a share of the largest.
SCALES = {"small": 4.17 / 18.53, "base": 8.34 / 18.53, "large": 1.0}
BUDGETS = ("steps", "updates")

PAPER_MASKS = {
    "spatiotemporal": {"paper H36M MPJPE": 46.7, "paper 3DHP MPJPE": 41.4},
    "tube": {"paper H36M MPJPE": 47.3, "paper 3DHP MPJPE": 42.4},
    "temporal": {"paper H36M MPJPE": 47.7, "paper 3DHP MPJPE": 43.1},
}
PAPER_TASKS = {
    "none": {"paper MPJPE": 43.1, "paper P-MPJPE": 34.9},
    "2d": {"paper MPJPE": 42.9, "paper P-MPJPE": 34.6},
    "2d+3d": {"paper MPJPE": 42.3, "paper P-MPJPE": 34.4},
}
BUDGET_REMARK = "Every row has the same steps of stage II, and of stage I where it has one, unless it says otherwise."


class Cases:
    """Makes the runs of a study's rows.

    Args:
        options: the flags of `experiments/ablate.py`.

    Raises:
        InputError: a source that is not there, settings that cannot be read, or that the study decides itself.
    """

    def __init__(self, options: SimpleNamespace):
        self.options = o = options
        common = settings_of(o.settings, "--settings")
        self.pretraining = DEFAULTS | {"schedule": "alternate"} | common | settings_of(o.pretrain, "--pretrain")
        self.finetuning = DEFAULTS | common | settings_of(o.finetune, "--finetune")
        for source in (*o.data, *o.finetune_data):
            if source != SYNTHETIC and not Path(source).exists():
                raise InputError(f"{source}: no such file or folder")
        if not o.seeds:
            raise InputError("--seeds: expected at least one")
        self.seeds = list(dict.fromkeys(whole_number(seed, "--seeds") for seed in o.seeds))

    def of(self, stage_1: dict | None, stage_2: dict | None = None, data=None, steps_1: int = 0) -> tuple:
        """The runs of a row, seed by seed.

        Args:
            stage_1: settings of pre-training; None for none.
            stage_2: settings of fine-tuning.
            data: what both stages see, unless the settings say otherwise; None for --data.
            steps_1: of stage I; 0 for --pretrain_steps.
        """
        data, o = list(data or self.options.data), self.options
        cases = []
        for seed in self.seeds:
            first = None
            if stage_1 is not None:
                budget = schedule(steps_1 or o.pretrain_steps, o.final_rate)
                first = Run("pretrain", self.pretraining | {"data": data, "seed": seed} | budget | stage_1)
            budget = schedule(o.finetune_steps, o.final_rate)
            second = Run("finetune", self.finetuning | {"data": data, "seed": seed} | budget | (stage_2 or {}), first)
            cases.append(tuple(run for run in (first, second, self.evaluation(second)) if run))
        return tuple(cases)

    def evaluation(self, lifter: Run) -> Run | None:
        if self.options.evaluate == "none":
            return None
        settings = {name: lifter.settings[name] for name in SHARED_WITH_EVALUATION if name in lifter.settings}
        settings |= {"data": lifter.settings["data"], "split": self.options.evaluate, "pictures": 0, "progress": False}
        return Run("evaluate", settings | {"frame_step": self.options.frame_step}, lifter)

    def metrics(self, *more: Metric) -> tuple[Metric, ...]:
        """The columns that all tables have, and more of the evaluation."""
        split = self.options.evaluate
        found = (
            Metric("MPJPE val", "finetune.val_center_mpjpe_mm"),
            Metric("sequence MPJPE val", "finetune.val_sequence_mpjpe_mm"),
        )
        if split == "none":
            return found
        found += (
            Metric(f"sequence MPJPE {split}", "evaluate.sequence_mpjpe_mm"),
            Metric(f"P-MPJPE {split}", "evaluate.center_p_mpjpe_mm"),
            Metric(f"MPJPE {split}", "evaluate.center_mpjpe_mm"),
        )
        return found + tuple(Metric(f"{metric.heading} {split}", metric.key, metric.digits) for metric in more)


def settings_of(words, flag) -> dict:
    """{setting: value} of a flag's words, each `name=value` or a config; later ones win. Raises `InputError`."""
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            values = read_json(config_path(word), "a JSON object of flag values")
            if not isinstance(values, dict):
                raise InputError(f"{flag}: {word}: expected a JSON object of flag values")
            found |= {name: value for name, value in values.items() if name not in DECIDED}
        elif name in DECIDED:
            raise InputError(f"{flag}: {name} is for the study to decide; --help names its own flags")
        else:
            found[name] = plain(value)
    return found


def plain(text: str):
    """A number or a truth value where the text is one: `27` and `27.0` in a config make one run, not two."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, (int, float)) and math.isfinite(value) else text


def schedule(steps: int, final_rate: float) -> dict:
    """The budget of a stage: steps, over which the learning rate falls to a share of its first value."""
    return {
        "epochs": 0, "steps": steps,
        "lr_decay_steps": -(-steps // (FALLS + 1)), "lr_decay": round(final_rate ** (1 / FALLS), 6),
    }  # fmt: skip


def masks(options) -> Table:
    """Table B: mask strategies at the same total ratio, each source of --data by itself."""
    cases, rows = Cases(options), []
    settings = cases.pretraining
    joints = get_skeleton(settings["skeleton"]).num_joints
    spatial, temporal = settings.get("spatial_mask", 5), settings.get("temporal_mask", 0.6)
    ratio = 1 - (1 - spatial / joints) * (1 - temporal)
    for source in options.data:
        for strategy in chosen(options.rows, STRATEGIES):
            mask = {"spatial_mask": spatial, "temporal_mask": temporal, "mask_strategy": strategy}
            mask |= same_ratio(strategy, ratio, settings["frames"], joints)
            runs = cases.of(TASKS["2d+3d"] | mask, data=[source])
            rows.append(Row(strategy, runs, series=Path(source).name, paper=PAPER_MASKS[strategy]))
    extra = (Metric("PCK", "evaluate.center_pck_150mm", 3), Metric("AUC", "evaluate.center_auc", 3))
    return Table(
        "Mask strategies (Table B)", "mask", (Metric("hidden", "pretrain.masked_share", 3), *cases.metrics(*extra)),
        tuple(rows),
        (
            BUDGET_REMARK,
            f"All masks hide about {ratio:.1%} of the joints of a window, as whole joints and frames allow; the column "
            "'hidden' is exact. The paper calls tube masks 'spatial'.",
        ),
        series_heading="data",
    )  # fmt: skip


def same_ratio(strategy, ratio, frames, joints) -> dict:
    """The setting with which a tube or temporal mask hides nearest to a share of a window."""
    if strategy == "tube":
        return {"spatial_mask": min(max(round(ratio * joints), 1), joints - 1)}
    if strategy == "temporal":
        return {"temporal_mask": min(max(round(ratio * frames), 1), frames - 1) / frames}
    return {}


def tasks(options) -> Table:
    """Table 6: combinations of pretext tasks, at equal steps in all and at equal steps of each task."""
    cases, rows = Cases(options), []
    for name in chosen(options.rows, TASKS):
        weights = TASKS[name]
        turns = steps_per_batch(cases.pretraining | (weights or TASKS["2d"]))
        budgets = chosen(options.budget, BUDGETS, "--budget")
        for budget in budgets if turns > 1 else budgets[:1]:  # of one task both are the same
            steps = options.pretrain_steps * (turns if budget == "updates" else 1)
            label = LABELS[name] + (f", {steps // turns} steps of each" if turns > 1 else "")
            rows.append(Row(label, cases.of(weights, steps_1=steps), paper=PAPER_TASKS.get(name, {})))
    return Table(
        "Pretext tasks (Table 6)", "stage I", cases.metrics(), tuple(rows),
        (
            BUDGET_REMARK,
            f"Stage I takes {options.pretrain_steps} steps. Tasks take turns: with several, either these are shared "
            "among them (equal steps in all) or each task has as many (equal steps of 2D, more in all). Lifting needs "
            "pairs in stage I already.",
        ),
    )  # fmt: skip


def scale(options) -> Table:
    """Table E: more data in stage I, the same stage II."""
    cases, rows = Cases(options), []
    sets = {path: dataset_of(path) for path in options.data}
    mixed = set(sets.values()) == set(MIXTURES["large"])
    tuned = options.finetune_data or ([path for path in sets if sets[path] == "3dhp"] if mixed else options.data)
    for name in chosen(options.rows, SCALES):
        if mixed:
            data = [path for path in sets if sets[path] in MIXTURES[name]]
            changes = {"data": data, "mixture": name}
        else:
            changes = {} if SCALES[name] == 1 else {"train_share": round(SCALES[name], 4)}
        runs = cases.of(TASKS["2d+3d"] | changes, {"data": list(tuned)})
        rows.append(Row(name, runs, series="pre-trained", x=round(100 * SCALES[name], 2)))
    how = (
        "Stage I sees the mixtures of Table E."
        if mixed
        else "Stage I sees shares of the training clips, in the proportions of Table E, in place of its three datasets."
    )
    fitting = "Stage II is the same for all: " + ", ".join(Path(path).name for path in tuned) + "."
    printed = "The paper prints no numbers for Figure E; its samples are 4.17 M, 8.34 M and 18.53 M."
    return Table(
        "Data of stage I (Table E, Figure E)", "scale", cases.metrics(), tuple(rows),
        (BUDGET_REMARK, how, fitting, printed), series_heading="stage I", x_heading="data of stage I, %",
    )  # fmt: skip


def dataset_of(path) -> str:
    """The dataset that an archive says it holds, "" where it says none or is no archive."""
    try:
        return str(read_npz(path, ["dataset"])["dataset"]) if str(path).endswith(".npz") else ""
    except InputError:
        return ""


def labels(options) -> Table:
    """Errors over the share of labelled 2D-3D pairs, from scratch and pre-trained."""
    cases, rows = Cases(options), []
    shares = sorted({share_of(word) for word in options.shares})
    for name in chosen(options.rows or ["none", "2d+3d"], TASKS):
        if "lift" in name:
            raise InputError(f"--rows: {name} sees the pairs of all clips in stage I; a share of labels means nothing")
        for share in shares:
            runs = cases.of(TASKS[name], {"train_share": share / 100} if share < 100 else {})
            rows.append(Row(f"{LABELS[name]}, {share:g} %", runs, series=LABELS[name], x=share))
    return Table(
        "Label efficiency", "stage I, labels", cases.metrics(), tuple(rows),
        (
            BUDGET_REMARK,
            "Labels are whole clips, the same ones in every run, and a smaller share lies within a larger one. Stage I "
            "sees all training clips: 2D alone, or 2D and 3D that are nowhere paired. The paper has no such table.",
        ),
        series_heading="stage I", x_heading="labelled pairs, %",
    )  # fmt: skip


def share_of(word) -> float:
    try:
        share = float(word)
    except ValueError:
        share = math.nan
    if not 100 * SMALLEST_SHARE <= share <= 100:
        raise InputError(f"--shares: expected percentages from {100 * SMALLEST_SHARE:g} to 100, found {word}")
    return share


def whole_number(word, flag) -> int:
    if not str(word).isascii() or not str(word).isdigit() or int(word) >= 2**31:
        raise InputError(f"{flag}: expected whole numbers below 2147483648, found {word}")
    return int(word)


def chosen(names, known, flag="--rows") -> list[str]:
    """The names in the order of what is known, all of it by default. Raises `InputError` for another one."""
    if unknown := [name for name in names or () if name not in known]:
        raise InputError(f"{flag}: unknown {unknown[0]!r}; expected {', '.join(known)}")
    return [name for name in known if not names or name in names]


STUDIES = {"masks": masks, "tasks": tasks, "scale": scale, "labels": labels}
