"""Pictures of a study's table: errors of its rows, or as lines over a share of the data."""

from mpm_keras.studies.spread import mean_and_spread
from mpm_keras.viz.skeleton import _FAINT, _INK, _PALE, _figure

COLORS = ("#5b6573", "#c8553d", "#2f6fad", "#3f8f5b", "#8a5fb0")
_ROW = 0.42  # inches


def draw(document: dict, path):
    """Writes the picture of a document as `studies.tables.measured` makes them.

    Every seed is a small dot, their mean a large one with its standard deviation.
    """
    shown = [heading for heading, _ in document["metrics"] if heading.startswith("MPJPE")][-1]
    figure = curves(document, shown) if document["x_heading"] else dots(document, shown)
    figure.savefig(path)


def dots(document: dict, shown: str):
    """One panel per series, one line per row."""
    series = list(dict.fromkeys(row["series"] for row in document["rows"]))
    count = max(sum(row["series"] == name for row in document["rows"]) for name in series)
    width, height = 2.4 + 4.4 * len(series), 1.5 + _ROW * count
    figure = _figure(width, height)
    figure.text(0.15 / width, 1 - 0.28 / height, document["title"], fontsize=12, color=_INK, va="center")
    for i, name in enumerate(series):
        rows = [row for row in document["rows"] if row["series"] == name]
        ax = figure.add_axes(
            ((2.3 + 4.4 * i) / width, 0.62 / height, 3.5 / width, (height - 1.3) / height)
        )  # fmt: skip
        for y, row in enumerate(rows):
            color = COLORS[y % len(COLORS)]
            ax.axhline(y, color=_PALE, lw=0.6, zorder=0)
            values = row["values"].get(shown)
            if not values:
                ax.text(0.5, y, "missing", transform=ax.get_yaxis_transform(), color=_FAINT, va="center", ha="center")
                continue
            mean, spread = mean_and_spread(values)
            ax.plot(values, [y] * len(values), "o", color=color, alpha=0.45, ms=4, mew=0)
            ax.errorbar(mean, y, xerr=spread, fmt="o", color=color, ms=8, capsize=3, lw=1.5)
            ax.annotate(
                f"{mean:.1f}", (mean, y), (0, 8), textcoords="offset points", fontsize=8, color=_INK, ha="center"
            )
        labels = [row["label"] for row in rows] if i == 0 else [""] * len(rows)
        ax.set_yticks(range(len(rows)), [label.replace(", ", "\n", 1) for label in labels], fontsize=8, color=_INK)
        ax.set_ylim(len(rows) - 0.4, -0.7)
        ax.margins(x=0.15)
        ax.set_title(name, fontsize=9, color=_INK, pad=4)
        finish(ax, f"{shown}, mm")
    return figure


def curves(document: dict, shown: str):
    """One line per series over x, with a band of one standard deviation."""
    figure = _figure(6.4, 4.4)
    ax = figure.add_axes((0.11, 0.13, 0.85, 0.74))
    figure.text(0.02, 0.94, document["title"], fontsize=12, color=_INK, va="center")
    xs = sorted({row["x"] for row in document["rows"]})
    for i, name in enumerate(dict.fromkeys(row["series"] for row in document["rows"])):
        rows = [row for row in document["rows"] if row["series"] == name and row["values"].get(shown)]
        found = [(row["x"], *mean_and_spread(row["values"][shown])) for row in rows]
        if not found:
            continue
        x, mean, spread = zip(*found, strict=True)
        low, high = ([m + sign * (s or 0.0) for m, s in zip(mean, spread, strict=True)] for sign in (-1, 1))
        color = COLORS[i % len(COLORS)]
        ax.fill_between(x, low, high, color=color, alpha=0.15, lw=0)
        ax.plot(x, mean, "o-", color=color, lw=1.8, ms=6, label=name)
        for row in rows:
            ax.plot(
                [row["x"]] * len(row["values"][shown]), row["values"][shown], "o", color=color, alpha=0.4, ms=3, mew=0
            )
    if xs[-1] > 20 * xs[0]:
        ax.set_xscale("log")
    ax.set_xticks(xs, [f"{x:g}" for x in xs])
    ax.set_xticks([], minor=True)
    ax.set_xlabel(document["x_heading"], fontsize=9, color=_INK)
    ax.set_ylabel(f"{shown}, mm", fontsize=9, color=_INK)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(frameon=False, fontsize=9)
    finish(ax)
    return figure


def finish(ax, xlabel=None):
    """The look that both share."""
    if xlabel:
        ax.set_xlabel(xlabel, fontsize=9, color=_INK)
        ax.tick_params(axis="y", length=0)
    ax.tick_params(colors=_INK, labelsize=8)
    ax.grid(axis="x" if xlabel else "y", color=_PALE, lw=0.5)
    ax.set_axisbelow(True)
    for side in ("top", "right", "left") if xlabel else ("top", "right"):
        ax.spines[side].set_visible(False)


def draw_costs(document: dict, path):
    """Writes parameters and operations of each module as bars, the paper's beside them."""
    rows = document["rows"]
    figure = _figure(9.6, 1.6 + 0.5 * len(rows))
    figure.text(0.015, 0.955, document["title"], fontsize=12, color=_INK, va="center")
    panels = (("parameters K, counted alike", "parameters K, all", "paper parameters K"),)
    panels += (("FLOPs M, counted alike", "FLOPs M, with attention", "paper FLOPs M"),)
    for i, (alike, full, paper) in enumerate(panels):
        ax = figure.add_axes((0.25 + 0.385 * i, 0.08, 0.345, 0.83))
        bars = ((-0.25, full, _PALE, "all there is"), (0.0, alike, COLORS[2], "counted as the paper"))
        for shift, name, color, label in (*bars, (0.25, paper, COLORS[1], "paper")):
            values = [row[name] or 0.0 for row in rows]
            places = [y + shift for y in range(len(rows))]
            ax.barh(places, values, height=0.23, color=color, label=label)
            for y, row in zip(places, rows, strict=True):
                if row[name] is not None and name != full:
                    ax.annotate(f"{row[name]:,.1f}", (row[name], y), (3, 0), textcoords="offset points", fontsize=6.5,
                                color=_INK, va="center")  # fmt: skip
        ax.set_yticks(range(len(rows)), [row["module"] if i == 0 else "" for row in rows], fontsize=8, color=_INK)
        ax.invert_yaxis()
        ax.margins(x=0.17)
        finish(ax, alike.partition(",")[0])
    figure.legend(*ax.get_legend_handles_labels(), frameon=False, fontsize=8, loc="upper right", ncols=3)
    figure.savefig(path)
