"""What an evaluation is reported as: numbers for `metrics.json`, rows for CSV, tables for the screen."""

import csv
import io

import numpy as np

from mpm_keras.files import atomic_write
from mpm_keras.inference.evaluation import METRICS, VELOCITY
from mpm_keras.markdown import markdown

_HEADINGS = {
    "mpjpe_mm": "MPJPE mm", "p_mpjpe_mm": "P-MPJPE mm", "n_mpjpe_mm": "N-MPJPE mm", "pck_150mm": "PCK@150mm %",
    "auc": "AUC %", VELOCITY: "velocity mm/frame", "ms_per_frame": "speed ms/frame",
}  # fmt: skip
_SHARES = ("pck_150mm", "auc")
_IN_TABLES = ("mpjpe_mm", "n_mpjpe_mm", "p_mpjpe_mm")  # of Markdown


def nested(evaluations: dict, skeleton) -> dict:
    """All means of evaluations as plain numbers.

    Args:
        evaluations: {predictor: `Evaluation`}, all of the same clips.
        skeleton: names the joints.

    Returns:
        `{predictor}_{metric}` in total, the same under `averaged_over_actions`, and per group, with
        its `frames`, under `per_action`, `per_subject` and `per_joint`.
    """
    numbers = {}
    over_actions = {"actions": len(next(iter(evaluations.values())).by("action"))}
    groups = {"per_action": {}, "per_subject": {}, "per_joint": {}}
    for who, evaluation in evaluations.items():
        numbers |= _prefixed(who, evaluation.total())
        over_actions |= _prefixed(who, evaluation.over_actions())
        for field in ("action", "subject"):
            for name, errors in evaluation.by(field).items():
                group = groups[f"per_{field}"].setdefault(name, {"frames": errors.pop("frames")})
                group |= _prefixed(who, {k: v for k, v in errors.items() if k != "frames"})
        for name, error in zip(skeleton.joints, evaluation.per_joint().tolist(), strict=True):
            group = groups["per_joint"].setdefault(name, {"frames": evaluation.num_frames})
            group |= _prefixed(who, {"mpjpe_mm": error})
    return {**numbers, "averaged_over_actions": over_actions, **groups}


def _prefixed(who, errors) -> dict:
    return {f"{who}_{name}": value for name, value in errors.items()}


def predictors_of(report: dict) -> list[str]:
    """The names of the predictors that a report is about."""
    return [name.removesuffix("_p_mpjpe_mm") for name in report if name.endswith("_p_mpjpe_mm")]


def rows(report: dict, predictors) -> list[dict]:
    """`metrics.json` as one row per group: kind, name, frames and every metric of every predictor."""
    names = [f"{who}_{metric}" for who in predictors for metric in METRICS]
    found = [("total", "all", report["frames"], report)]
    found.append(("averaged over actions", "all", report["frames"], report["averaged_over_actions"]))
    for kind in ("action", "subject", "joint"):
        found += [(kind, name, group["frames"], group) for name, group in report[f"per_{kind}"].items()]
    return [
        {"kind": kind, "name": name, "frames": frames, **{n: group[n] for n in names if n in group}}
        for kind, name, frames, group in found
    ]


def write_csv(path, table: list[dict]):
    """Writes rows; what a row lacks stays empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(key for row in table for key in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    atomic_write(path, lambda file: file.write(text.getvalue().encode()))


def tables(report: dict, predictors, most: int = 20) -> str:
    """The tables for the screen: totals in full, then each group's MPJPE and P-MPJPE.

    Args:
        report: what `metrics.json` holds.
        predictors: their names.
        most: of longer tables the groups with the highest error are shown.
    """
    parts = [_totals("Averaged over frames", report, predictors)]
    over_actions = report["averaged_over_actions"]
    parts.append(_totals(f"Averaged over {over_actions['actions']} actions", over_actions, predictors))
    for kind in ("subject", "action", "joint"):
        parts.append(_groups(kind, report[f"per_{kind}"], predictors, most))
    return "\n\n".join(parts)


def _totals(title, values, predictors) -> str:
    columns = [m for m in _HEADINGS if any(f"{who}_{m}" in values for who in predictors)]
    lines = [[who, *(_shown(m, values.get(f"{who}_{m}")) for m in columns)] for who in predictors]
    return _aligned([[title, *(_HEADINGS[m] for m in columns)], *lines])


def _groups(kind, groups, predictors, most) -> str:
    columns = [
        (who, m)
        for who in predictors
        for m in ("mpjpe_mm", "p_mpjpe_mm")
        if any(f"{who}_{m}" in group for group in groups.values())
    ]
    names = list(groups)
    if len(names) > most:
        who, metric = columns[0]
        names = sorted(names, key=lambda name: -groups[name][f"{who}_{metric}"])[:most]
    title = f"Per {kind}, mm" if len(names) == len(groups) else f"Per {kind}, mm: worst {most} of {len(groups)}"
    lines = [
        [
            name if len(name) <= 36 else name[:35] + "…",
            str(groups[name]["frames"]),
            *(_shown(m, groups[name].get(f"{who}_{m}")) for who, m in columns),
        ]
        for name in names
    ]
    return _aligned([[title, "frames", *(f"{who} {_HEADINGS[m].removesuffix(' mm')}" for who, m in columns)], *lines])


def _shown(metric, value) -> str:
    if value is None:
        return "-"
    return f"{100 * value:.1f}" if metric in _SHARES else f"{value:.2f}"


def _aligned(lines) -> str:
    """Lines of cells as text: the first column to the left, numbers to the right, a rule under the heading."""
    widths = np.array([[len(cell) for cell in line] for line in lines]).max(axis=0)
    text = [
        "  ".join(cell.rjust(w) if i else cell.ljust(w) for i, (cell, w) in enumerate(zip(line, widths, strict=True)))
        for line in lines
    ]
    return "\n".join([text[0], "-" * len(text[0]), *text[1:]])


def condition_table(rows, predictors) -> str:
    """Rows of `robustness.measure` as Markdown: MPJPE, N-MPJPE and P-MPJPE of each lifter, mm."""
    lines, group = [["", "condition", "frames", *_columns(predictors, _IN_TABLES)]], None
    for row in rows:
        errors = [_rounded(row.get(f"{who}_{m}")) for who in predictors for m in _IN_TABLES]
        lines.append(["" if row["group"] == group else f"**{row['group']}**", row["condition"], row["frames"], *errors])
        group = row["group"]
    return markdown(lines)


def group_table(report: dict, predictors, kind: str, most: int = 0) -> str:
    """The errors of a report per "action", "subject" or "joint" as Markdown, from the lowest MPJPE to the highest.

    Args:
        report: what `metrics.json` holds.
        predictors: their names; the first decides the order.
        kind: of the groups.
        most: groups to show, half of them the best and half the worst; 0 for all.
    """
    groups = report[f"per_{kind}"]
    some = next(iter(groups.values()))
    metrics = [m for m in _IN_TABLES if f"{predictors[0]}_{m}" in some]
    names = sorted(groups, key=lambda name: groups[name][f"{predictors[0]}_{metrics[0]}"])
    lines = []
    for name in names:
        errors = [_rounded(groups[name].get(f"{who}_{m}")) for who in predictors for m in metrics]
        lines.append([name, groups[name]["frames"], *errors])
    if most and len(lines) > most:
        lines = [*lines[: most // 2], ["…"] + [""] * (len(lines[0]) - 1), *lines[most // 2 - most :]]
    return markdown([[kind, "frames", *_columns(predictors, metrics)], *lines])


def _columns(predictors, metrics) -> list[str]:
    return [f"{who.replace('_', ' ')} {_HEADINGS[m].removesuffix(' mm')}" for who in predictors for m in metrics]


def _rounded(error) -> str:
    return "" if error is None else f"{error:.1f}"
