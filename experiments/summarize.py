"""Mean and spread over runs that differ in their seed, as a Markdown table; learning curves of runs, as a picture.

python experiments/summarize.py --runs="from scratch=runs/eval_scratch_*,pre-trained=runs/eval_full_*"
python experiments/summarize.py --curves=runs/finetune,runs/finetune_on --out=curves.png
"""

import glob
from pathlib import Path

from absl import flags

from mpm_keras import command_line

flags.DEFINE_list("runs", None, "Rows, as LABEL=PATTERN: run folders, or metrics.json files, of one setting.")
flags.DEFINE_list(
    "metrics",
    ["center_mpjpe_mm", "center_p_mpjpe_mm", "sequence_mpjpe_mm", "sequence_p_mpjpe_mm"],
    "Columns: keys of metrics.json; a dot goes one level down.",
)
flags.DEFINE_list("curves", None, "Run folders, or .jsonl files of epochs, whose curves to draw one after the other.")
flags.DEFINE_list("curve_metrics", ["val_center_mpjpe_mm"], "Panels: what epochs measured.")
flags.DEFINE_string("out", "curves.png", "The picture of --curves.")
flags.DEFINE_string("config", None, "JSON file of flag values, or the name of one in configs/ beside the script.")


def main():
    config = command_line.settings()
    from mpm_keras.errors import InputError

    if not config["runs"] and not config["curves"]:
        raise InputError("--runs: expected at least one LABEL=PATTERN, or --curves")
    if config["runs"]:
        print_table(config)
    if config["curves"]:
        draw_curves(config)


def print_table(config):
    from mpm_keras.errors import InputError
    from mpm_keras.markdown import markdown
    from mpm_keras.studies.spread import number, summary

    names = config["metrics"]
    rows = [("", "runs", *names)]
    for row in config["runs"]:
        label, _, pattern = row.partition("=")
        found = [read_metrics(path) for path in sorted(glob.glob(pattern))]
        if not found:
            raise InputError(f"--runs: {row!r} matches no run")
        cells = [summary([number(metrics, name, label) for metrics in found]) for name in names]
        rows.append((label, str(len(found)), *cells))
    print(markdown(rows))


def draw_curves(config):
    from mpm_keras.errors import InputError
    from mpm_keras.viz.curves import curves_figure

    runs = {}
    for path in map(Path, config["curves"]):
        for epoch in read_epochs(path):
            runs.setdefault(str(epoch.get("run", path.stem if path.is_file() else path.name)), []).append(epoch)
    try:
        curves_figure(config["out"], runs, config["curve_metrics"])
    except ValueError as error:
        raise InputError(f"--curves: {error}") from error
    print(config["out"])


def read_epochs(path) -> list[dict]:
    """The epochs of a run folder or `.jsonl` file. Raises `InputError` naming the file."""
    from mpm_keras.errors import InputError
    from mpm_keras.training.json_lines import JsonLines

    path = path / "epochs.jsonl" if path.is_dir() else path
    if not path.is_file():
        raise InputError(f"{path}: expected the epochs of a run, found no file")
    if not (epochs := JsonLines(path).read("epoch")):
        raise InputError(f"{path}: expected epochs, a JSON object with a number `epoch` in each line")
    return epochs


def read_metrics(path) -> dict:
    """The metrics of a run folder or file. Raises `InputError` naming the file."""
    from mpm_keras.files import read_json

    path = Path(path)
    return read_json(path / "metrics.json" if path.is_dir() else path, "the metrics of a run", finite=False)


if __name__ == "__main__":
    command_line.run(main)
