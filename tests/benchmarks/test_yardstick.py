"""The yardstick is the same network: as many parameters, and the same output from the same weights."""

import math

import numpy as np
import pytest
from harness import to_numpy

from mpm_keras.models import MPMLifter, MPMPretrainer

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.once
yardstick = pytest.importorskip("yardstick")


def randomize(network):
    """Weights about which nothing is special, of a size that keeps outputs near 1."""
    rng = np.random.default_rng(0)
    for variable in network.weights:
        if "seed" in variable.path:
            continue
        kind = variable.path.split("/")[-1]
        center = 1.0 if kind in ("gamma", "moving_variance") else 0.0
        scale = math.prod(variable.shape[:-1]) ** -0.5 if kind == "kernel" else 0.1
        variable.assign(center + scale * np.clip(rng.normal(size=variable.shape), -3, 3))


def put(parameter, value):
    value = to_numpy(value)
    with torch.no_grad():
        parameter.copy_(torch.from_numpy(np.array(value)).reshape(parameter.shape))


def copy_dense(module, dense):
    put(module.weight, to_numpy(dense.kernel.value).T)
    put(module.bias, dense.bias.value)


def copy_norm(module, norm):
    put(module.weight, norm.gamma.value)
    put(module.bias, norm.beta.value)
    if hasattr(norm, "moving_mean"):
        put(module.running_mean, norm.moving_mean.value)
        put(module.running_var, norm.moving_variance.value)


def copy_embed(module, block):
    copy_dense(module[0], block.dense)
    copy_norm(module[1], block.norm)


def copy_head(module, head):
    copy_norm(module[0], head.norm)
    copy_dense(module[1], head.dense)


def copy_block(module, block):
    copy_norm(module.norm_1, block.norm_1)
    copy_norm(module.norm_2, block.norm_2)
    attention, qkv = module.attention, block.attention.query_key_value
    kernels = np.split(to_numpy(qkv.kernel.value), 3, axis=1)
    biases = np.split(to_numpy(qkv.bias.value), 3)
    for linear, kernel, bias in zip((attention.query, attention.key, attention.value), kernels, biases, strict=True):
        put(linear.weight, kernel.T)
        put(linear.bias, bias)
    copy_dense(attention.output, block.attention.output_dense)
    copy_dense(module.feed_forward.expand, block.expand)
    put(module.feed_forward.contract.weight, to_numpy(block.contract.kernel.value).T)
    put(module.feed_forward.contract.bias, block.contract.bias.value)


def copy_shared(module, backbone):
    copy_embed(module.spatial.block_1, backbone.spatial.block_1)
    copy_embed(module.spatial.block_2, backbone.spatial.block_2)
    copy_dense(module.spatial.project, backbone.spatial.project)
    put(module.positions, backbone.positions.positions.value)
    for layer, block in zip(module.layers, backbone.blocks, strict=True):
        copy_block(layer, block)


def lifters(frames):
    ours, theirs = MPMLifter(frames=frames, layers=2), yardstick.Lifter(frames, layers=2).eval()
    randomize(ours)
    copy_embed(theirs.encoder, ours.backbone.encoders["2d"])
    copy_shared(theirs, ours.backbone)
    for layer, block in zip(theirs.strided, ours.decoder.blocks, strict=True):
        copy_block(layer, block)
    for table, positions in zip(theirs.strided_positions, ours.decoder.positions, strict=True):
        put(table, positions.positions.value)
    copy_head(theirs.center, ours.decoder.head)
    copy_head(theirs.sequence, ours.sequence_head)
    put(theirs.joint_token, ours.joint_token.token.value)
    return ours, theirs


def pretrainers(frames, hidden_frames):
    ours = MPMPretrainer(frames=frames, hidden_frames=hidden_frames, layers=2)
    theirs = yardstick.Pretrainer(frames, layers=2).eval()
    randomize(ours)
    copy_shared(theirs, ours.backbone)
    copy_norm(theirs.norm, ours.norm)
    put(theirs.frame_token, ours.frame_token.token.value)
    put(theirs.decoder_positions, ours.positions.positions.value)
    for m in ("2d", "3d"):
        copy_embed(theirs.encoders[m], ours.backbone.encoders[m])
        put(theirs.joint_tokens[m], ours.joint_tokens[m].token.value)
        copy_block(theirs.decoders[m], ours.decoders[m].blocks[0])
        copy_head(theirs.heads[m], ours.decoders[m].head)
    return ours, theirs


def count(ours, theirs):
    mine = sum(math.prod(v.shape) for v in ours.trainable_variables)
    return mine, sum(parameter.numel() for parameter in theirs.parameters())


def test_lifter():
    ours, theirs = lifters(27)
    assert len(set(count(ours, theirs))) == 1
    rng = np.random.default_rng(0)
    pose, hidden = rng.normal(size=(2, 27, 17, 2)).astype(np.float32), rng.random((2, 27, 17)) < 0.2
    expected = ours.predict_on_batch({"pose_2d": pose, "hidden": hidden})
    with torch.no_grad():
        center, sequence = theirs(torch.from_numpy(pose), torch.from_numpy(hidden))
    np.testing.assert_allclose(center.numpy(), expected["center"], atol=1e-4)
    np.testing.assert_allclose(sequence.numpy(), expected["sequence"], atol=1e-4)


def test_pretrainer():
    frames, hidden_frames = 9, 5
    ours, theirs = pretrainers(frames, hidden_frames)
    assert len(set(count(ours, theirs))) == 1
    np.random.seed(0)
    joints_hidden, frames_hidden = yardstick.draw_mask(frames, 17)
    assert (joints_hidden.sum(1) == 5).all() and int(frames_hidden.sum()) == hidden_frames
    masks = {
        "joints": np.repeat(joints_hidden.numpy()[None], 2, 0),
        "frames": np.repeat(frames_hidden.numpy()[None], 2, 0),
    }
    rng = np.random.default_rng(1)
    for m, dims in (("2d", 2), ("3d", 3)):
        pose = rng.normal(size=(2, frames, 17, dims)).astype(np.float32)
        expected = ours.predict_on_batch({f"pose_{m}": pose, f"masks_{m}": masks})[f"pose_{m}"]
        with torch.no_grad():
            found = theirs(torch.from_numpy(pose), joints_hidden, frames_hidden, m)
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-4)


def test_windows_are_padded_and_mirrored():
    pose = np.arange(5, dtype=np.float32)[:, None, None] * np.ones((1, 17, 2), np.float32)
    pose[:, 4, 0] += 100  # a joint of the left side
    data = yardstick.Windows([(pose, pose)], frames=3)
    assert len(data) == 10
    plain, mirrored = data[0][0], data[1][0]
    assert plain[:, 0, 0].tolist() == [0, 0, 1]  # the first frame repeats
    assert mirrored[:, 1, 0].tolist() == [-100, -100, -101] and mirrored[:, 1, 1].tolist() == [0, 0, 1]


def test_training_moves_the_weights_towards_the_target():
    torch.manual_seed(0)
    training = yardstick.Training(yardstick.Lifter(9, layers=1, width=32, channels=32), learning_rate=1e-3)
    batch = (torch.randn(4, 9, 17, 2), 0.1 * torch.randn(4, 9, 17, 3))
    losses = [training.step(batch) for _ in range(20)]
    assert losses[-1] < 0.8 * losses[0]
