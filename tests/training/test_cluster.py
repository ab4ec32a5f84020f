import pytest

from mpm_keras.errors import InputError
from mpm_keras.training.cluster import Member, member

pytestmark = pytest.mark.numpy_only

TORCHRUN = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "MASTER_ADDR": "node1", "MASTER_PORT": "1234"}
KERAS = {
    "KERAS_DISTRIBUTION_PROCESS_ID": "1", "KERAS_DISTRIBUTION_NUM_PROCESSES": "2",
    "KERAS_DISTRIBUTION_JOB_ADDRESSES": "node1:99,node2:99",
}  # fmt: skip
SLURM = {"SLURM_PROCID": "3", "SLURM_NTASKS": "4", "SLURM_LOCALID": "1", "MASTER_ADDR": "node1"}


@pytest.mark.parametrize(
    ("how", "environment", "expected"),
    [
        ("auto", {}, None),
        ("auto", TORCHRUN, Member(5, 8, 1, "node1:1234")),
        ("auto", KERAS, Member(1, 2, 0, "node1:99")),
        ("auto", SLURM, None),  # a job of SLURM's may hold many runs: it has to be said
        ("auto", {**TORCHRUN, "RANK": "0", "WORLD_SIZE": "1"}, None),
        ("slurm", SLURM, Member(3, 4, 1, "node1:29500")),
        ("none", TORCHRUN, None),
    ],
)
def test_who_starts_processes_tells_them_which_they_are(how, environment, expected):
    assert member(how, environment) == expected


@pytest.mark.parametrize(
    ("how", "environment", "message"),
    [
        ("slurm", {}, "SLURM_PROCID=None: expected a whole number"),
        ("auto", {**TORCHRUN, "RANK": "x"}, "RANK=x: expected a whole number"),
        ("auto", {**TORCHRUN, "RANK": "8"}, "RANK=8: expected a number from 0 up to, not including, WORLD_SIZE=8"),
        ("auto", {"RANK": "0", "WORLD_SIZE": "2"}, "MASTER_ADDR: expected the host of process 0"),
    ],
)
def test_what_is_missing_is_named(how, environment, message):
    with pytest.raises(InputError, match=message):
        member(how, environment)
