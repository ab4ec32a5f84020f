"""Mean and spread over runs that differ in their seed: a Markdown table out of metrics.json files.

python experiments/summarize.py --runs="from scratch=runs/eval_scratch_*,pre-trained=runs/eval_full_*"
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
flags.DEFINE_string("config", None, "JSON file of flag values, or the name of one in configs/ beside the script.")


def main():
    config = command_line.settings()
    from mpm_keras.errors import InputError
    from mpm_keras.studies.spread import number, summary

    if not config["runs"]:
        raise InputError("--runs: expected at least one LABEL=PATTERN")
    names = config["metrics"]
    print(f"| | runs | {' | '.join(names)} |\n| --- | --- |{' --- |' * len(names)}")
    for row in config["runs"]:
        label, _, pattern = row.partition("=")
        found = [read_metrics(path) for path in sorted(glob.glob(pattern))]
        if not found:
            raise InputError(f"--runs: {row!r} matches no run")
        cells = [summary([number(metrics, name, label) for metrics in found]) for name in names]
        print(f"| {label} | {len(found)} | {' | '.join(cells)} |")


def read_metrics(path) -> dict:
    """The metrics of a run folder or file. Raises `InputError` naming the file."""
    from mpm_keras.files import read_json

    path = Path(path)
    return read_json(path / "metrics.json" if path.is_dir() else path, "the metrics of a run", finite=False)


if __name__ == "__main__":
    command_line.run(main)
