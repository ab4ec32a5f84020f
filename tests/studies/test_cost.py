"""Operations and parameters: by hand, against the paper and the released code, and against the backend's count."""

import keras
import numpy as np
import pytest

from mpm_keras.layers import PoseEncoder, StridedDecoder, TransformerBlock
from mpm_keras.models.lifter import MPMLifter
from mpm_keras.models.pretrainer import MPMPretrainer
from mpm_keras.studies.cost import cost, measure
from mpm_keras.studies.cost_table import FLOPS, PARAMETERS, cost_document
from mpm_keras.studies.tables import write_cost

SMALL = dict(frames=9, joints=5, layers=2, width=16, encoder_width=24, heads=2, feed_forward=20)


def built(layer, *shape):
    layer.build((None, *shape))
    return layer


@pytest.mark.once
def test_an_encoder_by_hand():
    found = cost([built(PoseEncoder(24), 9, 5, 2)], 9)
    assert found["parameters"] == found["parameters_paper"] == 10 * 24 + 24 + 2 * 24
    assert found["flops"] == 2 * 9 * 10 * 24
    assert found["flops_paper"] == found["flops"] + 8 * 9 * 24


@pytest.mark.once
def test_a_transformer_block_by_hand():
    found = cost([built(TransformerBlock(16, 2, 20), 9, 16)], 9)
    products = 9 * (16 * 48 + 16 * 16 + 16 * 20 + 20 * 16)
    assert found["flops_paper"] == 2 * products
    assert found["flops"] == 2 * (products + 2 * 9 * 9 * 16)
    weights = 16 * 48 + 48 + 16 * 16 + 16 + 16 * 20 + 20 + 20 * 16 + 16
    assert (found["parameters_paper"], found["parameters"]) == (weights, weights + 4 * 16)


@pytest.mark.once
def test_strides_shrink_what_follows():
    whole = cost([built(StridedDecoder(5, (3, 3), heads=2, feed_forward=20), 9, 16)], 9)
    per_frame = 2 * (16 * 48 + 16 * 16 + 16 * 20)
    attention = 4 * 16
    convolution = 2 * 3 * 20 * 16
    expected = 9 * per_frame + 81 * attention + 3 * convolution  # nine frames in, three out
    expected += 3 * per_frame + 9 * attention + 1 * convolution
    assert whole["flops"] == expected + 2 * 16 * 15
    with pytest.raises(TypeError, match="the operations of Dropout are not known"):
        cost([keras.layers.Dropout(0.1)], 9)


@pytest.mark.once
def test_the_papers_table_where_paper_and_released_code_agree(tmp_path):
    """Table 5 at 243 frames and 16 joints, in the digits that it prints; stage II as the released code."""
    document = cost_document({"machine": "any"})
    thousands, millions = (
        {row["module"]: row[f"{what}, counted alike"] for row in document["rows"]} for what in (PARAMETERS, FLOPS)
    )
    assert (round(thousands["2D encoder"], 1), round(thousands["3D encoder"], 1)) == (17.9, 26.1)
    assert int(millions["2D encoder"] * 10) / 10 == 8.9 and round(millions["3D encoder"], 1) == 12.9
    assert (round(millions["2D decoder"], 1), round(millions["3D decoder (stage I)"], 1)) == (259.3, 261.3)
    lifting = "lifting: stage II in all (Table D)"
    assert (thousands[lifting], round(millions[lifting], 1)) == (6747.744, 1735.8)
    differences = {row["module"]: row["difference"] for row in document["rows"]}
    assert "those of five blocks (3289.1 K)" in differences["shared layers"]  # the paper's, as measured
    assert "3941.1 K without" in differences["3D decoder (stage II)"]
    write_cost(document, tmp_path / "cost")
    text = (tmp_path / "cost.md").read_text()
    assert "| 3D encoder | 26.1 | 26.1 | 26.1 | 12.9 | 12.9 | 11.9 |  |" in text and "- machine: any" in text
    assert (tmp_path / "cost.csv").exists() and (tmp_path / "cost.png").exists()


def backend_flops(network, batch) -> float:
    """What the backend itself counts for one call. JAX adds every sum, exponential and comparison."""
    if keras.backend.backend() == "torch":
        import torch
        from torch.utils.flop_counter import FlopCounterMode

        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(batch, training=False)
        return counter.get_total_flops()
    import jax

    state = ([v.value for v in network.trainable_variables], [v.value for v in network.non_trainable_variables])
    compiled = jax.jit(lambda *a: network.stateless_call(*a, training=False)[0]).lower(*state, batch).compile()
    return compiled.cost_analysis()["flops"]


@pytest.mark.skipif(keras.backend.backend() == "tensorflow", reason="TensorFlow counts no operations of its own")
@pytest.mark.parametrize("stage", [1, 2])
def test_agrees_with_the_backends_own_count(stage):
    found = measure(hidden_frames=4, **SMALL)
    rng = np.random.default_rng(0)
    batch = {"pose_2d": rng.normal(size=(1, 9, 5, 2)).astype("float32")}
    if stage == 1:
        network, expected = MPMPretrainer(hidden_frames=4, **SMALL), found["stage_1_2d"]["flops"]
        frames = np.zeros((1, 9), bool)
        frames[0, 2:6] = True
        batch["masks_2d"] = {"joints": np.zeros((1, 9, 5), bool), "frames": frames}
        expected += 2 * 9 * 5 * 16  # how this code puts v^T back: a product with a table of zeros and ones
    else:
        network, expected = MPMLifter(**SMALL), found["stage_2"]["flops"]
    batch = keras.tree.map_structure(keras.ops.convert_to_tensor, batch)
    counted = backend_flops(network, batch)
    if keras.backend.backend() == "torch":
        assert counted == expected
    else:
        assert expected < counted < 1.25 * expected  # elementwise work is a larger part of a small network


@pytest.mark.once
def test_every_trainable_weight_is_counted():
    network = MPMLifter(**SMALL)
    used = sum(int(np.prod(v.shape)) for v in network.trainable_variables)
    token = 2  # v^S, which only lifting with hidden joints reads
    assert measure(**SMALL)["stage_2"]["parameters"] == used - token
