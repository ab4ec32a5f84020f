"""What a study is made of: runs of scripts, and a table whose rows are runs with several seeds."""

import dataclasses
import hashlib
import json
from functools import cached_property
from pathlib import Path

from mpm_keras.studies.runs import steps_per_batch

# Script -> its flag for the run that it starts from.
STARTS_FROM = {"finetune": "pretrained", "evaluate": "network"}


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """One run of a script.

    Attributes:
        script: its name, such as "pretrain".
        settings: {flag: value}, without folders.
        source: the run whose network it starts from.
    """

    script: str
    settings: dict
    source: "Run | None" = None

    @cached_property
    def name(self) -> str:
        """Of its folder. Runs that are alike, of whatever row or table, have one name and are run once."""
        inputs = [self.script, self.settings, self.source and self.source.name]
        return f"{self.script}-{hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:10]}"

    @property
    def samples(self) -> int:
        """Windows that it trains on."""
        batches = self.settings.get("steps", 0) // steps_per_batch(self.settings)
        return batches * self.settings.get("batch_size", 0)

    def flags(self, folder: Path) -> dict:
        """The settings with the folder of the run that it starts from."""
        return self.settings | ({STARTS_FROM[self.script]: str(folder / self.source.name)} if self.source else {})


@dataclasses.dataclass(frozen=True)
class Metric:
    """A column: its heading, its key in the metrics of a case, such as `finetune.val_loss`, and its digits."""

    heading: str
    key: str
    digits: int = 1


@dataclasses.dataclass(frozen=True, eq=False)
class Row:
    """A row of a table.

    Attributes:
        label: what it is.
        cases: per seed its runs, in the order in which they run, and at most one of each script.
        series: the line of a curve that it is a point of, or the data that it was trained on.
        x: its place on a curve.
        paper: {heading: number} of the paper's row.
    """

    label: str
    cases: tuple[tuple[Run, ...], ...]
    series: str = ""
    x: float | None = None
    paper: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, eq=False)
class Table:
    """A table and its picture.

    Attributes:
        title: above both.
        heading: of the rows' labels.
        metrics: the columns; the picture shows the last one whose heading begins with "MPJPE".
        rows: see `Row`.
        remarks: sentences below it.
        series_heading, x_heading: of the rows' series and x, "" where they have none.
    """

    title: str
    heading: str
    metrics: tuple[Metric, ...]
    rows: tuple[Row, ...]
    remarks: tuple[str, ...] = ()
    series_heading: str = ""
    x_heading: str = ""

    def runs(self) -> list[Run]:
        """All runs, each once and after the one that it starts from; one seed after the other."""
        seeds = max((len(row.cases) for row in self.rows), default=0)
        found = {}
        for seed in range(seeds):
            for row in self.rows:
                found |= {run.name: run for run in row.cases[seed] if run.name not in found}
        return list(found.values())
