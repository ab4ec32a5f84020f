"""A search from flags to results: one process, or a chief and workers."""

import contextlib
import dataclasses
import importlib
import importlib.util
import os
import signal
import socket
import threading
import time
from pathlib import Path

from mpm_keras.command_line import EXIT_BAD_INPUT
from mpm_keras.errors import InputError, Preempted
from mpm_keras.studies.journal import Journal
from mpm_keras.studies.runs import locked, run_script
from mpm_keras.studies.search_cost import Cost, duration, estimate
from mpm_keras.studies.search_report import write_results
from mpm_keras.studies.search_settings import begin, check_same, check_sources, identity, stage_settings
from mpm_keras.studies.space import Space, text_of
from mpm_keras.studies.trials import FAILED, OBJECTIVE, Budget, Trials, best_of

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
    if role.chief:
        check_address(role)
    begin(folder, name, config, space)
    journal = Journal(folder / "journal.jsonl")
    if config["retry_failed"]:
        trials.forget_failures()
        journal.rewrite([])
    tuners = import_tuners()
    plan = make_plan(config, tuners)
    cost = estimate(trials, plan, config["samples_per_second"])
    print(cost.text(), flush=True)
    ended = Progress(trials, plan.full, cost).ended if config["progress"] else None
    tuner = tuners.make_tuner(plan, trials, journal, folder / "kerastuner", role.name, ended)
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


def check_address(role: Role):
    """Raises `InputError` where this machine cannot listen at the chief's address."""
    host, port = role.address.rsplit(":", 1)
    try:
        socket.create_server((host, int(port))).close()
    except OSError as error:
        raise InputError(f"KERASTUNER_ORACLE_IP, _PORT: cannot listen at {role.address} ({error.strerror})") from error


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
    """Makes SIGTERM and Ctrl-C end in `Preempted`. While a run is at work, `run_script` passes them on to it.

    In the main thread only: elsewhere signals cannot be caught.
    """
    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, signal.default_int_handler) if main else None
    try:
        yield
    except KeyboardInterrupt as stop:  # no Exception: KerasTuner would take that for a failed trial
        raise Preempted("stopped; the same command goes on") from stop
    finally:
        if main:
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
        self.began, self.ended_now = time.monotonic(), 0

    def ended(self, trial):
        """Called with a trial of KerasTuner's."""
        numbers = trial.hyperparameters.values
        values = self.trials.space.settings(numbers)
        record = self.trials.find(values, Budget(int(numbers.get("tuner/epochs", self.full)), self.full))
        records = self.trials.all()
        done, self.ended_now = len(records), self.ended_now + 1
        total = max(self.cost.trials, done)
        each = (time.monotonic() - self.began) / self.ended_now
        bar = "=" * (20 * done // total)
        result = f"failed: {record['reason']}" if record["status"] == FAILED else f"{record[OBJECTIVE]:.1f} mm"
        best = best_of(records)
        so_far = f", best {best[OBJECTIVE]:.1f} mm" if best else ""
        part = "" if record["parts"] == record["of"] else f" ({record['parts']}/{record['of']} of the budget)"
        print(
            f"[{bar:20}] {done}/{total}  {text_of(values)}{part}  {result}{so_far}, "
            f"{duration(each * (total - done))} left",
            flush=True,
        )
