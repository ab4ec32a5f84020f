"""Training state on disk: everything that a run needs to go on as if it had never stopped.

A checkpoint is one plain `.npz` (no pickles): every variable of trainer and optimiser, seed
generators included, and a JSON header with position, format and a checksum. It is written to a
temporary file, flushed and renamed, so that a run killed at any moment leaves whole files only.
"""

import dataclasses
import hashlib
import json
import re
import warnings
from pathlib import Path

import numpy as np

from mpm_keras.errors import InputError
from mpm_keras.files import UNREADABLE, atomic_write
from mpm_keras.models.presets import assign_arrays, value_of
from mpm_keras.npz import read_npz
from mpm_keras.replicas import is_first

FORMAT = "mpm_keras training state"
VERSION = 1


@dataclasses.dataclass(frozen=True)
class Position:
    """Where a run is: `step` batches of epoch `epoch` are done, `updates` optimiser steps in all.

    `validation_due`, 1 or 0: no batch is left in the epoch, or in the run, and validation has yet to be run.
    """

    epoch: int = 0
    step: int = 0
    updates: int = 0
    validation_due: int = 0


def state_variables(trainer) -> dict:
    """{name: variable} of all that training changes, in a fixed order."""
    groups = {
        "model": trainer.state_variables,
        "optimizer": trainer.optimizer.variables,
        "metrics": trainer.metrics_variables,
    }
    named = ((f"{group}/{i:04d}/{v.path}", v) for group, found in groups.items() for i, v in enumerate(found))
    network = trainer.network.name  # stands in the names of the moments too
    return {plain_name(name).replace(f"/{network}_", f"/{without_number(network)}_"): v for name, v in named}


def plain_name(name: str) -> str:
    """A state's name without the numbers that Keras gives to models and generators made in one process."""
    group, number, owner, *rest = name.split("/")
    rest = [without_number(part) if part.startswith(("seed_generator", "dropout")) else part for part in rest]
    return "/".join([group, number, without_number(owner), *rest])


def without_number(name: str) -> str:
    return re.sub(r"_\d+$", "", name)


def checksum(arrays: dict) -> str:
    """sha256 over names, types, shapes and values."""
    digest = hashlib.sha256()
    for name, value in arrays.items():
        digest.update(f"{name} {value.dtype} {value.shape}".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()


def save_state(path, trainer, position: Position):
    """Writes the state of a compiled, built trainer."""
    if hasattr(trainer, "jax_state_sync"):
        trainer.jax_state_sync()  # JAX keeps the state outside the variables while it trains
    arrays = {name: value_of(v) for name, v in state_variables(trainer).items()}
    header = {"format": FORMAT, "version": VERSION, "sha256": checksum(arrays), **dataclasses.asdict(position)}
    atomic_write(path, lambda file: np.savez(file, header=np.array(json.dumps(header)), **arrays))


def read_state(path) -> tuple[dict, Position]:
    """({name: array}, position) of a checkpoint, checked. Raises `InputError` naming the file."""
    try:
        arrays = read_npz(path)
        header = json.loads(str(arrays.pop("header")))
        counts = (header["epoch"], header["step"], header["updates"], header.get("validation_due", 0))
        position = Position(*map(int, counts))
        kind = (header["format"], header["version"])
        if min(dataclasses.astuple(position)) < 0:
            raise ValueError(f"an impossible position, {position}")
    except UNREADABLE as error:
        reason = " ".join(str(error).replace(f"{path}: ", "").split())[:200] or type(error).__name__
        raise InputError(f"{path}: not a readable checkpoint ({reason})") from error
    if kind != (FORMAT, VERSION):
        raise InputError(
            f"{path}: expected {FORMAT!r} version {VERSION}, found {str(kind[0])[:80]!r} version {str(kind[1])[:20]}"
        )
    if header.get("sha256") != checksum(arrays):
        raise InputError(f"{path}: checksum does not match, the file is damaged")
    return arrays, position


def restore_state(path, trainer) -> Position:
    """Loads a checkpoint into a compiled, built trainer and returns its position.

    Raises `InputError` that names the file and the first variable that does not fit.
    """
    arrays, position = read_state(path)
    arrays = {plain_name(name) if name.count("/") > 1 else name: value for name, value in arrays.items()}
    assign_arrays(state_variables(trainer), arrays, path)
    return position


class CheckpointFolder:
    """The checkpoints of one run, newest last.

    Args:
        folder: made on the first save.
        keep: how many of the newest to keep.
    """

    def __init__(self, folder, keep: int = 3):
        if keep < 1:
            raise ValueError(f"keep must be positive, found {keep}")
        self.folder, self.keep = Path(folder), keep

    def paths(self) -> list[Path]:
        return sorted(self.folder.glob("state-*.npz"))

    def save(self, trainer, position: Position) -> Path:
        """Writes a checkpoint, in the first of several processes, and removes the oldest; returns where it is."""
        path = self.folder / f"state-{position.updates:09d}.npz"
        if not is_first():
            return path
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            save_state(path, trainer, position)
        except OSError as error:
            raise InputError(
                f"{path}: cannot be written ({error.strerror or error}); checkpoints before it are whole"
            ) from error
        others = [other for other in self.paths() if other != path]  # a damaged one may stand after it
        for old in others[: len(others) + 1 - self.keep]:
            old.unlink()
        return path

    def restore_newest(self, trainer) -> Position | None:
        """Restores the newest whole checkpoint; a damaged one is reported and the one before used.

        Returns None where there is none. Raises `InputError` when all are damaged, so that a run
        does not silently begin anew over what is left of an old one.
        """
        paths = self.paths()
        for path in reversed(paths):
            try:
                read_state(path)
            except InputError as error:
                warnings.warn(f"{error}; trying the one before", stacklevel=2)
                continue
            return restore_state(path, trainer)
        if paths:
            raise InputError(
                f"{self.folder}: none of {len(paths)} checkpoints can be read; move them away to start anew"
            )
        return None
