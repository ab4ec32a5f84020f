"""What a search leaves: tables, the best settings as a config, metrics and HParams for TensorBoard."""

import csv
import io
import os
from pathlib import Path

from mpm_keras.command_line import configured_backend
from mpm_keras.files import atomic_write, write_json
from mpm_keras.markdown import markdown
from mpm_keras.studies.hparams import write_hparams
from mpm_keras.studies.space import Space, text_of
from mpm_keras.studies.trials import COMPLETED, FAILED, FINETUNE_METRICS, OBJECTIVE, PRETRAIN_METRICS, Trials, best_of

TITLES = {
    OBJECTIVE: "MPJPE (mm)",
    "val_sequence_mpjpe_mm": "MPJPE of the whole sequence (mm)",
    "val_masked_3d_mpjpe_mm": "stage I: masked 3D (mm)",
    "val_masked_2d_error": "stage I: masked 2D",
}
# How long a trial took is no property of its settings; last, so that the rest can be compared between searches.
TIMES = ("seconds", "train_seconds", "pretrain_samples_per_second", "finetune_samples_per_second", "worker")


def write_results(name: str, config: dict, trials: Trials, records: list[dict], draw) -> dict:
    """Writes everything into the folder of the search. Returns what metrics.json holds.

    Args:
        name: of the search.
        config: the flags of its script.
        trials: `Trials`.
        records: of all trials that have ended; one of them at least was completed.
        draw: draw(folder, space, records) makes the pictures.
    """
    folder, space, best = trials.folder, trials.space, best_of(records)
    write_csv(folder / "trials.csv", space, records)
    text = table(name, config, space, records)
    atomic_write(folder / "table.md", lambda file: file.write(text.encode()))
    for stage, _, settings in trials.stages(best["values"]):
        file = folder / ("best.json" if stage == "pretrain" else "best_finetune.json")
        write_json(file, {k: v for k, v in settings.items() if v is not None and k not in ("progress", "pretrained")})
    draw(folder, space, whole_budget(records))
    write_hparams(folder / "tensorboard", space, records)
    metrics = {
        "search": name,
        "tuner": config["tuner"],
        "backend": os.environ.get("KERAS_BACKEND") or configured_backend(),
        "seed": config["seed"],
        "trials": len(records),
        "failed_trials": sum(r["status"] == FAILED for r in records),
        f"best_{OBJECTIVE}": best[OBJECTIVE],
        **{f"best_{key}": value for key, value in best["values"].items()},
        "samples": sum(r.get("samples", 0) for r in records),
        "seconds": sum(r["seconds"] for r in records),
        "best": best,
    }
    write_json(folder / "metrics.json", metrics)
    return metrics


def whole_budget(records: list[dict]) -> list[dict]:
    """Of every combination the trial with the largest budget; Hyperband has several."""
    largest = {}
    for record in records:
        key = tuple(record["values"].values())
        if key not in largest or record["parts"] > largest[key]["parts"]:
            largest[key] = record
    return list(largest.values())


def write_csv(path: Path, space: Space, records: list[dict]):
    """One line for every trial, failures too."""
    columns = ["status", "parts", "of", *FINETUNE_METRICS, *PRETRAIN_METRICS, "samples", "exit_code", "reason", *TIMES]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*space.names, *columns])
    for record in records:
        writer.writerow([*(record["values"][n] for n in space.names), *(record.get(c, "") for c in columns)])
    atomic_write(path, lambda file: file.write(text.getvalue().encode()))


def table(name: str, config: dict, space: Space, records: list[dict]) -> str:
    """The results for people, in Markdown: as the paper has them for two dimensions, and one by one, best first."""
    best = best_of(records)
    parts = [
        f"# {name}",
        f"Validation MPJPE of the lifted pose, mm. Best: **{text_of(best['values'])}** with {best[OBJECTIVE]:.1f} mm.",
        f"Tuner: {config['tuner']}, seed {config['seed']}, data: {', '.join(config['data'])}; stage I "
        f"{budget(config, 'pretrain')}, stage II {budget(config, 'finetune')}, {config['batch_size']} windows a batch.",
    ]
    if len(space.free) == 2:
        parts.append(matrix(space, whole_budget(records)))
    parts.append(ranking(space, records))
    failures = [r for r in records if r["status"] == FAILED]
    parts += [f"Failed: {text_of(r['values'])}: {r['reason'].replace('|', '/')}" for r in failures]
    return "\n\n".join(parts) + "\n"


def budget(config: dict, stage: str) -> str:
    steps, epochs = config[f"{stage}_steps"], config[f"{stage}_epochs"]
    return " or ".join(f"{n} {unit}" for n, unit in ((steps, "steps"), (epochs, "epochs")) if n)


def matrix(space: Space, records: list[dict]) -> str:
    """Rows and columns for two free dimensions, as in Table C."""
    rows, columns = space.free
    cells = {(r["values"][rows.name], r["values"][columns.name]): cell(r) for r in records}
    lines = [[row, *(cells.get((row, column), "") for column in columns.values)] for row in rows.values]
    return markdown([[f"{rows.name} \\ {columns.name}", *columns.values], *lines])


def cell(record: dict) -> str:
    if record["status"] == FAILED:
        return "failed"
    part = "" if record["parts"] == record["of"] else f" ({record['parts']}/{record['of']})"
    return f"{record[OBJECTIVE]:.1f}{part}"


def ranking(space: Space, records: list[dict]) -> str:
    """One line for every completed trial, the best first; with Hyperband the largest budget first."""
    done = sorted((r for r in records if r["status"] == COMPLETED), key=lambda r: (-r["parts"], r[OBJECTIVE]))
    metrics = [m for m in (*FINETUNE_METRICS, *PRETRAIN_METRICS) if any(m in r for r in done)]
    shares = any(r["parts"] != r["of"] for r in done)
    head = [*space.names, *(["budget"] if shares else []), *(TITLES[m] for m in metrics), "samples"]
    lines = [head]
    for r in done:
        row = [r["values"][n] for n in space.names]
        row += [f"{r['parts']}/{r['of']}"] if shares else []
        row += [format(r[m], ".4f" if m == "val_masked_2d_error" else ".1f") if m in r else "" for m in metrics]
        lines.append([*row, f"{r['samples']:,}"])
    return markdown(lines)
