import keras
import numpy as np
import pytest
from harness import check_config, check_layer, seed_weights, to_numpy

from mpm_keras.masking import PoseMasking
from mpm_keras.models.pretrainer import MPMPretrainer

RNG = np.random.default_rng(0)
SMALL = dict(
    frames=6, joints=4, hidden_frames=3, layers=1, width=8, encoder_width=12, heads=2, feed_forward=8, dropout=0.0
)


def make_batch(modalities=("2d", "3d"), size=3):
    rng, batch = np.random.default_rng(1), {}
    for m in modalities:
        batch[f"pose_{m}"] = rng.normal(size=(size, 6, 4, int(m[0]))).astype("float32")
        ranks = rng.permuted(np.tile(np.arange(6), (size, 1)), axis=1)
        batch[f"masks_{m}"] = {"joints": rng.random((size, 6, 4)) < 0.3, "frames": ranks < 3}
    return batch


def seeded(**changes):
    network = MPMPretrainer(**{**SMALL, **changes})
    seed_weights(network)
    return network


@pytest.mark.parametrize("hidden_frames", [3, 0])
def test_pretrainer(hidden_frames, tmp_path):
    batch = make_batch()
    idle = []
    if not hidden_frames:
        idle = ["frame_token/token"]  # no frame is hidden: v^T stands nowhere
        for m in ("2d", "3d"):
            batch[f"masks_{m}"]["frames"][:] = False
    check_layer(
        lambda **k: MPMPretrainer(**{**SMALL, "hidden_frames": hidden_frames}, **k), batch,
        output_shape={"pose_2d": (3, 6, 4, 2), "pose_3d": (3, 6, 4, 3)}, tmp_path=tmp_path, idle=idle,
    )  # fmt: skip


@pytest.mark.parametrize("modality", ["2d", "3d"])
def test_unpaired_batches_go_through(modality):
    network, batch = seeded(), make_batch()
    alone = network({k: v for k, v in batch.items() if modality in k}, training=False)
    assert set(alone) == {f"pose_{modality}"}
    both = to_numpy(network(batch, training=False)[f"pose_{modality}"])
    np.testing.assert_allclose(to_numpy(alone[f"pose_{modality}"]), both, atol=1e-6)


@pytest.mark.parametrize("modality", ["2d", "3d"])
def test_nothing_hidden_reaches_the_output(modality):
    """Whatever stands in hidden frames and hidden joints, even huge numbers: no output changes at all."""
    network, batch = seeded(), make_batch()
    pose, masks = batch[f"pose_{modality}"], batch[f"masks_{modality}"]
    before = to_numpy(network(batch, training=False)[f"pose_{modality}"])
    hidden = masks["joints"] | masks["frames"][..., None]
    assert 0 < hidden.mean() < 1
    changed = {**batch, f"pose_{modality}": np.where(hidden[..., None], RNG.normal(0, 1e3, pose.shape), pose)}
    changed = keras.tree.map_structure(lambda x: x if x.dtype == bool else x.astype("float32"), changed)
    np.testing.assert_array_equal(to_numpy(network(changed, training=False)[f"pose_{modality}"]), before)
    seen = {**batch, f"pose_{modality}": np.where(hidden[..., None], pose, pose + 1).astype("float32")}
    assert np.abs(to_numpy(network(seen, training=False)[f"pose_{modality}"]) - before).max() > 1e-2


def test_lift_decodes_2d_as_3d():
    network, batch = seeded(), make_batch()
    lifted = to_numpy(network.reconstruct(batch, "lift", training=False))
    features = network.encode(batch["pose_2d"], batch["masks_2d"], "2d", training=False)
    np.testing.assert_array_equal(lifted, to_numpy(network.decoders["3d"](features, training=False)))


def test_config_round_trip_of_every_setting():
    network = MPMPretrainer(
        frames=9, joints=5, hidden_frames=2, layers=2, width=12, encoder_width=10, heads=3, feed_forward=7,
        decoder_blocks=2, dropout=0.3, epsilon=1e-5, name="other",
    )  # fmt: skip
    check_config(network)
    config = network.get_config()
    assert (config["layers"], config["decoder_blocks"], config["dropout"], config["name"]) == (2, 2, 0.3, "other")
    assert len(network.backbone.blocks) == 2 and len(network.decoders["3d"].blocks) == 2


# OFFICIAL_CODE.md, part C: parameters of the released code's `MPMmask2`, for (J, f).
RELEASED = {
    (17, 243): 4017498, (17, 81): 3934554, (17, 27): 3906906,
    (16, 243): 4013653, (16, 81): 3930709, (16, 27): 3903061,
}  # fmt: skip
UNUSED_NORM = 512  # of the temporal stack and of each decoder: the released code stores, but never runs it


def trainable(layers):
    return sum(int(np.prod(v.shape)) for layer in layers for v in layer.trainable_variables)


@pytest.mark.parametrize(("joints", "frames"), RELEASED)
def test_parameters_equal_the_released_codes(joints, frames):
    network = MPMPretrainer(frames=frames, joints=joints)
    backbone, positions = network.backbone, frames * 256
    assert trainable([backbone.encoders["2d"]]) == {17: 18944, 16: 17920}[joints]
    assert trainable([backbone.encoders["3d"]]) == {17: 27648, 16: 26112}[joints]
    assert trainable([backbone.spatial]) == 658688
    assert trainable(backbone.blocks) == 4 * 527104
    temporal = {243: 2171136, 81: 2129664, 27: 2115840}[frames]
    assert trainable([backbone.positions, *backbone.blocks]) == temporal - UNUSED_NORM
    assert trainable([network.decoders["2d"]]) == {17: 536866, 16: 536352}[joints] - UNUSED_NORM
    assert trainable([network.decoders["3d"]]) == {17: 541235, 16: 540464}[joints] - UNUSED_NORM
    assert trainable([network.norm]) == 512
    assert trainable([network.positions]) == positions
    assert trainable([network.frame_token, *network.joint_tokens.values()]) == 256 + 2 + 3
    assert trainable([network]) == RELEASED[joints, frames] - 3 * UNUSED_NORM


def test_module_parameters_add_up():
    network = MPMPretrainer(**{**SMALL, "dropout": 0.1})
    counts = network.module_parameters()
    seeds = sum(int(np.prod(v.shape)) for v in network.non_trainable_variables if "seed" in v.path)
    assert counts["total"] == sum(v for k, v in counts.items() if k != "total")
    statistics = 2 * (4 * 12 + 2 * 8)  # batch norms: two encoders, two in the spatial MLP; two heads
    assert counts["total"] == trainable([network]) + statistics
    assert seeds > 0  # which are no parameters


@pytest.mark.parametrize("task", ["2d", "3d", "lift"])
def test_task_variables_are_those_with_a_gradient(task):
    """Found by perturbation, independent of any autograd: a task's output depends on its variables and no others."""
    network, batch = seeded(), make_batch()

    def run():
        return to_numpy(network.reconstruct(batch, task, training=False))

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        compiled = tf.function(lambda: network.reconstruct(batch, task, training=False))

        def run():
            return to_numpy(compiled())

    base = run()
    named = {id(v) for v in network.task_variables(task)}
    rng = np.random.default_rng(3)
    for variable in network.trainable_variables:
        old = to_numpy(variable.value)
        variable.assign(old + rng.normal(0, 1, old.shape).astype("float32"))
        changed = np.abs(run() - base).max()
        variable.assign(old)
        assert (changed > 1e-5) == (id(variable) in named), variable.path


def test_bad_batches_and_settings_are_refused():
    network = MPMPretrainer(**SMALL)
    with pytest.raises(ValueError, match="a batch needs pose_2d or pose_3d, found confidence"):
        network({"confidence": np.zeros((1, 6, 4), "float32")})
    with pytest.raises(ValueError, match=r"expected 3d poses of shape \(batch, 6, 4, 3\)"):
        network({"pose_3d": np.zeros((1, 6, 5, 3), "float32"), "masks_3d": PoseMasking(0, 0.5).draw(1, 6, 5)})
    with pytest.raises(ValueError, match=r"hidden_frames must be in 0..5, found 6"):
        MPMPretrainer(**{**SMALL, "hidden_frames": 6})
