"""`fit` as Keras users know it: precision, compilation, several steps at once, evaluation."""

import functools

import keras
import numpy as np
import pytest
from harness import to_numpy, values_of
from tiny_training import fixed_batch, make_trainer, seeded_trainer

from mpm_keras.training import steps
from mpm_keras.training.checkpoints import state_variables
from mpm_keras.training.trainer import Trainer, Update
from mpm_keras.training.validation import FixedBatches

BACKEND = keras.backend.backend()
DATA = [fixed_batch(seed=i) for i in range(4)]


def train(trainer, epochs=1, data=DATA):
    return trainer.fit(FixedBatches(data), epochs=epochs, shuffle=False, verbose=0).history


@functools.cache
def plain(schedule="alternate"):
    """The losses of four epochs in float32, as Keras compiles by itself."""
    return train(seeded_trainer(schedule=schedule), epochs=4)["loss"]


@pytest.mark.parametrize(
    ("policy", "schedule"),
    [("mixed_bfloat16", "alternate"), ("mixed_float16", "alternate"), ("mixed_float16", "joint")],
)
def test_mixed_precision(policy, schedule):
    trainer = seeded_trainer(dtype=policy, schedule=schedule)
    scaled = isinstance(trainer.optimizer, keras.optimizers.LossScaleOptimizer)
    assert scaled == (policy == "mixed_float16")
    losses = train(trainer, epochs=4)["loss"]
    np.testing.assert_allclose(losses, plain(schedule), rtol=0.1)
    assert losses[-1] < 0.8 * losses[0]
    assert all(np.isfinite(value).all() for value in values_of(trainer.trainable_variables))


@pytest.mark.slow  # XLA takes some ten seconds to compile two updates with their gradients
def test_jit_compile():
    if BACKEND == "torch":
        with pytest.raises(ValueError, match="with PyTorch, losses are compiled on a GPU only"):
            seeded_trainer(compile_options={"jit_compile": True})
        return
    compiled = train(seeded_trainer(compile_options={"jit_compile": True}))
    assert compiled["loss"][0] == pytest.approx(plain()[0], rel=1e-3)


@pytest.mark.skipif(BACKEND != "torch", reason="graphs are PyTorch's")
def test_torch_trains_by_graphs_as_without(monkeypatch):
    """Everything that training changes is the same to the bit, dropout and batch norm included."""
    monkeypatch.setattr(steps, "PATIENCE", 2)
    plain, traced = make_trainer(compile_options={"jit_compile": False}), make_trainer()
    assert plain.graphs is None
    assert train(traced, epochs=2) == train(plain, epochs=2)
    assert [len(traced.graphs(number).graphs) for number in (0, 1)] == [1, 1]
    for name, variable in state_variables(plain).items():
        np.testing.assert_array_equal(to_numpy(state_variables(traced)[name].value), to_numpy(variable.value), name)


def test_steps_per_execution():
    options = {"steps_per_execution": 2}
    if BACKEND == "torch":
        with pytest.raises(ValueError, match="`steps_per_execution` must be 1 with the PyTorch backend"):
            train(seeded_trainer(compile_options=options))
        return
    together = train(seeded_trainer(compile_options=options))
    assert together["loss"][0] == pytest.approx(plain()[0], rel=1e-4)


def test_eager_equals_compiled():
    eager = train(seeded_trainer(compile_options={"run_eagerly": True}))
    assert eager["loss"][0] == pytest.approx(plain()[0], rel=1e-5)


def test_logs_are_means_over_batches_weighted_by_hidden_joints():
    trainer = seeded_trainer()
    found = trainer.evaluate(FixedBatches(DATA), return_dict=True, verbose=0)
    values = [trainer.evaluate_batch(batch) for batch in DATA]
    assert float(found["loss"]) == pytest.approx(np.mean([float(loss) for loss, _ in values]), rel=1e-5)
    errors = np.array([[float(x) for x in reports["masked_3d"]] for _, reports in values])
    assert len(set(errors[:, 1])) > 1
    assert float(found["masked_3d"]) == pytest.approx(np.average(errors[:, 0], weights=errors[:, 1]), rel=1e-5)


def test_evaluation_moves_nothing():
    trainer = make_trainer()
    before = values_of(trainer.network.variables)
    trainer.evaluate(FixedBatches(DATA), verbose=0)
    for variable, old in zip(trainer.network.variables, before, strict=True):
        np.testing.assert_array_equal(to_numpy(variable.value), old, err_msg=variable.path)


def test_validation_in_fit():
    history = seeded_trainer().fit(
        FixedBatches(DATA[:2]), validation_data=FixedBatches(DATA[2:]), epochs=2, shuffle=False, verbose=0
    ).history  # fmt: skip
    assert set(history) == {f"{v}{n}" for v in ("", "val_") for n in ("loss", "masked_2d", "masked_3d")}
    assert all(np.isfinite(values).all() for values in history.values())


def test_training_learns():
    """A batch learnt by heart: the error of what is hidden falls to a fraction."""
    trainer = make_trainer(dropout=0.0, rate=2e-2)
    history = train(trainer, epochs=30)
    for name in ("loss", "masked_2d", "masked_3d"):
        assert history[name][-1] < 0.75 * history[name][0], name


def test_calling_a_trainer_is_calling_its_network():
    trainer = seeded_trainer()
    a, b = trainer(DATA[0]), trainer.network(DATA[0])
    keras.tree.map_structure(lambda x, y: np.testing.assert_array_equal(to_numpy(x), to_numpy(y)), a, b)


def poses(seed):
    """A batch without masks, so that training draws them."""
    return {k: v for k, v in fixed_batch(seed=seed).items() if k.startswith("pose")}


@pytest.mark.parametrize(("modality", "value", "dtype"), [("3d", np.nan, None), ("2d", np.inf, "mixed_float16")])
def test_a_skipped_batch_leaves_no_trace(modality, value, dtype):
    """Not in weights, moments, statistics, random state and running means; the update before the bad one goes, too."""

    def state():
        return {name: to_numpy(v.value).copy() for name, v in state_variables(trainer).items()}

    trainer, bad = make_trainer(dtype=dtype), poses(9)
    trainer.skip_bad_batches = True
    bad[f"pose_{modality}"][1, 2, 3] = value
    assert np.isfinite(trainer.train_on_batch(poses(0), return_dict=True)["loss"])
    before = state()
    trainer.epoch_goes_on = True  # Keras resets the running means otherwise
    assert np.isnan(trainer.train_on_batch(bad, return_dict=True)["loss"])
    for name, after in state().items():
        np.testing.assert_array_equal(after, before[name], err_msg=name)
    assert np.isfinite(trainer.train_on_batch(poses(1), return_dict=True)["loss"])
    changed = {name for name, after in state().items() if not np.array_equal(after, before[name])}
    for part in ("seed", "moving_mean", "momentum", "iteration", "frame_token", "metrics/"):
        assert any(part in name for name in changed), part


class Rooted(Trainer):
    """The root of a sum that may be zero, where its derivative is NaN and the loss is not."""

    def __init__(self):
        network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, kernel_initializer="ones")])
        super().__init__(network, ())

    def updates(self, batch):
        return [Update(self.loss_of, lambda: self.network.trainable_variables)]

    def loss_of(self, batch, training):
        total = keras.ops.sum(keras.ops.square(self.network(batch["x"], training=training)))
        return keras.ops.sqrt(total * keras.ops.mean(batch["factor"])), {}


def test_a_gradient_that_is_not_finite_makes_a_bad_batch():
    def batch(factor):
        return {"x": np.ones((2, 3), np.float32), "factor": np.full(2, factor, np.float32)}

    for skip in (False, True):
        trainer = Rooted()
        trainer.skip_bad_batches = skip
        trainer.compile(keras.optimizers.SGD(0.1))
        before = values_of(trainer.network.weights)
        assert np.isnan(trainer.train_on_batch(batch(0.0), return_dict=True)["loss"])
        after = values_of(trainer.network.weights)
        assert all(np.array_equal(x, y) for x, y in zip(before, after, strict=True)) == skip
    assert trainer.train_on_batch(batch(1.0), return_dict=True)["loss"] == pytest.approx(np.sqrt(4 * 9), rel=1e-6)
