"""Graphs of PyTorch: the same numbers, gradients and states as the function that was traced."""

import keras
import numpy as np
import pytest
from harness import to_numpy, values_of

from mpm_keras.models import MPMLifter
from mpm_keras.torch_graphs import Graphs, alike, compiled_like

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.skipif(keras.backend.backend() != "torch", reason="graphs are PyTorch's")

TINY = {"frames": 9, "layers": 1, "width": 16, "encoder_width": 16, "heads": 2, "feed_forward": 16}


def make_network(**options):
    keras.utils.set_random_seed(0)
    return MPMLifter(**TINY, **options)


def make_batch(rows=3, seed=0):
    rng = np.random.default_rng(seed)
    hidden = rng.random((rows, 9, 17)) < 0.2
    return {"pose_2d": rng.standard_normal((rows, 9, 17, 2), np.float32), "hidden": hidden}


def trained(network, function, steps=3):
    """Losses, gradients of the last step, and what the variables are after some steps of plain descent."""
    losses = []
    for step in range(steps):
        network.zero_grad()
        loss = function(keras.tree.map_structure(torch.from_numpy, make_batch(seed=step)))["loss"]
        loss.backward()
        losses.append(loss.item())
        gradients = [v.value.grad.clone() for v in network.trainable_variables]
        with torch.no_grad():
            for variable, gradient in zip(network.trainable_variables, gradients, strict=True):
                variable.assign(variable.value - 0.01 * gradient)
    return losses, [np.array(g) for g in gradients], values_of(network.variables)


def loss_of(network):
    def loss(batch):
        found = network(batch, training=True)
        return {"loss": keras.ops.mean(keras.ops.square(found["center"])) + keras.ops.mean(found["sequence"])}

    return loss


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_training_by_a_graph_is_training_bit_for_bit(dtype):
    """Losses, gradients, weights, statistics of batch norm, and the seeds of dropout."""
    plain, traced = make_network(dtype=dtype), make_network(dtype=dtype)
    expected = trained(plain, loss_of(plain))
    graphs = Graphs(loss_of(traced), traced.variables)
    found = trained(traced, graphs)
    assert len(graphs.graphs) == 1 and len(set(expected[0])) == 3
    for one, other in zip(found, expected, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_predictions_are_the_same_before_and_after_tracing():
    network = make_network()
    batch = make_batch()
    expected = [to_numpy(x) for x in network(batch, training=False).values()]
    network.graphs.patience = 2
    for call in range(4):
        found = network.predict_on_batch(batch)
        assert len(network.graphs.graphs) == (call >= 2)
        for one, other in zip(found.values(), expected, strict=True):
            np.testing.assert_array_equal(one, other)
    assert set(found) == {"center", "sequence"}


def test_a_graph_for_each_shape_and_for_the_weights_of_now():
    network = make_network()
    network.expect_many_batches()
    for rows in (1, 4, 1):
        assert network.predict_on_batch(make_batch(rows))["center"].shape == (rows, 1, 17, 3)
    without = {"pose_2d": make_batch()["pose_2d"]}
    network.predict_on_batch(without)
    assert len(network.graphs.graphs) == 3
    for variable in network.trainable_variables:
        variable.assign(variable + 0.1)
    np.testing.assert_array_equal(
        network.predict_on_batch(without)["sequence"], to_numpy(network(without, training=False)["sequence"])
    )


def test_conversions_that_change_nothing_are_left_out():
    graphs = Graphs(lambda x: keras.ops.cast(keras.ops.cast(x, "float32") + 1.0, "float16"), [])
    graphs(np.zeros(3, np.float32))
    ((graph, _, _),) = graphs.graphs.values()
    names = [str(node.target) for node in graph.graph.nodes]
    assert sum("aten.to" in name for name in names) == 1 and not any("assert" in name for name in names)


class Doubling(torch.nn.Module):
    def forward(self, x):
        return (2 * x,)


@pytest.mark.parametrize(
    ("compile_to", "reason"),
    [(lambda graph: lambda x: (2.5 * x,), "its results are others"), (None, "no compiler")],
)
def test_a_compiler_that_fails_or_errs_is_done_without(monkeypatch, compile_to, reason):
    def failing(graph):
        def run(x):
            raise RuntimeError("no compiler")

        return run

    monkeypatch.setattr(torch, "compile", compile_to or failing)
    graph = Doubling()
    with pytest.warns(UserWarning, match=f"{reason}.*more slowly"):
        assert compiled_like(graph, (torch.ones(3),)) is graph


def test_a_compiler_that_agrees_is_used(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda graph: lambda x: (2.0001 * x,))
    found = compiled_like(Doubling(), (torch.ones(3),))
    assert float(found(torch.ones(1))[0]) == pytest.approx(2.0001)
    assert alike(torch.ones(2), torch.ones(2)) and not alike(torch.zeros(2), torch.ones(2))
