"""The architecture against the released network: randomised weights in its layout, and its outputs."""

import numpy as np
import pytest
from harness import to_numpy

from mpm_keras.models import load_preset, save_preset
from mpm_keras.models.released import network_from_released
from mpm_keras.models.state_dicts import read_state_dict

pytestmark = pytest.mark.shared
TOLERANCE = 1e-5  # its float32 noise is 2.2e-6


@pytest.fixture
def released(shared_data, tmp_path):
    """file -> (its network, written to a preset and read again, and its reference arrays)."""
    pytest.importorskip("torch", reason="the files are PyTorch's")

    def read(name):
        path = shared_data / "parity" / f"{name}.module.pth"
        save_preset(network_from_released(read_state_dict(path), path), tmp_path / name)
        with np.load(shared_data / "parity" / f"{name}.npz") as reference:
            return load_preset(tmp_path / name), {key: reference[key] for key in reference.files}

    return read


def test_lifter_is_the_released_network(released):
    network, reference = released("stage2_f27_l4_j17")
    predicted = network.predict_on_batch({"pose_2d": reference["input_2d_BfJ2"]})
    for name, key in (("center", "out_single"), ("sequence", "out_seq")):
        expected = reference[key][..., 0].transpose(0, 2, 3, 1)
        np.testing.assert_allclose(predicted[name], expected, rtol=0, atol=TOLERANCE)


def test_refine_is_the_released_module(released):
    network, reference = released("refine_j17")
    refined = network({"center": reference["x"], "back_projected": reference["x_1"]}, training=False)["center"]
    np.testing.assert_allclose(to_numpy(refined), reference["out"], rtol=0, atol=TOLERANCE)
