"""The job of experiments/ablate.py: a table of runs or of counts, resumed or only written anew."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

from mpm_keras.command_line import configured_backend
from mpm_keras.errors import InputError
from mpm_keras.files import read_json, write_json
from mpm_keras.skeletons import SKELETONS
from mpm_keras.studies.ablations import STUDIES, settings_of
from mpm_keras.studies.execution import execute
from mpm_keras.studies.runs import run_script
from mpm_keras.studies.tables import measured, write_cost, write_table

TABLES = (*STUDIES, "cost")
# What may differ when a table is resumed: more of the same.
EXTENDABLE = {"config", "workdir", "render", "seeds", "rows", "shares", "budget"}
SIZES = ("frames", "layers", "width", "encoder_width")  # settings that `cost` takes beside the skeleton


def run_table(words, config: dict, command: str, runner=run_script) -> tuple[Path, dict]:
    """Makes, resumes or renders a table.

    Args:
        words: the name of the table, one of `TABLES`.
        config: the flags of `experiments/ablate.py`.
        command: how it was called.
        runner: as `run_script`.

    Returns:
        The path of the table's files without their suffix, and {run: why it failed}.

    Raises:
        InputError: an unknown table, settings that make no sense, or a folder with another study.
        Preempted: asked to terminate; the same call goes on.
    """
    name = words[0]
    if len(words) > 1 or name not in TABLES:
        raise InputError(f"expected one table of {', '.join(TABLES)}, found {' '.join(words)!r}")
    stem = Path(config["workdir"]) / name
    old = stored(stem.with_suffix(".json"))
    if config["render"]:
        if old is None:
            raise InputError(f"--render: {stem}.json does not exist; make the table first")
        config = old["config"] | {"workdir": config["workdir"], "render": True}
    elif old is not None and name != "cost":
        check_same_study(name, old["config"], config, f"{stem}.json")
    make = cost_table if name == "cost" else table_of_runs
    try:
        return stem, make(name, config, command, stem, old if config["render"] else None, runner)
    except OSError as error:
        raise InputError(f"--workdir {config['workdir']}: cannot be written ({error.strerror})") from error


def stored(file: Path) -> dict | None:
    """What an earlier start left, None where there was none. Raises `InputError` for anything else."""
    if not file.exists():
        return None
    found = read_json(file, "a table of ablate.py", finite=False)
    if not isinstance(found, dict) or not all(isinstance(found.get(key), dict) for key in ("config", "facts")):
        raise InputError(f"{file}: expected a table of ablate.py")
    return found


def check_same_study(name, old: dict, new: dict, file):
    """Raises `InputError` where a folder holds the table with other settings, but for those that may change."""
    free = EXTENDABLE | ({"data"} if name == "masks" else set())
    for setting in sorted((set(old) | set(new)) - free):
        if old.get(setting) != new.get(setting):
            raise InputError(
                f"{file} is of a study with {setting}={old.get(setting)}, not {new.get(setting)}; "
                "choose another --workdir"
            )


def table_of_runs(name, config, command, stem, old, runner) -> dict:
    """A table of `STUDIES`; with `old` no run is started. Returns the failures of this start."""
    table, folder = STUDIES[name](SimpleNamespace(**config)), stem.parent / "runs"
    failures = old["failures"] if old else {}
    facts = old["facts"] if old else facts_of(config, command)
    if not old:
        folder.mkdir(parents=True, exist_ok=True)
        # Before the first run: a study that was killed can be rendered, and a start with other settings is noticed.
        write_json(stem.with_suffix(".json"), {"config": config, **measured(table, folder, facts)})
        failures = execute(table, folder, runner)
    document = {"config": config, **measured(table, folder, facts, failures)}
    write_json(stem.with_suffix(".json"), document)
    write_table(document, stem)
    return {} if old else failures


def cost_table(name, config, command, stem, old, runner) -> dict:
    """Tables 5 and D. Needs the backend, but for rendering."""
    if not old:
        sizes = sizes_of(config["settings"])
        from mpm_keras.studies.cost_table import cost_document  # after the settings: it needs the backend

        facts = {"command": command, "machine": machine(), "backend": backend()}
        try:
            document = cost_document(facts, **sizes)
        except ValueError as error:
            raise InputError(f"--settings: {error}") from error
        stem.parent.mkdir(parents=True, exist_ok=True)
        write_json(stem.with_suffix(".json"), {"config": config, **document})
    write_cost(old or document, stem)
    return {}


def facts_of(config: dict, command: str) -> dict:
    """How a table of runs was made, for its readers."""
    budget = f"{config['pretrain_steps']} steps of stage I, {config['finetune_steps']} of stage II"
    return {
        "command": command,
        "budget": f"{budget}, learning rate down to {config['final_rate']:g} of its first value",
        "seeds": ", ".join(config["seeds"]),
        "backend": backend(),
        "machine": machine(),
    }


def machine() -> str:
    """What kind of machine this is, without its name."""
    software = f"Python {platform.python_version()}, Keras {version('keras')}"
    return f"{os.cpu_count()} CPU cores ({platform.machine()}), {software}"


def backend() -> str:
    return os.environ.get("KERAS_BACKEND") or configured_backend()


def sizes_of(words) -> dict:
    """The sizes of networks out of --settings. Raises `InputError` for other settings."""
    found = settings_of(words, "--settings")
    skeleton = found.pop("skeleton", "h36m16")
    if skeleton not in SKELETONS:
        raise InputError(f"--settings: unknown skeleton {skeleton!r}; known: {', '.join(SKELETONS)}")
    for name, value in found.items():
        if name not in SIZES or type(value) is not int or value < 1:
            raise InputError(f"--settings: cost takes skeleton, {', '.join(SIZES)}, found {name}={value}")
    return found | {"joints": SKELETONS[skeleton].num_joints}
