"""A search from flags to results: one process, or a chief and workers."""

import contextlib
import dataclasses
import importlib
import importlib.util
import os
import signal
import time
from pathlib import Path

from mpm_keras.command_line import EXIT_BAD_INPUT, configured_backend
from mpm_keras.errors import InputError, Preempted
from mpm_keras.files import read_json, write_json
from mpm_keras.studies.journal import Journal
from mpm_keras.studies.runs import locked, run_script
from mpm_keras.studies.search_cost import Cost, duration, estimate
from mpm_keras.studies.search_report import write_results
from mpm_keras.studies.space import STAGES, Space, text_of
from mpm_keras.studies.trials import FAILED, OBJECTIVE, Budget, Trials, best_of

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
CHIEF_SECONDS = 0.5  # between a worker's looks for its chief's folder


def run_search(name: str, config: dict, space: Space, draw, run=run_script) -> dict:
    """Runs, or goes on with, a search.

    Args:
        name: of the search.
        config: the flags of the script.
        space: what to try.
        draw: draw(folder, space, records) makes its pictures.
        run: `run_script`, or something like it.

    Returns:
        What metrics.json holds; in a worker only how many trials it ran.

    Raises:
        InputError: a setting makes no sense, or the folder holds another search.
        Preempted: the process was asked to stop; the same command goes on.
    """
    folder, role = Path(config["workdir"]), Role.from_environment()
    check_sources(config["data"])
    trials = Trials(
        folder, space, stage_settings(config, space), config["tuner"] != "hyperband", run=run, worker=role.name
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / f".lock_{role.lock}", wait=False), asked_to_stop():
            if role.worker:
                return work(name, config, trials, role)
            return lead(name, config, trials, role, draw)
    except OSError as error:
        if isinstance(error, (FileExistsError, NotADirectoryError, PermissionError)):
            raise InputError(f"--workdir {folder}: cannot be written ({error.strerror})") from error
        raise


@dataclasses.dataclass(frozen=True)
class Role:
    """What this process is to a search: alone, the chief of others, or a worker, by KerasTuner's variables."""

    name: str = "tuner0"
    address: str = ""

    @property
    def chief(self) -> bool:
        return bool(self.address) and "chief" in self.name

    @property
    def worker(self) -> bool:
        return bool(self.address) and not self.chief

    @property
    def lock(self) -> str:
        """Whoever leads holds one lock, each worker one of its own."""
        return f"worker_{self.name}" if self.worker else "search"

    @staticmethod
    def from_environment() -> "Role":
        names = ("KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT")
        values = [os.environ.get(name, "") for name in names]
        if not any(values):
            return Role()
        for name, value in zip(names, values, strict=True):
            if not value:
                raise InputError(f"{name}: not set, but needed beside the others of {', '.join(names)}")
        if not values[2].isdigit() or not 0 < int(values[2]) < 65536:
            raise InputError(f"KERASTUNER_ORACLE_PORT={values[2]}: expected a number from 1 to 65535")
        if not values[0].replace("-", "").replace("_", "").isalnum():
            raise InputError(f"KERASTUNER_TUNER_ID={values[0]}: expected letters, digits, - and _")
        return Role(values[0], f"{values[1]}:{values[2]}")


def lead(name, config, trials: Trials, role: Role, draw) -> dict:
    """The search of a process that is alone, or of a chief."""
    folder, space = trials.folder, trials.space
    begin(folder, name, config, space)
    journal = Journal(folder / "journal.jsonl")
    if config["retry_failed"]:
        trials.forget_failures()
        journal.rewrite([])
    tuners = import_tuners()
    plan = make_plan(config, tuners)
    cost = estimate(trials, plan, config["samples_per_second"])
    print(cost.text(), flush=True)
    progress = Progress(trials, plan.full, cost)
    tuner = tuners.make_tuner(plan, trials, journal, folder / "kerastuner", role.name, progress.ended)
    tuner.search()
    records = trials.all()
    if best_of(records) is None:
        raise_common(records)
    return write_results(name, config, trials, records, draw)


def work(name, config, trials: Trials, role: Role) -> dict:
    """The part of a worker: waits for the chief, then runs what it is told."""
    file = trials.folder / "search.json"
    while not file.exists():
        time.sleep(CHIEF_SECONDS)
    check_same(file, identity(name, config, trials.space))
    tuners = import_tuners()
    print(f"{role.name}: asking the chief at {role.address} for trials", flush=True)
    tuner = tuners.make_tuner(make_plan(config, tuners), trials, None, trials.folder / "kerastuner", role.name)
    try:
        tuner.search()
    except tuners.NoChief as error:
        raise InputError(f"no chief answers at {role.address} ({error})") from error
    mine = [record for record in trials.all() if record["worker"] == role.name]
    return {"worker": role.name, "trials_of_this_worker": len(mine)}


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
    """Raises `InputError` for a file that is not there; the trials say what else is wrong with it."""
    for source in sources:
        if source != "synthetic" and not Path(source).exists():
            raise InputError(f"--data: no such file or folder: {source}")


def make_plan(config: dict, tuners):
    return tuners.Plan(
        config["tuner"], config["trials"], config["seed"], config["hyperband_parts"], config["hyperband_factor"]
    )


def import_tuners():
    """The module of KerasTuner's part. It imports Keras, for which its NumPy backend, where it can be had, is the
    lightest; the trials run with the backend that the user chose."""
    chosen = os.environ.get("KERAS_BACKEND")
    if importlib.util.find_spec("jax"):  # which Keras's NumPy backend needs
        os.environ["KERAS_BACKEND"] = "numpy"
    try:
        return importlib.import_module("mpm_keras.studies.tuners")
    finally:
        os.environ.pop("KERAS_BACKEND", None)
        if chosen is not None:
            os.environ["KERAS_BACKEND"] = chosen


@contextlib.contextmanager
def asked_to_stop():
    """Makes SIGTERM and Ctrl-C end in `Preempted`. While a run is at work, `run_script` passes them on to it."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt as stop:  # no Exception: KerasTuner would take that for a failed trial
        raise Preempted("stopped; the same command goes on") from stop
    finally:
        signal.signal(signal.SIGTERM, before)


def raise_common(records: list[dict]):
    """No trial was completed: says why the first one was not."""
    reason = records[0]["reason"] if records else "there was none"
    if all(record["exit_code"] == EXIT_BAD_INPUT for record in records):
        raise InputError(f"no trial was completed: {reason}")
    raise FloatingPointError(f"no trial was completed: {reason}")


class Progress:
    """One line for every trial that ends: a bar, the result and the time left.

    Args:
        trials: `Trials`.
        full: parts of the full budget.
        cost: the estimate.
    """

    def __init__(self, trials: Trials, full: int, cost: Cost):
        self.trials, self.full, self.cost = trials, full, cost
        self.done, self.began, self.ended_now = cost.done, time.monotonic(), 0

    def ended(self, trial):
        """Called with a trial of KerasTuner's."""
        numbers = trial.hyperparameters.values
        values = self.trials.space.settings(numbers)
        record = self.trials.find(values, Budget(int(numbers.get("tuner/epochs", self.full)), self.full))
        self.done, self.ended_now = self.done + 1, self.ended_now + 1
        total = max(self.cost.trials, self.done)
        each = (time.monotonic() - self.began) / self.ended_now
        bar = "=" * (20 * self.done // total)
        result = f"failed: {record['reason']}" if record["status"] == FAILED else f"{record[OBJECTIVE]:.1f} mm"
        best = best_of(self.trials.all())
        so_far = f", best {best[OBJECTIVE]:.1f} mm" if best else ""
        part = "" if record["parts"] == record["of"] else f" ({record['parts']}/{record['of']} of the budget)"
        print(
            f"[{bar:20}] {self.done}/{total}  {text_of(values)}{part}  {result}{so_far}, "
            f"{duration(each * (total - self.done))} left",
            flush=True,
        )
