"""What a search varies: a few settings, each with a few values."""

import dataclasses
import itertools

STAGES = ("pretrain", "finetune")


@dataclasses.dataclass(frozen=True)
class Dimension:
    """One setting that a search varies.

    Args:
        name: of the flag of pretrain.py or finetune.py.
        values: what to try, in order.
        stages: the scripts that take it.
    """

    name: str
    values: tuple
    stages: tuple[str, ...] = STAGES


class Space:
    """The product of dimensions. Tuners know values by their number only: words then have an order too.

    Args:
        dimensions: list of `Dimension`.

    Raises:
        ValueError: a dimension has no value, or one twice.
    """

    def __init__(self, dimensions):
        self.dimensions = tuple(dimensions)
        for d in self.dimensions:
            if not d.values or len(set(d.values)) != len(d.values):
                raise ValueError(f"{d.name}: expected values that differ, found {list(d.values)}")

    def __len__(self):
        return len(self.combinations())

    @property
    def names(self) -> list[str]:
        return [d.name for d in self.dimensions]

    @property
    def free(self) -> list[Dimension]:
        """The dimensions with more than one value."""
        return [d for d in self.dimensions if len(d.values) > 1]

    def combinations(self) -> list[dict]:
        """Every {name: number}, of the free dimensions; the last one changes fastest."""
        free = self.free
        return [
            {d.name: int(i) for d, i in zip(free, choice, strict=True)}
            for choice in itertools.product(*(range(len(d.values)) for d in free))
        ]

    def settings(self, numbers: dict) -> dict:
        """{name: number} of a tuner, which may know more names, as {name: value} of all dimensions."""
        return {d.name: d.values[int(numbers.get(d.name, 0))] for d in self.dimensions}

    def of_stage(self, values: dict, stage: str) -> dict:
        """Those settings that a script takes."""
        return {d.name: values[d.name] for d in self.dimensions if stage in d.stages}

    def middle(self) -> dict:
        """The settings in the middle of every dimension."""
        return {d.name: d.values[len(d.values) // 2] for d in self.dimensions}


def key_of(values: dict) -> str:
    """The name of the folder of some settings, such as "spatial_mask-5_temporal_mask-0.6"."""
    return "_".join(f"{name}-{value}" for name, value in values.items()) or "only"


def text_of(values: dict) -> str:
    """Some settings for people, such as "spatial_mask=5 temporal_mask=0.6"."""
    return " ".join(f"{name}={value}" for name, value in values.items())
