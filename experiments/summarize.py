"""Mean and spread over runs that differ in their seed: a Markdown table out of metrics.json files.

python experiments/summarize.py --runs="from scratch=runs/eval_scratch_*,pre-trained=runs/eval_full_*"
"""

import glob
import statistics
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


def number(metrics, name, label) -> float:
    """The number under a key such as `table_3.2 joints.mpjpe_mm`."""
    from mpm_keras.errors import InputError

    value = metrics
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e300:
        raise InputError(f"--metrics: the runs of {label!r} hold no finite number {name!r}")
    return float(value)


def summary(values) -> str:
    """Mean, and standard deviation where there is more than one value."""
    mean = statistics.mean(values)
    return f"{mean:.1f} ± {statistics.stdev(values):.1f}" if len(values) > 1 else f"{mean:.1f}"


if __name__ == "__main__":
    command_line.run(main)
