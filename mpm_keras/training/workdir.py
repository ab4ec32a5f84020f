"""The folder of a run: one configuration, its checkpoints and its results."""

import errno
import os
import warnings
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: no lock there
    fcntl = None

from mpm_keras.errors import InputError
from mpm_keras.files import read_json, write_json
from mpm_keras.replicas import is_first, wait_for_all
from mpm_keras.training.checkpoints import CheckpointFolder

# Settings that may differ when a run is resumed: how long, where and how fast, not what.
RESUMABLE = {
    "workdir", "config", "epochs", "steps", "keep", "progress", "pipeline", "checkpoint_seconds", "skip_bad_batches",
    "deterministic", "devices", "processes",
}  # fmt: skip


class Workdir:
    """The folder of a run.

    Args:
        config: {setting: value}; the same for every start of the run, but for `RESUMABLE`.
        keep: checkpoints to keep.

    Raises:
        InputError: the folder cannot be made, or holds the run of another configuration; the message
            names the first setting that differs.
    """

    def __init__(self, config: dict, keep: int = 3):
        self.path, self.config = Path(config["workdir"]), config
        self.checkpoints = CheckpointFolder(self.path / "checkpoints", keep)
        if self.checkpoints.paths():
            self._check_same_run()

    def _check_same_run(self):
        file = self.path / "config.json"
        old = read_json(file, "the configuration of a run; choose another --workdir", finite=False)
        if not isinstance(old, dict):
            raise InputError(f"{file}: not the configuration of a run; choose another --workdir")
        for name in sorted((set(self.config) | set(old)) - RESUMABLE):
            if old.get(name) != self.config.get(name):
                raise InputError(
                    f"{self.path} holds a run with {name}={old.get(name)}, not {self.config.get(name)}; "
                    "choose another --workdir"
                )

    def begin(self):
        """Makes the folder, locks it and writes `config.json`. Called when all input has proved good.

        Of several processes of a run the first does so while the others wait.

        Raises `InputError` where another process holds the folder, has filled it with another run since it was looked
        at, or it cannot be written.
        """
        if is_first():
            self._take()
        wait_for_all()

    def _take(self):
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock()
            if self.checkpoints.paths():
                self._check_same_run()
            for folder in (self.path, self.checkpoints.folder, self.path / "network"):
                for left in folder.glob(".*.tmp"):  # half a file of a process that was killed
                    left.unlink()
            write_json(self.path / "config.json", self.config)
        except OSError as error:
            raise InputError(f"--workdir {self.path}: cannot be written ({error.strerror})") from error

    def _lock(self):
        """Keeps other processes out until this one ends, however it ends: the file stays open."""
        if fcntl is None:
            return
        self.lock = open(self.path / ".lock", "a+")  # noqa: SIM115
        try:
            fcntl.lockf(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                warnings.warn(f"{self.path}: its disk has no locks; start no second process in it", stacklevel=3)
                return
            self.lock.seek(0)
            owner = self.lock.read().strip() or "unknown"
            raise InputError(f"--workdir {self.path}: another process ({owner}) is at work in it") from error
        self.lock.truncate(0)
        self.lock.write(str(os.getpid()))
        self.lock.flush()

    def write_metrics(self, metrics: dict):
        """Writes `metrics.json`, in the first of several processes."""
        if is_first():
            write_json(self.path / "metrics.json", metrics)

    def read_metrics(self) -> dict:
        """What an earlier, finished start of the run wrote; empty where there is none or, with a warning, it is bad."""
        file = self.path / "metrics.json"
        try:
            found = read_json(file, "the metrics of a run", finite=False) if file.exists() else {}
        except InputError as error:
            warnings.warn(f"{error}; it is written anew", stacklevel=2)
            return {}
        return found if isinstance(found, dict) else {}
