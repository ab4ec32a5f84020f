"""What replicas draw at random is what one device draws for the whole batch."""

import numpy as np
import pytest
from harness import to_numpy
from keras import ops

from mpm_keras import replicas
from mpm_keras.layers.dropout import Dropout
from mpm_keras.masking import PartMasking, PoseMasking
from mpm_keras.training.losses import pose_loss
from mpm_keras.training.trainer import of_all_replicas

pytestmark = pytest.mark.once  # processes and strategies, where backends differ, are tested in training/


class Third(replicas.Alone):
    """One of three replicas, without the others."""

    count = 3

    def __init__(self, index):
        self.index = index

    def mean(self, x):
        return x


@pytest.fixture
def by_replica():
    """(make) -> (what one device gets, what three replicas get together); make() is called anew for each."""

    def run(make):
        found = [make(6)]
        for index in range(3):
            replicas.set_replicas(Third(index))
            found.append(make(2))
            replicas.set_replicas(replicas.Alone())
        return found[0], [np.concatenate(parts) for parts in zip(*found[1:], strict=True)]

    yield run
    replicas.set_replicas(replicas.Alone())


def test_masks(by_replica):
    def make(rows):
        masks = PoseMasking(5, 0.6, seed=3).draw(rows, 5, 17)
        parts = PartMasking([[True] * 17, [False] * 17], [0, 4], seed=1)(np.zeros((rows, 5, 17, 2), np.float32))
        return [to_numpy(x) for x in (masks["joints"], masks["frames"], parts)]

    for whole, joined in zip(*by_replica(make), strict=True):
        np.testing.assert_array_equal(joined, whole)
        assert len({row.tobytes() for row in whole}) > 1


def test_dropout(by_replica):
    (whole,), (joined,) = by_replica(
        lambda rows: [to_numpy(Dropout(0.5, seed=7)(ops.ones((rows, 3, 8)), training=True))]
    )
    np.testing.assert_array_equal(joined, whole)
    assert not np.array_equal(whole[:2], whole[2:4])


class Recorded(replicas.Alone):
    """One of two replicas; means are taken with what the other gave at the same place."""

    count = 2

    def __init__(self, other=None):
        self.given, self.other = [], other

    def mean(self, x):
        self.given.append(to_numpy(x))
        return x if self.other is None else (x + self.other[len(self.given) - 1]) / 2


def both(compute):
    """[compute(0), compute(1)] as two replicas that know of each other's means would have them."""
    given = []
    for index in range(2):
        replicas.set_replicas(Recorded())
        compute(index)
        given.append(replicas.replicas().given)
    found = []
    for index in range(2):
        replicas.set_replicas(Recorded(given[1 - index]))
        found.append(compute(index))
    replicas.set_replicas(replicas.Alone())
    return found


def test_the_mean_of_two_losses_is_that_of_the_batch_where_weights_differ():
    rng = np.random.default_rng(0)
    one, two = rng.normal(size=(2, 4, 5, 17, 3)).astype(np.float32)
    weights = np.zeros((4, 5, 17), bool)
    weights[:2], weights[2, 0] = True, True  # the second half has a tenth of the first's
    halves = [slice(0, 2), slice(2, 4)]
    losses = both(lambda i: float(pose_loss(one[halves[i]], two[halves[i]], weights[halves[i]])))
    assert np.mean(losses) == pytest.approx(float(pose_loss(one, two, weights)), rel=1e-6)


def test_reports_are_those_of_the_batch():
    reports = [{"loss": (1.0, 1.0), "error": (10.0, 30.0)}, {"loss": (3.0, 1.0), "error": (20.0, 10.0)}]
    for found in both(lambda i: {k: [float(x) for x in v] for k, v in of_all_replicas(reports[i]).items()}):
        assert found == {"loss": [2.0, 1.0], "error": [12.5, 40.0]}
