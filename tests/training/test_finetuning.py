import keras
import numpy as np
import pytest
from harness import seed_weights, to_numpy, values_of

from mpm_keras.masking import PartMasking
from mpm_keras.models import MPMLifter, MPMPretrainer
from mpm_keras.skeletons import H36M_17
from mpm_keras.training.finetune_run import freeze
from mpm_keras.training.finetuning import CompletionTrainer, LiftTrainer

SIZE = dict(frames=9, joints=17, layers=1, width=8, encoder_width=12, heads=2, feed_forward=8, dropout=0.0)
RNG = np.random.default_rng(0)
BATCH = {
    "pose_2d": RNG.normal(size=(4, 9, 17, 2)).astype("float32"),
    "pose_3d": 0.3 * RNG.normal(size=(4, 9, 17, 3)).astype("float32"),
}
BATCH["pose_3d"][:, :, 0] = 0


class Truth(keras.Model):
    """A network that is off by the same vector at every joint but the root."""

    frames = 9

    def __init__(self, offset):
        super().__init__()
        self.offset = np.array(offset, "float32") * (np.arange(17) > 0)[:, None]

    def call(self, batch, training=None):
        pose = BATCH["pose_3d"] + self.offset
        return {"center": pose[:, 4:5], "sequence": pose}


def lift_trainer(**options):
    network = MPMLifter(**SIZE, encoder_dropout=0.0)
    seed_weights(network)
    trainer = LiftTrainer(network, **options)
    trainer.compile(keras.optimizers.AdamW(1e-2))
    return trainer


def test_loss_is_the_mean_joint_distance_of_centre_and_sequence():
    trainer = LiftTrainer(Truth([0.03, 0.0, 0.04]))
    loss, values = trainer.lift_loss(BATCH, training=False)
    assert float(loss) == pytest.approx(2 * 0.05 * 16 / 17, rel=1e-4)
    for name in ("center_mpjpe_mm", "sequence_mpjpe_mm"):
        assert float(values[name][0]) == pytest.approx(50 * 16 / 17, rel=1e-4)


def test_loss_weights():
    trainer = LiftTrainer(Truth([0.0, 0.05, 0.0]), loss_weights={"center": 3.0, "sequence": 0.0})
    assert float(trainer.lift_loss(BATCH, training=False)[0]) == pytest.approx(0.15 * 16 / 17, rel=1e-4)


@pytest.mark.parametrize("occluded", [False, True])
def test_training_lowers_the_loss(occluded):
    occlusion = PartMasking.of([0, 2, ("left_leg",)], H36M_17, seed=0) if occluded else None
    trainer = lift_trainer(occlusion=occlusion)
    history = trainer.fit(BATCH, batch_size=4, epochs=30, verbose=0).history["loss"]
    assert history[-1] < 0.5 * history[0]


def test_low_confidence_hides_a_joint():
    trainer = lift_trainer(confidence_threshold=0.3)
    confidence = RNG.uniform(0, 1, (4, 9, 17)).astype("float32")
    hidden = to_numpy(trainer.prepare({**BATCH, "confidence": confidence}, training=True)["hidden"]).astype(bool)
    np.testing.assert_array_equal(hidden, confidence < 0.3)


def test_masks_of_the_batch_are_kept():
    given = RNG.random((4, 9, 17)) < 0.2
    trainer = lift_trainer(occlusion=PartMasking.of([5], H36M_17, seed=0))
    np.testing.assert_array_equal(
        to_numpy(trainer.prepare({**BATCH, "hidden": given}, training=False)["hidden"]), given
    )


@pytest.mark.parametrize("what, frozen", [("none", ()), ("encoder", ("encoder_2d", "joint_token")),
                                          ("shared", ("spatial", "positions", "block_0")),
                                          ("backbone", ("backbone", "joint_token"))])  # fmt: skip
def test_frozen_layers_do_not_move(what, frozen):
    network = MPMLifter(**SIZE, encoder_dropout=0.0)
    freeze(network, what)
    trainer = LiftTrainer(network)
    trainer.compile(keras.optimizers.AdamW(1e-2))
    before = dict(zip([w.path for w in network.weights], values_of(network.weights), strict=True))
    trainer.fit({**BATCH, "hidden": RNG.random((4, 9, 17)) < 0.2}, batch_size=4, epochs=1, verbose=0)
    still = {path for path, weight in zip(before, network.weights, strict=True)
             if np.array_equal(before[path], to_numpy(weight.value))}  # fmt: skip
    decoder = "/decoder/"
    expected = {p for p in before if decoder not in p and any(f"/{part}" in p for part in frozen)}
    assert expected == still


def completion_trainer(**changes):
    network = MPMPretrainer(**{**SIZE, **changes})
    trainer = CompletionTrainer(network, PartMasking.of([("left_leg",), ("right_arm",)], H36M_17, seed=0))
    trainer.compile(keras.optimizers.AdamW(1e-2))
    return trainer


def test_completion_trains_the_3d_side_alone():
    trainer = completion_trainer()
    network = trainer.network
    still = network.backbone.encoders["2d"].weights + network.decoders["2d"].weights
    before = values_of(still)
    history = trainer.fit({"pose_3d": BATCH["pose_3d"]}, batch_size=4, epochs=30, verbose=0).history
    assert history["loss"][-1] < 0.7 * history["loss"][0]
    for old, new in zip(before, values_of(still), strict=True):
        np.testing.assert_array_equal(old, new)


def test_completion_error_counts_observed_joints_as_observed():
    trainer = completion_trainer()
    logs = trainer.evaluate({"pose_3d": BATCH["pose_3d"]}, batch_size=4, verbose=0, return_dict=True)
    assert logs["all_mpjpe_mm"] == pytest.approx(logs["hidden_mpjpe_mm"] * 3 / 17, rel=1e-3)


def test_completion_needs_all_frames():
    with pytest.raises(ValueError, match="drops 3"):
        completion_trainer(hidden_frames=3)
