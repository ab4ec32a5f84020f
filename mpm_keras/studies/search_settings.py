"""The settings of a search: what they mean for its trials, and whether a folder holds a search with the same."""

import os
from pathlib import Path

from mpm_keras.command_line import configured_backend
from mpm_keras.errors import InputError
from mpm_keras.files import read_json, write_json
from mpm_keras.studies.space import STAGES, Space

# Flags that say how to search; all others go to the scripts of both stages.
OF_THE_SEARCH = {
    "workdir", "config", "tuner", "trials", "hyperband_parts", "hyperband_factor", "samples_per_second",
    "retry_failed", "progress", *STAGES, *(f"{stage}_{unit}" for stage in STAGES for unit in ("steps", "epochs")),
}  # fmt: skip
# What may differ when a search goes on.
RESUMABLE = {
    "workdir",
    "config",
    "trials",
    "samples_per_second",
    "retry_failed",
    "progress",
    "checkpoint_seconds",
    "keep",
}


def begin(folder: Path, name: str, config: dict, space: Space):
    """Writes search.json, or checks that the folder holds this very search."""
    mine = identity(name, config, space)
    if (folder / "search.json").exists():
        check_same(folder / "search.json", mine)
    elif any(not path.name.startswith(".") for path in folder.iterdir()):
        raise InputError(f"--workdir {folder}: holds something else than a search; choose another")
    write_json(folder / "search.json", mine)


def identity(name: str, config: dict, space: Space) -> dict:
    """What makes a search this search."""
    values = {d.name: list(d.values) for d in space.dimensions}
    settings = {key: value for key, value in config.items() if key not in RESUMABLE | set(values)}
    backend = os.environ.get("KERAS_BACKEND") or configured_backend()
    return {"search": name, "backend": backend, **settings, **values}


def check_same(file: Path, mine: dict):
    """Raises `InputError` that names the first setting in which a folder's search differs from this one."""
    old = read_json(file, "the settings of a search")
    for name in mine | (old if isinstance(old, dict) else {}):
        if not isinstance(old, dict) or old.get(name) != mine.get(name):
            found = old.get(name) if isinstance(old, dict) else old
            raise InputError(
                f"{file.parent} holds a search with {name}={found}, not {mine.get(name)}; choose another --workdir"
            )


def stage_settings(config: dict, space: Space) -> dict:
    """{stage: {flag: value}} of what does not differ between trials."""
    common = {k: v for k, v in config.items() if k not in OF_THE_SEARCH and k not in space.names}
    found = {}
    for stage in STAGES:
        budget = {unit: config[f"{stage}_{unit}"] for unit in ("steps", "epochs")}
        if not any(budget.values()):
            raise InputError(f"--{stage}_steps and --{stage}_epochs are both 0; one of them must say when to stop")
        found[stage] = {**common, **budget, **extra(config[stage], stage, space), "progress": False}
    return found


def extra(words: list[str], stage: str, space: Space) -> dict:
    """The flags NAME=VALUE of one stage; the script itself knows which there are."""
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name or name in OF_THE_SEARCH | {"steps", "epochs", "pretrained"} or name in space.names:
            raise InputError(
                f"--{stage}={word}: expected NAME=VALUE of a flag of {stage}.py that the search leaves free"
            )
        found[name] = value
    return found


def numbers(config: dict, name: str, kind) -> tuple:
    """The values of a list flag as numbers. Raises `InputError` that names what is none."""
    try:
        values = tuple(kind(word) for word in config[name])
    except ValueError as error:
        raise InputError(f"--{name}: expected numbers separated by commas, found {','.join(config[name])}") from error
    return words(values, name)


def words(values, name: str) -> tuple:
    """The values of a list flag. Raises `InputError` for none, or one twice."""
    if not values or len(set(values)) != len(values):
        raise InputError(f"--{name}: expected one value or several that differ, found {','.join(map(str, values))}")
    return tuple(values)


def choices(config: dict, name: str, known: list[str]) -> tuple:
    """The values of a list flag of known words. Raises `InputError` that names one that is not known."""
    for word in config[name]:
        if word not in known:
            raise InputError(f"--{name}: expected some of {', '.join(known)}, found {word!r}")
    return words(config[name], name)


def check_sources(sources: list[str]):
    """Raises `InputError` for a file that is not there and a bad archive; trials say what is wrong with other files."""
    from mpm_keras.data.sources import check_archives  # imports Keras

    for source in sources:
        if source != "synthetic" and not Path(source).exists():
            raise InputError(f"--data: no such file or folder: {source}")
    check_archives(sources)
