"""Released state dicts of every kind: random tensors in their layout, against the network in NumPy."""

import keras
import numpy as np
import pytest
from harness import to_numpy
from released_network import Released, random_state

from mpm_keras.errors import InputError
from mpm_keras.models import MPMLifter, MPMPretrainer, MPMRefiner, load_preset, save_preset
from mpm_keras.models.presets import named_weights
from mpm_keras.models.released import network_from_released, tensors_of

TOLERANCE = 1e-5


def poses(dims, frames, joints, batch=3, seed=1):
    values = np.random.default_rng(seed).normal(size=(batch, frames, joints, dims)).astype(np.float32)
    values[1] = 0  # a constant clip: equal features in every frame but for the positions
    return values


# Tensors and parameters that the released networks have, batch norm statistics not counted.
FIGURES = [
    ("stage2", 27, 4, 17, 157, 5209702),
    ("stage2", 243, 4, 16, 189, 7006816),
    ("stage1", 243, 4, 17, 153, 4017498),
    ("stage1", 81, 4, 16, 153, 3930709),
    ("completion", 243, 4, 17, 185, 5071706),
    ("refine", 1, 0, 17, 4, 140322),
]


@pytest.mark.parametrize("kind, frames, layers, joints, tensors, parameters", FIGURES)
def test_the_layout_of_these_tests_is_the_released_one(kind, frames, layers, joints, tensors, parameters):
    widths = dict(width=256, encoder_width=1024 if kind == "refine" else 512, feed_forward=512)
    state = random_state(kind, frames=frames, joints=joints, layers=layers, **widths)
    trained = [v.size for k, v in state.items() if "running" not in k and "num_batches" not in k]
    assert (len(state), sum(trained)) == (tensors, parameters)


@pytest.mark.parametrize(
    "size",
    [
        dict(frames=9, joints=16, layers=5),
        dict(frames=27, joints=17, layers=3),
        dict(frames=81, joints=16, layers=2),
        dict(frames=351, joints=17, layers=1),
    ],
)
def test_stage_2(size, tmp_path):
    state = random_state("stage2", **size)
    network = network_from_released({f"module.{key}": value for key, value in state.items()})
    assert isinstance(network, MPMLifter) and network.backbone.num_layers == size["layers"]
    save_preset(network, tmp_path)
    pose = poses(2, size["frames"], size["joints"])
    center, sequence = Released(state).stage_2(pose)
    predicted = load_preset(tmp_path).predict_on_batch({"pose_2d": pose})  # compiled: faster than op by op on JAX
    np.testing.assert_allclose(predicted["center"], center, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(predicted["sequence"], sequence, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(
    "source, target, joints, frames",
    [("2d", "2d", 16, 9), ("2d", "3d", 16, 9), ("3d", "3d", 17, 27)],
)
def test_stage_1(source, target, joints, frames):
    state = random_state("stage1", frames=frames, joints=joints)
    network = network_from_released(state)
    assert isinstance(network, MPMPretrainer) and network.hidden_frames == int(frames * 0.6)
    pose = poses(int(source[0]), frames, joints)
    rng = np.random.default_rng(2)
    hidden_frames = rng.permutation(frames) < network.hidden_frames
    hidden_joints = np.broadcast_to(rng.random((frames, joints)) < 0.3, pose.shape[:3])
    masks = {"joints": hidden_joints, "frames": np.broadcast_to(hidden_frames, pose.shape[:2])}
    task = source if source == target else "lift"
    found = network.reconstruct({f"pose_{source}": pose, f"masks_{source}": masks}, task, training=False)
    expected = Released(state).stage_1(pose, hidden_joints, hidden_frames, int(target[0]))
    np.testing.assert_allclose(to_numpy(found), expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("dims", [2, 3])
def test_completion(dims):
    """Two blocks a decoder, no frame hidden, and joints hidden per sample."""
    state = random_state("completion", frames=9, joints=17)
    network = network_from_released(state)
    assert (network.hidden_frames, network.decoder_blocks) == (0, 2)
    pose = poses(dims, 9, 17)
    hidden = np.repeat((np.random.default_rng(3).random((3, 17)) < 0.3)[:, None], 9, axis=1)
    batch = {f"pose_{dims}d": pose, f"masks_{dims}d": {"joints": hidden, "frames": np.zeros((3, 9), bool)}}
    found = network.predict_on_batch(batch)[f"pose_{dims}d"]
    expected = Released(state).stage_1(pose, hidden, np.zeros(9, bool), dims)
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)


def test_refine():
    state = random_state("refine", joints=16)
    network = network_from_released(state)
    assert isinstance(network, MPMRefiner)
    x, x_1 = poses(3, 1, 16), poses(3, 1, 16, seed=4)
    found = network({"center": x, "back_projected": x_1}, training=False)["center"]
    np.testing.assert_allclose(to_numpy(found), Released(state).refine(x, x_1), rtol=0, atol=TOLERANCE)


def test_p_stmo_names():
    """P-STMO's stage II is the same network; its names say `encoder` for both of our first parts."""
    state = random_state("stage2")
    renamed = {
        key.replace("encoder2d.", "encoder.")
        .replace("shared_layers_spatial.", "encoder.")
        .replace("shared_layers_temporal.", "Transformer."): value
        for key, value in state.items()
    }
    assert renamed.keys() != state.keys()
    ours, theirs = (network_from_released(s).weights for s in (state, renamed))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(to_numpy(a.value), to_numpy(b.value))


def test_training_gradients(tmp_path):
    """The derivative along a random direction of all tensors: backpropagation here, differences there."""
    if keras.backend.backend() != "torch":
        pytest.skip("gradients are taken by PyTorch; the other backends compute the same network")
    state = random_state("stage2", frames=9, joints=16, layers=2)
    save_preset(network_from_released(state), tmp_path)
    network = load_preset(tmp_path, dropout=0.0, encoder_dropout=0.0)
    pose = poses(2, 9, 16, batch=6)
    outputs = network({"pose_2d": pose}, training=True)
    center, sequence = outputs["center"], outputs["sequence"]
    ((center**2).mean() + (sequence * sequence.flip(1)).mean() + sequence[..., 0].mean()).backward()

    rng = np.random.default_rng(5)
    direction = {key: rng.normal(0, 1, value.shape) for key, value in state.items()}
    found = 0.0
    for path, weight in named_weights(network).items():
        keys, convert = tensors_of(path, network)
        if weight.trainable and keys:
            found += float((to_numpy(weight.value.grad) * convert(*(direction[key] for key in keys))).sum())

    def value(step):
        moved = {key: state[key].astype(np.float64) + step * direction[key] for key in state}
        center, sequence = Released(moved, training=True).stage_2(pose)
        return (center**2).mean() + (sequence * sequence[:, ::-1]).mean() + sequence[..., 0].mean()

    expected = (value(1e-5) - value(-1e-5)) / 2e-5
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_small_deviations():
    """Tokens whose channels nearly agree: where the epsilon of the layer norm begins to matter."""
    state = random_state("stage2")
    for key in ("shared_layers_temporal.pos_embedding", "shared_layers_spatial.fc_2.weight"):
        state[key] = state[key] * np.float32(0.02)
    state["shared_layers_spatial.fc_2.bias"][:] = 0.1
    pose = poses(2, 9, 16)
    found = network_from_released(state).predict_on_batch({"pose_2d": pose})["center"]
    expected, _ = Released(state).stage_2(pose)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)  # 1e-6 over the deviations of 0.01
    assert np.abs(expected).max() < 3


STAGE_2 = random_state("stage2", layers=1)
TEMPORAL = "shared_layers_temporal.model.layers"


def without(*keys):
    return {key: value for key, value in STAGE_2.items() if key not in keys}


@pytest.mark.parametrize(
    "state, tensor",
    [
        (without("fcn.1.bias"), "fcn.1.bias"),
        (without("encoder2d.bn_1.running_var"), "encoder2d.bn_1.running_var"),
        (without("Transformer_reduce.model.pos_embedding_2"), "Transformer_reduce.model.pos_embedding_2"),
        (without(f"{TEMPORAL}.0.self_attn.linears.0.weight"), f"{TEMPORAL}.0.self_attn.linears.0.weight"),
        ({**STAGE_2, "extra.weight": np.zeros(3, np.float32)}, "extra.weight"),
        ({**STAGE_2, "encoder3d.fc_1.bias": np.zeros(3, np.float32)}, "encoder3d.fc_1.bias"),
        ({**STAGE_2, "fcn.1.bias": np.zeros(3, np.float32)}, "fcn.1.bias"),
        ({**STAGE_2, "fcn.1.bias": np.zeros(48, np.int64)}, "fcn.1.bias"),
        ({**STAGE_2, "fcn.1.bias": np.full(48, np.nan, np.float32)}, "fcn.1.bias"),
        ({**STAGE_2, "fcn.1.weight": np.zeros((48, 16, 3), np.float32)}, "fcn.1.weight"),
        ({**STAGE_2, "fcn.1.weight": np.float32(1)}, "fcn.1.weight"),
        ({**STAGE_2, "encoder2d.fc_1.weight": np.zeros((10**6, 2, 1), np.float32)}, "w1.weight"),
        (
            {**STAGE_2, "shared_layers_temporal.pos_embedding": np.zeros((1, 34, 16), np.float32)},
            "shared_layers_temporal.pos_embedding",
        ),
        (
            {**STAGE_2, "shared_layers_temporal.pos_embedding": np.zeros((1, 81, 16), np.float32)},
            "Transformer_reduce.model.layers",
        ),
        ({k: v for k, v in STAGE_2.items() if not k.startswith(("Transformer_reduce", "fcn"))}, "decoder2d"),
        ({"weight": np.zeros(3, np.float32)}, "encoder2d"),
        ({**STAGE_2, "module.fcn.1.bias": STAGE_2["fcn.1.bias"]}, "fcn.1.bias"),
        ({**STAGE_2, "epoch": 3}, "epoch"),
    ],
)
def test_what_does_not_fit_is_named(state, tensor):
    with pytest.raises(InputError) as raised:
        network_from_released(state, "given.pth")
    assert "given.pth" in str(raised.value) and tensor in str(raised.value) and "\n" not in str(raised.value)
