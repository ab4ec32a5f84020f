import numpy as np
import pytest
from harness import check_layer, reads, seed_weights, to_numpy

from mpm_keras.models.backbone import MPMBackbone

RNG = np.random.default_rng(0)
POSE = {"2d": RNG.normal(size=(2, 6, 4, 2)).astype("float32"), "3d": RNG.normal(size=(2, 6, 4, 3)).astype("float32")}
VISIBLE = np.array([[0, 3, 5], [1, 2, 4]], "int32")
SMALL = dict(
    frames=6, joints=4, layers=1, width=8, encoder_width=12, heads=2, feed_forward=8, dropout=0.0, encoder_dropout=0.0
)


@pytest.mark.parametrize("modality", ["2d", "3d"])
def test_backbone(modality, tmp_path):
    idle = ["encoder_3d" if modality == "2d" else "encoder_2d"]  # only one modality goes through at a time
    check_layer(
        lambda **k: MPMBackbone(**SMALL, **k), POSE[modality],
        output_shape=(2, 6, 8), tmp_path=tmp_path, idle=idle, modality=modality,
    )  # fmt: skip


def test_one_modality_alone_has_one_encoder():
    backbone = MPMBackbone(**SMALL, modalities=("2d",))
    assert list(backbone.encoders) == ["2d"]
    with pytest.raises(KeyError):
        backbone(POSE["3d"], modality="3d")


def test_hidden_frames_are_removed_and_visible_ones_keep_their_position():
    backbone = MPMBackbone(**SMALL)
    backbone.build()
    seed_weights(backbone)
    found = to_numpy(backbone(POSE["2d"], visible=VISIBLE, training=False))
    assert found.shape == (2, 3, 8)
    # By hand: embed all frames with their positions, choose, then the transformer.
    x = backbone.spatial(backbone.encoders["2d"](POSE["2d"], training=False), training=False)
    x = to_numpy(backbone.positions(x))
    chosen = np.take_along_axis(x, VISIBLE[..., None], axis=1)
    np.testing.assert_allclose(found, to_numpy(backbone.blocks[0](chosen, training=False)), atol=1e-5)
    moved = reads(lambda v: backbone(v, visible=VISIBLE[:1], training=False), POSE["2d"][:1], axis=1)
    assert moved[:, VISIBLE[0]].all()  # attention mixes all visible frames
    assert not np.delete(moved, VISIBLE[0], axis=1).any()  # and knows nothing of the others


def test_all_frames_in_order_is_no_mask():
    backbone = MPMBackbone(**SMALL)
    everything = np.tile(np.arange(6, dtype="int32"), (2, 1))
    np.testing.assert_allclose(
        to_numpy(backbone(POSE["2d"], visible=everything)), to_numpy(backbone(POSE["2d"])), atol=1e-6
    )


@pytest.mark.parametrize(
    ("pose", "modality", "message"),
    [
        (POSE["2d"][:, :5], "2d", r"expected 2d poses of shape \(batch, 6, 4, 2\), found \(2, 5, 4, 2\)"),
        (POSE["2d"][:, :, :3], "2d", r"found \(2, 6, 3, 2\)"),
        (POSE["2d"], "3d", r"expected 3d poses of shape \(batch, 6, 4, 3\), found \(2, 6, 4, 2\)"),
        (POSE["2d"], "4d", "modality must be one of 2d, 3d, found '4d'"),
    ],
)
def test_wrong_poses_are_refused(pose, modality, message):
    with pytest.raises(ValueError, match=message):
        MPMBackbone(**SMALL)(pose, modality=modality)


@pytest.mark.parametrize("change", [{"frames": 0}, {"joints": 0}, {"layers": 0}, {"modalities": ("2d", "rgb")}])
def test_impossible_settings_are_refused(change):
    with pytest.raises(ValueError, match=r"must be"):
        MPMBackbone(**{**SMALL, **change})
