"""One set of checks for every layer and model, on the active backend.

In the style of Keras's `run_layer_test`: configuration, symbolic shapes, saving, one training step
and mixed precision. Value tests stand beside it, in the module of each layer.
"""

import json

import keras
import numpy as np

# Largest difference from the float32 output, in units of its standard deviation.
PRECISIONS = {"mixed_bfloat16": ("bfloat16", 0.15), "mixed_float16": ("float16", 0.03)}


def to_numpy(x) -> np.ndarray:
    """A tensor as NumPy; the low precisions, which NumPy lacks, as float32."""
    dtype = keras.backend.standardize_dtype(x.dtype)
    return np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(x, "float32") if "float" in dtype else x))


def seed_weights(layer, seed=0, scale=0.3):
    """Sets every weight from a NumPy generator, in variable order: the same on every backend.

    Variances stay positive, seed generators as they are.
    """
    rng = np.random.default_rng(seed)
    for variable in layer.weights:
        if "seed" in variable.path:
            continue
        value = rng.normal(0, scale, variable.shape)
        if variable.path.endswith(("variance", "gamma")):
            value = 1 + 0.5 * np.abs(value)
        variable.assign(value.astype("float32"))


def values_of(variables) -> list[np.ndarray]:
    """Copies of variables' values."""
    return [np.array(to_numpy(v.value)) for v in variables]


def symbolic(inputs):
    """NumPy arrays, in any nesting -> `keras.Input`s with an open batch axis."""
    return keras.tree.map_structure(lambda x: keras.Input(x.shape[1:], dtype=str(x.dtype)), inputs)


def symbolic_shape(x):
    return keras.tree.map_structure(lambda t: tuple(t.shape), x)


def check_config(layer):
    """`from_config(get_config())` has the same configuration, through JSON too."""
    config = layer.get_config()
    plain = json.dumps(config)
    assert json.dumps(type(layer).from_config(config).get_config()) == plain
    document = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    revived = keras.saving.deserialize_keras_object(document)
    assert type(revived) is type(layer)
    assert json.dumps(revived.get_config()) == plain


def check_layer(make, *inputs, output_shape, tmp_path, idle=(), output_dtype=None, **call):
    """All checks of one layer.

    Args:
        make: (**keywords) -> the layer; called with `dtype` and `name`.
        inputs: NumPy arrays (or dicts of them), the positional arguments of the call.
        output_shape: expected shape of the output (or a dict of shapes), batch included.
        tmp_path: where to save.
        idle: parts of the paths of trainable weights that a step on these inputs leaves alone.
        output_dtype: of every output under every policy; by default the policy's.
        call: further arguments of the call that are no tensors.
    """
    layer = make(name="checked")
    check_config(layer)
    outputs, model = call_and_wrap(layer, inputs, call)
    assert keras.tree.map_structure(lambda x: tuple(x.shape), outputs) == output_shape
    expected = keras.tree.map_structure(lambda x: (None, *x.shape[1:]), outputs)
    assert symbolic_shape(model.output) == expected
    seed_weights(layer)
    outputs = keras.tree.map_structure(to_numpy, layer(*inputs, **call, training=False))
    check_saving(model, inputs, outputs, tmp_path)
    for policy in PRECISIONS:
        check_precision(make, policy, layer, inputs, call, outputs, output_dtype)
    check_training_step(layer, model, inputs, outputs, idle)


def call_and_wrap(layer, inputs, call):
    """The eager output, and a functional model of the layer."""
    outputs = layer(*inputs, **call)
    tensors = symbolic(inputs)
    model = keras.Model(keras.tree.flatten(tensors), layer(*tensors, **call))
    return outputs, model


def check_saving(model, inputs, outputs, tmp_path):
    """The `.keras` file and the weights file both give the same outputs back, exactly."""
    flat = keras.tree.flatten(inputs)
    model.save(tmp_path / "model.keras")
    revived = keras.saving.load_model(tmp_path / "model.keras")
    assert_same(revived(flat, training=False), outputs)
    model.save_weights(tmp_path / "model.weights.h5")
    other = keras.models.clone_model(model)
    seed_weights(other, seed=1)
    other.load_weights(tmp_path / "model.weights.h5")
    assert_same(other(flat, training=False), outputs)


def assert_same(found, expected):
    keras.tree.assert_same_structure(found, expected)
    for a, b in zip(keras.tree.flatten(found), keras.tree.flatten(expected), strict=True):
        np.testing.assert_allclose(to_numpy(a), b, rtol=1e-5, atol=1e-5)


def check_precision(make, policy, layer, inputs, call, outputs, output_dtype):
    """With a mixed policy: weights float32, outputs of the low or the given type, finite and near float32's."""
    dtype, tolerance = PRECISIONS[policy]
    low = make(dtype=policy, name="low")
    low(*inputs, **call)
    for to, source in zip(low.weights, layer.weights, strict=True):
        if "seed" not in source.path:
            to.assign(source.value)
    found = low(*inputs, **call, training=False)
    for x, y in zip(keras.tree.flatten(found), keras.tree.flatten(outputs), strict=True):
        assert keras.backend.standardize_dtype(x.dtype) == (output_dtype or dtype)
        x = to_numpy(x)
        assert np.isfinite(x).all()
        assert np.abs(x - y).max() < tolerance * y.std()
    for weight in low.trainable_weights:
        assert keras.backend.standardize_dtype(weight.dtype) == "float32"


def check_training_step(layer, model, inputs, outputs, idle):
    """One optimiser step moves every trainable weight (but the idle ones), to finite values."""
    rng = np.random.default_rng(2)
    targets = keras.tree.map_structure(lambda y: rng.normal(size=y.shape).astype("float32"), outputs)
    model.compile("adam", loss="mse", run_eagerly=keras.backend.backend() != "jax")  # JAX compiles op by op otherwise
    before = values_of(layer.trainable_weights)
    logs = model.train_on_batch(keras.tree.flatten(inputs), keras.tree.flatten(targets), return_dict=True)
    assert np.isfinite(logs["loss"])
    moved = set()
    for weight, old in zip(layer.trainable_weights, before, strict=True):
        new = to_numpy(weight.value)
        assert np.isfinite(new).all(), weight.path
        if not np.array_equal(old, new):
            moved.add(weight.path)
    resting = {w.path for w in layer.trainable_weights} - moved
    assert resting == {w.path for w in layer.trainable_weights if any(part in w.path for part in idle)}


def reads(function, x, axis, atol=1e-6) -> np.ndarray:
    """(outputs, inputs) bool: which output positions along axis 1 change with which input positions along `axis`."""
    base = to_numpy(function(x))
    rows = []
    for i in range(x.shape[axis]):
        changed = np.array(x)
        where = [slice(None)] * x.ndim
        where[axis] = i
        changed[tuple(where)] += 1.0
        difference = np.abs(to_numpy(function(changed)) - base)
        rows.append(difference.max(axis=tuple(a for a in range(base.ndim) if a != 1)) > atol)
    return np.array(rows).T
