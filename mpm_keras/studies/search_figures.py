"""Pictures of a search: the surface of Figure 6, a heat map, and lines for layers."""

import io
from pathlib import Path

import matplotlib
import matplotlib.patches
import numpy as np
from matplotlib.figure import Figure

from mpm_keras.files import atomic_write
from mpm_keras.studies.space import Dimension, Space
from mpm_keras.studies.trials import COMPLETED, OBJECTIVE, best_of

DPI = 150
LABELS = {
    "spatial_mask": "$r_s$: joints hidden in a frame",
    "temporal_mask": "$r_t$: share of frames hidden",
    "layers": "shared layers",
    "frames": "frames",
    "decoder": "3D decoder",
    "width": "width",
    "heads": "heads",
}
RESULT = "validation MPJPE (mm)"


def draw_masks(folder: Path, space: Space, records: list[dict]):
    """surface.png, as Figure 6, and heatmap.png; the surface needs two values or more on both axes."""
    one, other = space.dimensions
    values = grid(one, other, records)
    save(heat_map(values, one, other), folder / "heatmap.png")
    if min(values.shape) > 1 and np.isfinite(values).sum() > 3:
        save(surface(values, one, other), folder / "surface.png")


def grid(one: Dimension, other: Dimension, records: list[dict]) -> np.ndarray:
    """(values of one, values of other) errors in mm; NaN where no trial was completed."""
    found = np.full((len(one.values), len(other.values)), np.nan)
    for record in records:
        if record["status"] == COMPLETED:
            values = record["values"]
            found[one.values.index(values[one.name]), other.values.index(values[other.name])] = record[OBJECTIVE]
    return found


def heat_map(values: np.ndarray, one: Dimension, other: Dimension) -> Figure:
    """Errors as colours and numbers, the best framed, what is missing hatched."""
    figure = Figure(figsize=(1.1 * len(other.values) + 2.4, 0.75 * len(one.values) + 1.8), layout="constrained")
    axes = figure.add_subplot(facecolor="0.92")
    image = axes.imshow(values, cmap="viridis_r", aspect="auto")
    middle = (np.nanmin(values) + np.nanmax(values)) / 2
    best = np.unravel_index(np.nanargmin(values), values.shape)
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            color = "white" if value > middle else "black"
            weight = "bold" if (row, column) == best else "normal"
            axes.text(column, row, f"{value:.1f}", ha="center", va="center", color=color, weight=weight)
        else:
            axes.text(column, row, "no result", ha="center", va="center", color="0.4", size=8)
    axes.add_patch(
        matplotlib.patches.Rectangle((best[1] - 0.47, best[0] - 0.47), 0.94, 0.94, fill=False, lw=2.5, ec="tab:red")
    )
    axes.set_xticks(range(len(other.values)), other.values)
    axes.set_yticks(range(len(one.values)), one.values)
    axes.set_xlabel(LABELS.get(other.name, other.name))
    axes.set_ylabel(LABELS.get(one.name, one.name))
    figure.colorbar(image, label=RESULT)
    return figure


def surface(values: np.ndarray, one: Dimension, other: Dimension) -> Figure:
    """The errors above the plane of both settings, the best marked; a hole where a trial is missing."""
    figure = Figure(figsize=(7, 5.2), layout="constrained")
    axes = figure.add_subplot(projection="3d")
    x, y = np.meshgrid(np.arange(len(one.values)), np.arange(len(other.values)), indexing="ij")
    low, high = np.nanmin(values), np.nanmax(values)
    axes.plot_surface(
        x, y, values, cmap="viridis_r", vmin=low, vmax=high, rstride=1, cstride=1, edgecolor="0.25", lw=0.7,
        alpha=0.8, shade=False,
    )  # fmt: skip
    best = np.unravel_index(np.nanargmin(values), values.shape)
    axes.scatter(*best, low, color="tab:red", s=60, depthshade=False, zorder=10)
    axes.text(
        *best, low - 0.06 * (high - low), f"{low:.1f}", color="tab:red", weight="bold", ha="center", va="top", zorder=11
    )
    axes.set_xticks(range(len(one.values)), one.values)
    axes.set_yticks(range(len(other.values)), other.values)
    axes.set_xlabel(LABELS.get(one.name, one.name), labelpad=8)
    axes.set_ylabel(LABELS.get(other.name, other.name), labelpad=8)
    axes.set_zlabel(RESULT, labelpad=8)
    axes.set_box_aspect(None, zoom=0.92)
    axes.view_init(elev=32, azim=-55)
    return figure


def draw_layers(folder: Path, space: Space, records: list[dict]):
    """layers.png: error over shared layers, a line for every combination of the other settings."""
    first, *others = space.dimensions
    lines = {}
    for record in records:
        if record["status"] == COMPLETED:
            label = ", ".join(
                f"{LABELS.get(d.name, d.name)} {record['values'][d.name]}" for d in others if len(d.values) > 1
            )
            lines.setdefault(label, []).append((record["values"][first.name], record[OBJECTIVE]))
    figure = Figure(figsize=(8 if len(lines) > 1 else 6, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for number, (label, points) in enumerate(sorted(lines.items(), key=lambda item: min(e for _, e in item[1]))):
        axes.plot(*zip(*sorted(points), strict=True), marker="os^Dv<>p"[number % 8], label=label)
    best = best_of(records)
    axes.scatter(best["values"][first.name], best[OBJECTIVE], s=170, fc="none", ec="tab:red", lw=2, zorder=5)
    axes.annotate(
        f"{best[OBJECTIVE]:.1f}", (best["values"][first.name], best[OBJECTIVE]), (0, -16),
        textcoords="offset points", ha="center", va="top", color="tab:red", weight="bold",
    )  # fmt: skip
    axes.set_xticks(first.values)
    axes.margins(x=0.08, y=0.16)
    axes.set_xlabel(LABELS.get(first.name, first.name))
    axes.set_ylabel(RESULT)
    axes.grid(alpha=0.3)
    if len(lines) > 1:
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=8, title="best first")
    save(figure, folder / "layers.png")


def save(figure: Figure, path: Path):
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=DPI)
    atomic_write(path, lambda file: file.write(data.getvalue()))
