"""Learning curves: what epochs of runs measured, one run after the other."""

import math
import os

from mpm_keras.viz.skeleton import _FAINT, _INK, _PALE, _figure

_COLOURS = ("#3465a4", "#ce5c00", "#4e9a06", "#a40000", "#75507b", "#8f5902")


def curves_figure(path: str | os.PathLike, runs: dict, metrics):
    """Writes a panel for each metric, with a line for each run that knows it.

    Args:
        path: the picture to write, such as `curves.png`.
        runs: {name: epochs}, each epoch a dict, in the order in which they were run: a run begins where
            the one before it ends, as if it had gone on from it.
        metrics: names in the epochs, such as "val_center_mpjpe_mm".

    Raises:
        ValueError: if a metric is in none of the runs.
    """
    lines = {metric: lines_of(runs, metric) for metric in metrics}
    if missing := [metric for metric, found in lines.items() if not found]:
        raise ValueError(f"no run has epochs with {missing[0]!r}")
    figure = _figure(4.6 * len(lines) + 0.6, 3.4)
    for i, (metric, found) in enumerate(lines.items()):
        ax = figure.add_subplot(1, len(lines), i + 1)
        for (name, (epochs, values)), colour in zip(found.items(), _COLOURS * len(found), strict=False):
            ax.plot(epochs, values, "o-", ms=3, lw=1.2, color=colour, label=f"{name}: {values[-1]:.3g}")
        ax.set_title(metric, fontsize=10, color=_INK, loc="left")
        ax.set_xlabel("epoch", fontsize=9, color=_INK)
        ax.legend(title="at its end", fontsize=8, title_fontsize=8, frameon=False, loc="upper right")
        ax.tick_params(labelsize=8, colors=_FAINT, length=0)
        ax.grid(color=_PALE, lw=0.4)
        for spine in ax.spines.values():
            spine.set_visible(False)
    figure.tight_layout()
    figure.savefig(path)


def lines_of(runs, metric) -> dict:
    """{run: (epochs counted over all of these runs, values)} of the runs whose epochs have a metric."""
    lines, past = {}, 0
    for name, epochs in runs.items():
        values = [epoch.get(metric) for epoch in epochs]
        values = [value for value in values if isinstance(value, int | float) and math.isfinite(value)]
        if values:
            lines[name] = (list(range(past + 1, past + 1 + len(values))), values)
            past += len(values)
    return lines
