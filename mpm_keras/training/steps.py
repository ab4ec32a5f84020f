"""One training step per backend: an optimiser step for each update of a batch."""

import functools
import math

import keras
from keras import ops

from mpm_keras.replicas import mean_over_replicas, replicas, several
from mpm_keras.torch_graphs import Graphs

# Batches of one shape that PyTorch trains on before it is worth while to trace the losses for them.
PATIENCE = 100


def tensorflow_step(trainer, data):
    import tensorflow as tf

    before = snapshot(trainer)
    batch, results, finite = trainer.prepare(trainer.unpack(data), training=True), [], True
    for update in trainer.updates(batch):
        variables = update.variables()
        with tf.GradientTape() as tape:
            results.append(update.loss(batch, training=True))
            loss = results[-1][0]
            # Keras adds up the gradients of replicas; their mean is that of the global batch.
            scaled = trainer.optimizer.scale_loss(loss / replicas().count if several() else loss)
        gradients = tape.gradient(scaled, variables)
        finite = ops.logical_and(finite, all_finite(trainer, results[-1][0], gradients))
        trainer.optimizer.apply(gradients, variables)
    logs = trainer.report_batch(results, finite)
    restore(before, finite)
    return logs


def torch_step(trainer, data):
    import torch

    before = snapshot(trainer)
    data = on_its_way(data, device_of(trainer))
    batch, results, finite = trainer.prepare(trainer.unpack(data), training=True), [], True
    for number, update in enumerate(trainer.updates(batch)):
        variables = update.variables()
        trainer.zero_grad()
        if several() or trainer.graphs is None:
            loss, values = replicas().loss(update, variables, batch)
        else:
            loss, values = trainer.graphs(number)(dict(batch))
        trainer.optimizer.scale_loss(loss).backward()
        with torch.no_grad():
            gradients = [v.value.grad for v in variables]
            finite = ops.logical_and(finite, all_finite(trainer, loss, gradients))
            trainer.optimizer.apply(gradients, variables)
        results.append((loss.detach(), values))
    with torch.no_grad():
        logs = trainer.report_batch(results, finite)
        restore(before, finite)
    return logs


def device_of(trainer):
    """The `torch.device` that holds the weights."""
    return trainer.trainable_variables[0].value.device


def on_its_way(data, device):
    """Arrays that are being copied to a GPU: an ordinary copy would wait for all that was handed over before it."""
    import torch

    def copied(x):
        return x if getattr(x, "is_cuda", False) else torch.as_tensor(x).pin_memory().to(device, non_blocking=True)

    return keras.tree.map_structure(copied, data) if device.type == "cuda" else data


def torch_graphs(trainer, jit_compile):
    """(number of an update) -> `Graphs` of its loss, or None where Keras runs it; see `Trainer.compile`."""
    gpu = device_of(trainer).type == "cuda"
    if jit_compile is True and not gpu:
        # Its C++ takes the overflow of the hash in `noise` for what never happens, and crashes.
        raise ValueError("jit_compile: with PyTorch, losses are compiled on a GPU only; leave it at auto on a CPU")
    if not jit_compile:
        return None

    @functools.cache
    def graphs(number):
        def loss(batch):
            return trainer.updates(batch)[number].loss(batch, training=True)

        return Graphs(loss, trainer.network.variables, PATIENCE, compiled=gpu)

    return graphs


def all_finite(trainer, loss, gradients):
    """() bool: whether a loss and its gradients, of all replicas, hold neither NaN nor infinity.

    Of scaled gradients only the loss is looked at: an overflow there makes the scaler skip the step
    and lower the scale, as it should.
    """
    if isinstance(trainer.optimizer, keras.optimizers.LossScaleOptimizer):
        gradients = []
    total = ops.sum(ops.stack([ops.cast(value, "float32") for value in [loss, *carrying_sums(gradients)]]))
    return ops.isfinite(mean_over_replicas(total))


def carrying_sums(gradients) -> list:
    """Numbers that are not finite where a gradient is not."""
    gradients = [gradient for gradient in gradients if gradient is not None]
    if keras.backend.backend() != "torch" or not gradients:
        return [ops.sum(gradient) for gradient in gradients]
    import torch

    return [torch.nn.utils.get_total_norm(gradients, math.inf)]  # a few launches in place of one for each variable


def snapshot(trainer):
    """[(variable, value)] of all that a batch changes, where bad batches are skipped."""
    if not trainer.skip_bad_batches:
        return []
    state = (*trainer.state_variables, *trainer.optimizer.variables, *trainer.metrics_variables)
    return [(v, ops.stop_gradient(ops.copy(v.value))) for v in {id(v): v for v in state}.values()]


def restore(before, finite):
    """Takes a batch back that was not finite."""
    for variable, value in before:
        variable.assign(ops.where(finite, variable.value, value))


def jax_step(trainer, state, data):
    import jax

    refs = [
        trainer.trainable_variables,
        trainer.non_trainable_variables,
        trainer.optimizer.variables,
        trainer.metrics_variables,
    ]
    trainable, non_trainable, moments, metrics = state
    finite = True
    # Drawing masks advances the seed generators, which live among the non-trainable variables.
    with keras.StatelessScope(state_mapping=pairs(refs[1:2], [non_trainable])) as scope:
        batch = trainer.prepare(trainer.unpack(data), training=True)
    non_trainable = current(scope, refs[1])

    results = []
    for update in trainer.updates(batch):
        moved = {id(v) for v in update.variables()}
        index = [i for i, v in enumerate(refs[0]) if id(v) in moved]

        def loss_of(moving, index=index, update=update, rest=(trainable, non_trainable, moments)):
            values = list(rest[0])
            for i, value in zip(index, moving, strict=True):
                values[i] = value
            with keras.StatelessScope(state_mapping=pairs(refs[:3], [values, rest[1], rest[2]])) as scope:
                result = update.loss(batch, training=True)
                scaled = trainer.optimizer.scale_loss(result[0])
            return scaled, (result, current(scope, refs[1]))

        gradient = jax.grad(loss_of, has_aux=True)
        moving_gradients, (result, non_trainable) = gradient([trainable[i] for i in index])
        results.append(result)
        finite = ops.logical_and(finite, all_finite(trainer, result[0], moving_gradients))
        gradients = [None] * len(trainable)
        for i, value in zip(index, moving_gradients, strict=True):
            gradients[i] = value
        trainable, moments = apply_quietly(trainer.optimizer, moments, gradients, trainable)

    with keras.StatelessScope(state_mapping=pairs(refs[3:], [metrics])) as scope:
        logs = trainer.report_batch(results, finite)
    after = (trainable, non_trainable, moments, current(scope, refs[3]))
    if trainer.skip_bad_batches:
        after = tuple(
            [ops.where(finite, *pair) for pair in zip(*two, strict=True)] for two in zip(after, state, strict=True)
        )
    return logs, after


def apply_quietly(optimizer, moments, gradients, trainable):
    """`stateless_apply` where None leaves a variable and its moments alone, without the warning."""
    import warnings

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Gradients do not exist for variables")
        return optimizer.stateless_apply(moments, gradients, trainable)


def pairs(refs, values):
    """[[variables], ...] and [[values], ...] -> flat [(variable, value), ...]."""
    return [pair for r, v in zip(refs, values, strict=True) for pair in zip(r, v, strict=True)]


def current(scope, variables):
    """Values of the variables at the end of a stateless scope."""
    values = [scope.get_current_value(v) for v in variables]
    return [v.value if new is None else new for v, new in zip(variables, values, strict=True)]


STEPS = {"tensorflow": tensorflow_step, "jax": jax_step, "torch": torch_step}
