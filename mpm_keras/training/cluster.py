"""Which process of a run this one is, as those who start processes tell it. Imports no backend."""

import dataclasses
import os

from mpm_keras.errors import InputError

# Number of this process, of all processes, of this process on its host: by those who start them.
NAMES = {
    "torchrun": ("RANK", "WORLD_SIZE", "LOCAL_RANK"),
    "keras": ("KERAS_DISTRIBUTION_PROCESS_ID", "KERAS_DISTRIBUTION_NUM_PROCESSES", "LOCAL_RANK"),
    "slurm": ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"),
}
HOW = ("auto", "slurm", "none")
PORT = "29500"


@dataclasses.dataclass(frozen=True)
class Member:
    """One process of a run.

    Attributes:
        index: of this process, from 0.
        count: processes of the run, on all hosts.
        local_index: of this process on its host; the device that it takes with PyTorch.
        address: HOST:PORT on which process 0 waits for the others.
    """

    index: int
    count: int
    local_index: int
    address: str


def member(how: str = "auto", environment=os.environ) -> Member | None:
    """This process's part in a run of several, None where it runs by itself.

    Args:
        how: "auto" heeds RANK and WORLD_SIZE with MASTER_ADDR and MASTER_PORT (torchrun, Kubernetes), and
            KERAS_DISTRIBUTION_PROCESS_ID, _NUM_PROCESSES and _JOB_ADDRESSES; "slurm" SLURM_PROCID and SLURM_NTASKS
            with MASTER_ADDR; "none" nothing.

    Raises:
        InputError: some of the variables are missing or no numbers; names them.
    """
    choices = {"auto": ("torchrun", "keras"), "slurm": ("slurm",), "none": ()}[how]
    names = next((NAMES[choice] for choice in choices if how == "slurm" or NAMES[choice][1] in environment), None)
    if names is None:
        return None
    index, count = (whole_number(environment, name) for name in names[:2])
    if not 0 <= index < count:
        raise InputError(f"{names[0]}={index}: expected a number from 0 up to, not including, {names[1]}={count}")
    if count == 1:
        return None
    return Member(index, count, whole_number(environment, names[2], "0"), address(environment))


def whole_number(environment, name, default=None) -> int:
    """A variable of the environment. Raises `InputError` where it is missing or no whole number."""
    value = environment.get(name, default)
    try:
        return int(value)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}={value}: expected a whole number, the processes of the run are told by it") from error


def address(environment) -> str:
    """HOST:PORT of process 0. Raises `InputError` where nothing tells it."""
    jobs = environment.get("KERAS_DISTRIBUTION_JOB_ADDRESSES")
    if jobs:
        return jobs.split(",")[0]
    if not environment.get("MASTER_ADDR"):
        raise InputError("MASTER_ADDR: expected the host of process 0 in the environment of every process")
    return f"{environment['MASTER_ADDR']}:{environment.get('MASTER_PORT', PORT)}"
