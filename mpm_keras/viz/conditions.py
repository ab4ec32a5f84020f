"""A picture of errors under many conditions: a row each, a mark for every lifter."""

import os

from mpm_keras.viz.skeleton import _FAINT, _INK, _PALE, LEFT, RIGHT, _figure

_COLOURS = (LEFT, RIGHT, _FAINT)
_ROW, _SPACE, _TOP, _BOTTOM = 0.235, 0.42, 0.75, 0.5  # inches: of a row, more above a group, above and below all


def conditions_figure(path: str | os.PathLike, rows, lifters, title: str = "Error under one condition at a time"):
    """Writes the MPJPE of each lifter under each condition, as marks on a line from zero.

    Args:
        path: the picture to write, such as `conditions.png`.
        rows: of `robustness.measure`.
        lifters: one to three names.
        title: of the picture.

    Raises:
        ValueError: if there is nothing to draw, or too much.
    """
    if not rows or not 1 <= len(lifters) <= len(_COLOURS):
        raise ValueError(f"expected rows and one to three lifters, found {len(rows)} rows and {len(lifters)} lifters")
    groups = list(dict.fromkeys(row["group"] for row in rows))
    height = _TOP + _BOTTOM + _ROW * len(rows) + _SPACE * len(groups)
    figure = _figure(8.6, height)
    ax = figure.add_axes((0.36, _BOTTOM / height, 0.6, 1 - (_TOP + _BOTTOM) / height))
    y, last = 0.0, None
    for row in rows:
        if row["group"] != last:
            y, last = y - _SPACE, row["group"]
            ax.text(-0.01, y + 0.06, last, transform=ax.get_yaxis_transform(), ha="right", va="bottom", fontsize=8.5,
                    color=_INK, weight="bold")  # fmt: skip
        y -= _ROW
        errors = [row.get(f"{who}_mpjpe_mm", float("nan")) for who in lifters]
        ax.plot([0, max(error for error in errors if error == error)], [y, y], color=_PALE, lw=0.8, zorder=1)
        for error, colour in zip(errors, _COLOURS, strict=False):
            ax.plot(error, y, "o", color=colour, ms=5.5, zorder=2)
        ax.text(-0.01, y, row["condition"], transform=ax.get_yaxis_transform(), ha="right", va="center", fontsize=8,
                color=_INK)  # fmt: skip
        ax.text(errors[0], y + 0.05, f"{errors[0]:.0f}", ha="center", va="bottom", fontsize=6.5, color=_COLOURS[0])
    ax.set(xlim=(0, None), ylim=(y - _ROW, 0), yticks=[])
    ax.set_xlabel("MPJPE, mm", fontsize=9, color=_INK)
    ax.tick_params(axis="x", labelsize=8, colors=_FAINT, length=0)
    ax.xaxis.grid(color=_PALE, lw=0.4)
    for spine in ax.spines.values():
        spine.set_visible(False)
    figure.text(0.02, 1 - 0.3 / height, title, fontsize=12, color=_INK, va="center")
    handles = [
        ax.plot([], [], "o", color=colour, ms=5.5, label=who.replace("_", " "))[0]
        for who, colour in zip(lifters, _COLOURS, strict=False)
    ]
    figure.legend(handles=handles, loc="upper right", ncols=3, fontsize=8.5, frameon=False)
    figure.savefig(path)
