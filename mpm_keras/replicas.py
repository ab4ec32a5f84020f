"""What a replica must know of the others, where several train one network on slices of one batch.

Processes of PyTorch and mirrored replicas of TensorFlow each see their rows of the global batch. What is a mean over
the batch, or is drawn at random for it, goes through this module, so that they compute what one device would compute
of the whole batch. With JAX one program sees the whole batch, and on a single device it is the batch: there, all
functions are identities. `mpm_keras.training.distribution` says which of these it is.
"""

import dataclasses


class Alone:
    """One device, or one program over many: no other replica sees other rows. Base of what replicas bring.

    Attributes:
        metric_share: what a replica adds to running means of the whole; TensorFlow sums over replicas by itself.
        mirrored: whether variables and batches are TensorFlow's mirrored ones: to be copied before they become NumPy,
            and without booleans, which Keras cannot add up.
    """

    count, index, metric_share, mirrored = 1, 0, 1.0, False

    def mean(self, x):
        """The mean of a tensor over all replicas, on each of them; differentiable."""
        return x

    def loss(self, update, variables, batch):
        """(loss, reports) of an `Update`, for PyTorch's backward pass to the variables that it moves."""
        return update.loss(batch, training=True)


@dataclasses.dataclass(frozen=True)
class Processes:
    """The processes of a run.

    Attributes:
        index: of this one. The first alone writes files.
        count: how many there are.
        largest: (int) -> the largest of the numbers that the processes give.
    """

    index: int = 0
    count: int = 1
    largest: object = int


class _State:
    replicas, processes = Alone(), Processes()


def set_replicas(replicas):
    """Makes replicas the current ones; `Alone()` ends it."""
    _State.replicas = replicas


def set_processes(processes: Processes):
    """Tells which process of a run this one is."""
    _State.processes = processes


def replicas() -> Alone:
    """The current replicas."""
    return _State.replicas


def processes() -> Processes:
    """The processes of this run, of which one is this one."""
    return _State.processes


def several() -> bool:
    """Whether the code that runs now sees some of the batch's rows only."""
    return _State.replicas.count > 1


def is_first() -> bool:
    """Whether this process writes what a run writes: checkpoints, logs, networks, metrics."""
    return _State.processes.index == 0


def wait_for_all():
    """Returns when every process of the run has come here."""
    _State.processes.largest(0)


def mean_over_replicas(x):
    """The mean of a tensor over all replicas, on each of them; differentiable."""
    return _State.replicas.mean(x)


def first_row(rows):
    """Number in the global batch of the first of `rows` rows of this replica, for random draws that count rows."""
    return _State.replicas.index * rows if several() else 0
