"""Data-parallel training: several devices of one host, several processes, several hosts.

Every device trains on its rows of the global batch and all end each step with the same weights, those of one device
that sees the whole batch. JAX runs one program over all devices (`keras.distribution`), also those of several
processes. PyTorch runs a process per device (`DistributedDataParallel`). TensorFlow mirrors the network on the devices
of one process (`MirroredStrategy`).
"""

import atexit
import contextlib
import dataclasses
import datetime
import functools
import logging
import os

import keras

from mpm_keras.errors import InputError, WorkerLost
from mpm_keras.replicas import Alone, Processes, processes, set_processes, set_replicas
from mpm_keras.training.cluster import Member, member

# Words of the errors that backends raise where another process is gone; they have no class of their own.
LOST = ("gloo", "nccl", "connection closed", "connection reset", "coordination service", "heartbeat")
LONGEST_WAIT = datetime.timedelta(minutes=10)  # for a process that neither answers nor ends


@dataclasses.dataclass(frozen=True)
class Devices:
    """What a job trains on.

    Attributes:
        count: devices of all processes together; each takes as many rows of a batch.
        context: () -> the backend's own part of `scope`.
        processes, index: how many processes bring rows of a batch, and which of them this one is.
    """

    count: int = 1
    context: object = contextlib.nullcontext
    processes: int = 1
    index: int = 0

    @contextlib.contextmanager
    def scope(self):
        """Where networks are made and trained. Work outside of it each process does by itself, on one device.

        Raises `WorkerLost` where another process of the run ended or does not answer.
        """
        with noticing_lost_workers(), self.context():
            yield

    def share(self, batches):
        """The rows that this process brings to each batch of `batches`."""
        return batches.share(self.index, self.processes) if self.processes > 1 else batches


@contextlib.contextmanager
def noticing_lost_workers():
    """Turns what a backend raises where another process does not answer into `WorkerLost`."""
    try:
        yield
    except RuntimeError as error:
        text = " ".join(str(error).split())
        if processes().count > 1 and any(word in text.lower() for word in LOST):
            raise WorkerLost(
                f"another process of this run has ended or does not answer ({text[:160]}); "
                "the same command, for all of them, goes on from the last checkpoint"
            ) from error
        raise


_started = {}


def start(devices: int, how: str = "auto", batch_size: int = 0) -> Devices:
    """Takes devices, and joins the other processes if there are any. Called before anything is computed.

    Args:
        devices: of this host, for each process that runs on it with JAX; 0 takes all.
        how: where other processes are looked for, see `member`.
        batch_size: that of the global batch, to check.

    Raises:
        InputError: there are not so many devices, they do not divide the batch, or the backend cannot do it.
    """
    mine = member(how)
    if devices == 1 and mine is None:
        return Devices()
    if (devices, mine) not in _started:
        begin = {"jax": start_jax, "torch": start_torch, "tensorflow": start_tensorflow}
        _started[devices, mine] = begin[keras.backend.backend()](devices, mine)
    found = _started[devices, mine]
    if batch_size % found.count:
        raise InputError(f"--batch_size={batch_size}: does not divide among {found.count} devices")
    return found


def refuse_untried(settings, count: int):
    """Raises `InputError` for settings that the backend has for one device alone."""
    backend = keras.backend.backend()
    if count == 1 or backend == "jax":
        return
    asked = {"--jit_compile=true": settings.jit_compile == "true"}
    if backend == "tensorflow":
        asked |= {"--skip_bad_batches": settings.skip_bad_batches, "--pipeline=device": settings.pipeline == "device"}
    for flag in (flag for flag, given in asked.items() if given):
        raise InputError(f"{flag}: the backend {backend} has it on one device only; KERAS_BACKEND=jax has it on more")


def agree(number: int, what: str):
    """Raises `InputError` in every process where they do not all give the same number."""
    largest = processes().largest
    if largest(number) != -largest(-number):
        raise InputError(f"the processes of this run find other {what}; it must be one folder that all of them share")


def start_jax(devices: int, mine: Member | None) -> Devices:
    """`keras.distribution.DataParallel` over the first devices of each process."""
    import jax

    logging.getLogger("jax").setLevel("WARNING")  # it tells whom it connects to
    if devices and "host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
        with contextlib.suppress(RuntimeError):  # where JAX is at work already
            jax.config.update("jax_num_cpu_devices", devices)  # virtual ones, for want of others
    if mine is not None:
        keras.distribution.initialize(mine.address, mine.count, mine.index)
    groups = [[d for d in jax.devices() if d.process_index == i] for i in range(jax.process_count())]
    most = min(map(len, groups))
    check_count(devices, most)
    chosen = [f"{d.platform}:{d.id}" for group in groups for d in group[: devices or most]]
    distribution = keras.distribution.DataParallel(devices=chosen, auto_shard_dataset=False)  # `share` does it
    if mine is not None:
        from jax.experimental import multihost_utils

        set_processes(Processes(mine.index, mine.count, lambda x: int(multihost_utils.process_allgather(x).max())))
    return Devices(len(chosen), distribution.scope, jax.process_count(), jax.process_index())


def check_count(wanted: int, found: int):
    """Raises `InputError` where there are fewer devices than wanted."""
    if wanted > found:
        raise InputError(f"--devices={wanted}: this host has {found}")


def start_torch(devices: int, mine: Member | None) -> Devices:
    """A process group: NCCL between GPUs, gloo between CPUs."""
    import torch
    from torch import distributed

    if mine is None:
        if devices:
            raise InputError("PyTorch needs a process for each device: the scripts start them, or torchrun does")
        return Devices()
    gpu = torch.cuda.is_available()
    if gpu:
        check_count(mine.local_index + 1, torch.cuda.device_count())
        torch.cuda.set_device(mine.local_index)
    host, port = mine.address.rsplit(":", 1)
    os.environ |= {"MASTER_ADDR": host, "MASTER_PORT": port, "RANK": str(mine.index), "WORLD_SIZE": str(mine.count)}
    distributed.init_process_group("cpu:gloo,cuda:nccl" if gpu else "gloo", timeout=LONGEST_WAIT)
    atexit.register(distributed.destroy_process_group)

    def largest(number):
        value = torch.tensor(number, device="cpu")
        distributed.all_reduce(value, distributed.ReduceOp.MAX)
        return int(value)

    set_processes(Processes(mine.index, mine.count, largest))
    replicas = TorchReplicas(mine.index, mine.count)
    return Devices(mine.count, lambda: among(replicas), mine.count, mine.index)


def start_tensorflow(devices: int, mine: Member | None) -> Devices:
    """`MirroredStrategy` over the GPUs of the host, or over parts of its CPU."""
    import tensorflow as tf

    if mine is not None:
        raise InputError("TensorFlow trains on the devices of one process; KERAS_BACKEND=jax or torch takes several")
    tf.get_logger().setLevel("WARNING")  # it tells how it adds up every gradient
    names = [f"GPU:{i}" for i in range(len(tf.config.list_physical_devices("GPU")))]
    if not names:
        cpu, names = tf.config.list_physical_devices("CPU")[0], [f"CPU:{i}" for i in range(devices or 1)]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration() for _ in names])
    check_count(devices, len(names))
    strategy = tf.distribute.MirroredStrategy(names[: devices or None])
    replicas = TensorFlowReplicas(strategy.num_replicas_in_sync)

    @contextlib.contextmanager
    def scope():
        with strategy.scope(), among(replicas):
            yield

    return Devices(strategy.num_replicas_in_sync, scope)


@contextlib.contextmanager
def among(replicas):
    """Code inside sees the rows of one replica."""
    set_replicas(replicas)
    try:
        yield
    finally:
        set_replicas(Alone())


class TorchReplicas(Alone):
    """The processes of PyTorch's default group."""

    def __init__(self, index: int, count: int):
        self.index, self.count, self.wrapped = index, count, {}

    def mean(self, x):
        return all_reduce_mean()(x)

    def loss(self, update, variables, batch):
        """What `update.loss` returns, with gradients that the backward pass averages over all processes."""
        key = tuple(map(id, variables))
        if key not in self.wrapped:
            self.wrapped[key] = data_parallel(variables)
        return self.wrapped[key](update, batch)


def data_parallel(variables):
    """A `DistributedDataParallel` module of an update's variables: (update, batch) -> its loss and reports."""
    import torch

    class Loss(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.moved = torch.nn.ParameterList([v.value for v in variables])

        def forward(self, update, batch):
            return update.loss(batch, training=True)

    return torch.nn.parallel.DistributedDataParallel(Loss())


@functools.cache
def all_reduce_mean():
    """The function that averages a tensor over all processes. So it does with gradients: each is of the mean loss."""
    import torch

    class Mean(torch.autograd.Function):
        @staticmethod
        def forward(context, x):
            y = x.detach().clone(memory_format=torch.contiguous_format)
            torch.distributed.all_reduce(y)
            return y / torch.distributed.get_world_size()

        @staticmethod
        def backward(context, gradient):
            return Mean.forward(None, gradient)

    return Mean.apply


class TensorFlowReplicas(Alone):
    """The replicas of a `MirroredStrategy`, inside of what it runs; outside of that there is one.

    Args:
        total: how many there are.
    """

    mirrored = True

    def __init__(self, total: int):
        self.total, self.metric_share = total, 1.0 / total

    @property
    def count(self):
        return 1 if self.context is None else self.total

    @property
    def index(self) -> int:
        import tensorflow as tf

        return int(tf.get_static_value(self.context.replica_id_in_sync_group))

    @property
    def context(self):
        import tensorflow as tf

        context = tf.distribute.get_replica_context()
        return context if context is not None and context.num_replicas_in_sync == self.total else None

    def mean(self, x):
        return x if self.context is None else self.context.all_reduce("MEAN", x)
