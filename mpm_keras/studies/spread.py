"""Mean and spread over runs that differ in their seed: one definition for all tables."""

import statistics

from mpm_keras.errors import InputError


def number(metrics: dict, name: str, label: str) -> float:
    """The number under a key such as `table_3.2 joints.mpjpe_mm`; a dot goes one level down.

    Raises `InputError` that names the label where there is none, or one that is not finite.
    """
    value = metrics
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e300:
        raise InputError(f"--metrics: the runs of {label!r} hold no finite number {name!r}")
    return float(value)


def mean_and_spread(values) -> tuple[float, float | None]:
    """Mean and sample standard deviation; None for the spread of a single value."""
    return statistics.mean(values), statistics.stdev(values) if len(values) > 1 else None


def summary(values, digits: int = 1) -> str:
    """Mean, and standard deviation where there is more than one value."""
    mean, spread = mean_and_spread(values)
    return f"{mean:.{digits}f}" + ("" if spread is None else f" ± {spread:.{digits}f}")
