import itertools

import keras
import numpy as np
import pytest
from harness import check_config, to_numpy

from mpm_keras.masking import PoseMasking, count_hidden_frames, hidden_joints, lowest, visible_frames

BACKEND = keras.backend.backend()


def draw(masking, batch=4, frames=27, joints=17):
    return keras.tree.map_structure(to_numpy, masking.draw(batch, frames, joints))


@pytest.mark.parametrize(
    ("frames", "ratio", "hidden"),
    [(243, 0.6, 145), (81, 0.6, 48), (27, 0.6, 16), (9, 0.6, 5), (351, 0.6, 210), (100, 0.29, 29), (10, 0.3, 3),
     (27, 0.0, 0), (1, 0.6, 0), (27, 0.999, 26)],
)  # fmt: skip
def test_frames_hidden_by_a_ratio(frames, ratio, hidden):
    assert count_hidden_frames(frames, ratio) == hidden


@pytest.mark.parametrize("ratio", [1.0, 1.5, -0.1])
def test_a_ratio_that_hides_all_frames_is_refused(ratio):
    with pytest.raises(ValueError, match="one frame at least must stay"):
        count_hidden_frames(27, ratio)


@pytest.mark.parametrize("strategy", ["spatiotemporal", "tube", "temporal"])
@pytest.mark.parametrize(("frames", "joints"), [(243, 17), (81, 16), (27, 17), (1, 17)])
def test_counts_are_exact(strategy, frames, joints):
    masking = PoseMasking(5, 0.6, strategy, seed=1)
    masks = draw(masking, 8, frames, joints)
    spatial = 0 if strategy == "temporal" else 5
    temporal = 0 if strategy == "tube" else int(0.6 * frames)
    assert masking.count_hidden(frames, joints) == (spatial, temporal)
    assert masks["joints"].shape == (8, frames, joints) and masks["frames"].shape == (8, frames)
    assert (masks["joints"].sum(-1) == spatial).all()
    assert (masks["frames"].sum(-1) == temporal).all()
    hidden = to_numpy(hidden_joints(masks))
    assert masking.ratio(frames, joints) == pytest.approx(hidden.mean(), abs=1e-12)
    if strategy == "temporal":  # hidden frames are hidden whole, the others not at all
        np.testing.assert_array_equal(hidden, np.repeat(masks["frames"][..., None], joints, -1))
    if strategy == "tube":
        np.testing.assert_array_equal(masks["joints"], np.repeat(masks["joints"][:, :1], frames, 1))


def test_share_of_the_papers_setting():
    assert PoseMasking().ratio(243, 17) == pytest.approx(1 - 12 / 17 * 98 / 243)
    assert round(PoseMasking().ratio(243, 17), 4) == 0.7153
    assert round(1 - 12 / 17 * 0.4, 3) == 0.718  # the paper's figure: 0.6 of 243 is no whole number


def test_uniform_over_joints_and_frames():
    """Each joint and frame is hidden as often as any other: chi-square against equal shares, fixed seed."""
    masks = draw(PoseMasking(5, 0.6, seed=7), 2000)
    for found, axis, share in ((masks["joints"][:, 13], 0, 5 / 17), (masks["frames"], 0, 16 / 27)):
        count, expected = found.sum(axis), len(found) * share
        statistic = np.square(count - expected).sum() / (expected * (1 - share))
        degrees = found.shape[1] - 1
        assert statistic < degrees + 4 * np.sqrt(2 * degrees)  # fails by chance once in some 2,000 seeds
        assert statistic > degrees - 3.5 * np.sqrt(2 * degrees)  # and neither more even than chance
    pairs = {tuple(np.flatnonzero(row)) for row in masks["joints"][:, 13]}
    assert len(pairs) > 1500  # of 6,188 choices of five joints


def test_drawn_frame_by_frame_and_sample_by_sample():
    masks = draw(PoseMasking(5, 0.6, seed=7))
    for a, b in itertools.combinations(range(4), 2):
        assert not np.array_equal(masks["joints"][a], masks["joints"][b])
        assert not np.array_equal(masks["frames"][a], masks["frames"][b])
    assert len({row.tobytes() for row in masks["joints"][0]}) > 20
    tube = draw(PoseMasking(5, strategy="tube", seed=7))["joints"]
    assert len({sample.tobytes() for sample in tube}) == 4


def test_a_function_of_the_seed():
    one, two, other = PoseMasking(seed=3), PoseMasking(seed=3), PoseMasking(seed=4)
    first = draw(one)
    keras.tree.map_structure(np.testing.assert_array_equal, first, draw(two))
    assert not np.array_equal(first["joints"], draw(other)["joints"])
    assert not np.array_equal(first["joints"], draw(one)["joints"])  # every draw is a new one


def test_2d_and_3d_of_a_batch_get_masks_of_their_own():
    batch = make_batch()
    found = PoseMasking(2, 0.5, seed=0)(batch)
    assert set(found) == {"pose_2d", "pose_3d", "confidence", "masks_2d", "masks_3d"}
    assert not np.array_equal(to_numpy(found["masks_2d"]["joints"]), to_numpy(found["masks_3d"]["joints"]))
    assert set(PoseMasking(2)({"pose_2d": batch["pose_2d"]})) == {"pose_2d", "masks_2d"}


def make_batch():
    rng = np.random.default_rng(0)
    shapes = {"pose_2d": (3, 6, 5, 2), "pose_3d": (3, 6, 5, 3), "confidence": (3, 6, 5)}
    return {k: rng.normal(size=shape).astype("float32") for k, shape in shapes.items()}


def test_masks_given_are_kept():
    given = {"joints": np.zeros((3, 6, 5), bool), "frames": np.arange(18).reshape(3, 6) % 2 == 0}
    found = PoseMasking(2, 0.5)({**make_batch(), "masks_2d": given})
    keras.tree.map_structure(lambda a, b: np.testing.assert_array_equal(to_numpy(a), b), found["masks_2d"], given)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_poses_keep_their_precision(policy):
    """They are the targets: in bfloat16 a metre has steps of 4 mm."""
    batch = make_batch()
    found = PoseMasking(2, 0.5, dtype=policy)(batch)
    for key, value in batch.items():
        assert keras.backend.standardize_dtype(found[key].dtype) == "float32"
        np.testing.assert_array_equal(to_numpy(found[key]), value)


def test_visible_frames_are_the_complement_in_order():
    hidden = draw(PoseMasking(5, 0.6, seed=2), 6)["frames"]
    visible = to_numpy(visible_frames(hidden, 11))
    assert visible.dtype == np.int32 and visible.shape == (6, 11)
    for b in range(6):
        np.testing.assert_array_equal(visible[b], np.flatnonzero(~hidden[b]))


def test_ties_do_not_change_the_count():
    assert (to_numpy(lowest(np.zeros((3, 7), "float32"), 4)).sum(-1) == 4).all()


def test_the_lowest_noise_is_hidden():
    rng = np.random.default_rng(0)
    joints, frames = rng.random((2, 6, 5), "float32"), rng.random((2, 6), "float32")
    masks = PoseMasking(2, 0.5).from_noise(joints, frames)
    np.testing.assert_array_equal(to_numpy(masks["joints"]), joints <= np.sort(joints, -1)[..., 1:2])
    np.testing.assert_array_equal(to_numpy(masks["frames"]), frames <= np.sort(frames, -1)[..., 2:3])


def test_drawn_alike_in_a_compiled_function():
    eager = PoseMasking(2, 0.5, seed=5)(make_batch())
    masking, batch = PoseMasking(2, 0.5, seed=5), make_batch()
    if BACKEND == "tensorflow":
        import tensorflow as tf

        step = tf.function(masking)
        found, again = step(batch), step(batch)
        assert not np.array_equal(to_numpy(found["masks_2d"]["joints"]), to_numpy(again["masks_2d"]["joints"]))
        by_xla = tf.function(PoseMasking(2, 0.5, seed=5), jit_compile=True)(make_batch())
        keras.tree.map_structure(
            lambda a, b: np.testing.assert_array_equal(to_numpy(a), to_numpy(b)), by_xla["masks_2d"], eager["masks_2d"]
        )
    elif BACKEND == "jax":
        import jax

        @jax.jit
        def compiled(seed, batch):
            with keras.StatelessScope(state_mapping=[(masking.seed_generator.state, seed)]):
                return masking(batch)

        found = compiled(masking.seed_generator.state.value, batch)
    else:
        found = masking(batch)  # PyTorch runs eagerly
    for m in ("masks_2d", "masks_3d"):
        keras.tree.map_structure(
            lambda a, b: np.testing.assert_array_equal(to_numpy(a), to_numpy(b)), found[m], eager[m]
        )


def test_symbolic_shapes():
    masking = PoseMasking(2, 0.5)
    found = masking({"pose_3d": keras.Input((6, 5, 3))})
    assert found["masks_3d"]["joints"].shape == (None, 6, 5) and found["masks_3d"]["frames"].shape == (None, 6)
    assert found["masks_3d"]["joints"].dtype == "bool" and found["pose_3d"].shape == (None, 6, 5, 3)


def test_a_stage_of_tf_data():
    """With TensorFlow the layer is a stage of the pipeline; elsewhere one sentence says where masks are drawn."""
    tf = pytest.importorskip("tensorflow", reason="tf.data is TensorFlow's")
    masking = PoseMasking(2, 0.5, seed=0)
    dataset = tf.data.Dataset.from_tensors(make_batch()).repeat(3)
    if BACKEND != "tensorflow":
        with pytest.raises(ValueError, match=f"masks are drawn in the training step.*{BACKEND}"):
            dataset.map(masking)
        return
    batches = list(dataset.map(masking).as_numpy_iterator())
    assert len({b["masks_2d"]["joints"].tobytes() for b in batches}) == 3
    for batch in batches:
        np.testing.assert_array_equal(batch["pose_3d"], make_batch()["pose_3d"])
        assert (batch["masks_3d"]["joints"].sum(-1) == 2).all() and (batch["masks_3d"]["frames"].sum(-1) == 3).all()


@pytest.mark.parametrize("strategy", ["spatiotemporal", "tube", "temporal"])
def test_config_round_trip(strategy):
    masking = PoseMasking(3, 0.4, strategy, seed=9, name="other")
    check_config(masking)
    revived = PoseMasking.from_config(masking.get_config())
    keras.tree.map_structure(np.testing.assert_array_equal, draw(revived), draw(masking))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"strategy": "random"}, "unknown mask strategy 'random'; known: spatiotemporal, tube, temporal"),
        ({"spatial": -1}, "need spatial >= 0 joints"),
        ({"temporal": 1.0}, "0 <= temporal < 1, found 5 and 1.0"),
    ],
)
def test_impossible_settings_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        PoseMasking(**arguments)


def test_as_many_hidden_joints_as_there_are_is_refused():
    with pytest.raises(ValueError, match="spatial mask of 5 joints leaves none of 5 visible"):
        PoseMasking(5)(make_batch())
