"""Tables of studies: what was measured as a plain document, and that as JSON, CSV, Markdown and a picture."""

import csv
import io
from pathlib import Path

from mpm_keras.files import atomic_write
from mpm_keras.markdown import markdown
from mpm_keras.studies.execution import metrics_of
from mpm_keras.studies.plan import Row, Table
from mpm_keras.studies.runs import run_record
from mpm_keras.studies.spread import mean_and_spread, number, summary

MISSING = "missing"


def measured(table: Table, folder: Path, facts: dict, failures=None) -> dict:
    """The document of a table: what its finished runs hold, whichever these are.

    Args:
        table: the plan.
        folder: of its runs.
        facts: how it was made, {what: text}; the Markdown shows them below the table.
        failures: {run: why it failed}.
    """
    found = [collect(row, table.metrics, folder) for row in table.rows]
    runs = table.runs()
    done = [record for run in runs if (record := run_record(folder / run.name)).get("finished")]
    ended = f"{len(done)} of {len(runs)}, {sum(record['seconds'] for record in done) / 60:.0f} minutes in all"
    return {
        "title": table.title, "heading": table.heading, "series_heading": table.series_heading,
        "x_heading": table.x_heading, "metrics": [[m.heading, m.digits] for m in table.metrics], "rows": found,
        "remarks": list(table.remarks), "facts": facts | {"runs": ended}, "failures": failures or {},
    }  # fmt: skip


def collect(row: Row, metrics, folder: Path) -> dict:
    """A row as plain values: {heading: one number per seed that is there}, and how many seeds are missing."""
    values, missing = {metric.heading: [] for metric in metrics}, 0
    for case in row.cases:
        found = metrics_of(case, folder)
        missing += len(found) < len(case)
        scripts = {run.script for run in case}
        for metric in metrics:
            script = metric.key.partition(".")[0]
            if script not in scripts:  # as stage I of a row from scratch
                values.pop(metric.heading, None)
            elif script in found:
                values[metric.heading].append(number(found, metric.key, row.label))
    return {
        "label": row.label, "series": row.series, "x": row.x, "seeds": len(row.cases), "missing": missing,
        "values": values, "paper": row.paper,
    }  # fmt: skip


def write_table(document: dict, stem: Path):
    """Writes `stem`.csv, .md and .png."""
    from mpm_keras.viz.ablations import draw

    write_text(stem.with_suffix(".csv"), as_csv(document))
    write_text(stem.with_suffix(".md"), as_markdown(document, stem.with_suffix(".png").name))
    draw(document, stem.with_suffix(".png"))


def write_text(path, text):
    atomic_write(path, lambda file: file.write(text.encode()))


def paper_headings(document) -> list[str]:
    return list(dict.fromkeys(name for row in document["rows"] for name in row["paper"]))


def as_csv(document: dict) -> str:
    """One line per row: means, spreads, and every seed's value, separated by spaces."""
    table = []
    for row in document["rows"]:
        line = {document["heading"]: row["label"]}
        line |= {document["series_heading"]: row["series"]} if document["series_heading"] else {}
        line |= {document["x_heading"]: row["x"]} if document["x_heading"] else {}
        line |= {"seeds": row["seeds"], "missing": row["missing"]}
        for heading, _ in document["metrics"]:
            values = row["values"].get(heading)
            mean, spread = mean_and_spread(values) if values else (None, None)
            line |= {heading: mean, f"{heading} spread": spread, f"{heading} runs": " ".join(map(repr, values or []))}
        table.append(line | {name: row["paper"].get(name) for name in paper_headings(document)})
    return as_csv_text(table)


def as_csv_text(rows: list[dict]) -> str:
    """Rows with the same keys as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def as_markdown(document: dict, picture: str) -> str:
    """The table, its picture, its remarks and how it was made."""
    names, papers = [heading for heading, _ in document["metrics"]], paper_headings(document)
    series = document["series_heading"] if not document["x_heading"] else ""
    lines = [[document["heading"], *([series] if series else []), *names, *papers]]
    for row in document["rows"]:
        cells = [cell(row, heading, digits) for heading, digits in document["metrics"]]
        paper = [str(row["paper"].get(name, "")) for name in papers]
        lines.append([row["label"], *([row["series"]] if series else []), *cells, *paper])
    facts = [f"- {what}: {value}" for what, value in document["facts"].items()]
    failed = [f"- failed: {name}: {reason}" for name, reason in document["failures"].items()]
    remarks = " ".join(document["remarks"])
    parts = (f"# {document['title']}", markdown(lines), f"![{document['title']}]({picture})", remarks)
    return "\n\n".join([*parts, "\n".join(facts + failed)]) + "\n"


def cell(row: dict, heading: str, digits: int) -> str:
    """Mean and spread; how many seeds they are of, where some are missing; empty where the row has no such number."""
    values = row["values"].get(heading)
    if values is None:
        return ""
    if not values:
        return MISSING
    few = f" ({len(values)} of {row['seeds']})" if len(values) < row["seeds"] else ""
    return summary(values, digits) + few


def write_cost(document: dict, stem: Path):
    """Writes `stem`.csv, .md and .png of what `cost_document` returns."""
    from mpm_keras.viz.ablations import draw_costs

    headings = list(document["rows"][0])
    lines = [headings, *([shown(row[name]) for name in headings] for row in document["rows"])]
    facts = "\n".join(f"- {what}: {value}" for what, value in document["facts"].items())
    picture = f"![{document['title']}]({stem.with_suffix('.png').name})"
    parts = [f"# {document['title']}", markdown(lines), picture, " ".join(document["remarks"]), facts]
    write_text(stem.with_suffix(".md"), "\n\n".join(parts) + "\n")
    write_text(stem.with_suffix(".csv"), as_csv_text(document["rows"]))
    draw_costs(document, stem.with_suffix(".png"))


def shown(value) -> str:
    """A cell: numbers with one digit, nothing where there is none."""
    return "" if value is None else value if isinstance(value, str) else f"{value:.1f}"
