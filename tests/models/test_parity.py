"""The architecture against the released network: randomised weights in its layout, and its outputs."""

import numpy as np
import pytest
from harness import to_numpy

from mpm_keras.layers import RefineMLP
from mpm_keras.models import MPMLifter

pytestmark = pytest.mark.shared
TOLERANCE = 1e-5  # its float32 noise is 2.2e-6

# The released LayerNorm divides by the unbiased deviation of 256 channels.
UNBIASED = np.sqrt(255 / 256)


def tensors(path):
    """A state dict without the `module.` prefix, as NumPy arrays."""
    torch = pytest.importorskip("torch", reason="the files are PyTorch's")
    return {k.removeprefix("module."): v.numpy() for k, v in torch.load(path, weights_only=True).items()}


def set_dense(layer, state, key):
    weight = state[key + ".weight"]
    layer.kernel.assign(weight.reshape(weight.shape[:2]).T)
    layer.bias.assign(state[key + ".bias"])


def set_batch_norm(layer, state, key):
    for variable, name in (
        (layer.gamma, "weight"),
        (layer.beta, "bias"),
        (layer.moving_mean, "running_mean"),
        (layer.moving_variance, "running_var"),
    ):
        variable.assign(state[f"{key}.{name}"])


def set_layer_norm(layer, state, key):
    layer.gamma.assign(UNBIASED * state[key + ".a_2"])
    layer.beta.assign(state[key + ".b_2"])


def set_block(block, state, key):
    linears = [f"{key}.self_attn.linears.{i}" for i in range(4)]
    attention = block.attention
    attention.query_key_value.kernel.assign(np.concatenate([state[k + ".weight"].T for k in linears[:3]], axis=1))
    attention.query_key_value.bias.assign(np.concatenate([state[k + ".bias"] for k in linears[:3]]))
    set_dense(attention.output_dense, state, linears[3])
    set_layer_norm(block.norm_1, state, key + ".sublayer.0.norm")
    set_layer_norm(block.norm_2, state, key + ".sublayer.1.norm")
    set_dense(block.expand, state, key + ".feed_forward.w_1")
    weight = state[key + ".feed_forward.w_2.weight"]
    block.contract.kernel.assign(weight.T if weight.ndim == 2 else weight.transpose(2, 1, 0))
    block.contract.bias.assign(state[key + ".feed_forward.w_2.bias"])


def set_lifter(network, state):
    backbone, spatial = network.backbone, network.backbone.spatial
    set_dense(backbone.encoders["2d"].dense, state, "encoder2d.fc_1")
    set_batch_norm(backbone.encoders["2d"].norm, state, "encoder2d.bn_1")
    for i, block in enumerate((spatial.block_1, spatial.block_2), start=1):
        set_dense(block.dense, state, f"shared_layers_spatial.layers.0.w{i}")
        set_batch_norm(block.norm, state, f"shared_layers_spatial.layers.0.batch_norm{i}")
    set_dense(spatial.project, state, "shared_layers_spatial.fc_2")
    backbone.positions.positions.assign(state["shared_layers_temporal.pos_embedding"][0])
    for i, block in enumerate(backbone.blocks):
        set_block(block, state, f"shared_layers_temporal.model.layers.{i}")
    for i, block in enumerate(network.decoder.blocks):
        positions = network.decoder.positions[i].positions
        positions.assign(state[f"Transformer_reduce.model.pos_embedding_{i + 1}"][0, : positions.shape[0]])
        set_block(block, state, f"Transformer_reduce.model.layers.{i}")
    for head, key in ((network.decoder.head, "fcn"), (network.sequence_head, "fcn_1")):
        set_batch_norm(head.norm, state, key + ".0")
        set_dense(head.dense, state, key + ".1")


def test_lifter_is_the_released_network(shared_data):
    network = MPMLifter(frames=27)
    set_lifter(network, tensors(shared_data / "parity" / "stage2_f27_l4_j17.module.pth"))
    with np.load(shared_data / "parity" / "stage2_f27_l4_j17.npz") as reference:
        predicted = network({"pose_2d": reference["input_2d_BfJ2"]}, training=False)
        for name, key in (("center", "out_single"), ("sequence", "out_seq")):
            expected = reference[key][..., 0].transpose(0, 2, 3, 1)
            np.testing.assert_allclose(to_numpy(predicted[name]), expected, rtol=0, atol=TOLERANCE)


def test_refine_is_the_released_module(shared_data):
    layer, state = RefineMLP(17), tensors(shared_data / "parity" / "refine_j17.module.pth")
    layer.build()
    set_dense(layer.expand, state, "post_refine.0")
    set_dense(layer.weigh, state, "post_refine.3")
    with np.load(shared_data / "parity" / "refine_j17.npz") as reference:
        refined = layer(reference["x"][:, 0], reference["x_1"][:, 0], training=False)
        np.testing.assert_allclose(to_numpy(refined), reference["out"][:, 0], rtol=0, atol=TOLERANCE)
