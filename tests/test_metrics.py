import keras
import numpy as np
import pytest
from keras import ops

from mpm_keras import geometry, metrics

PLAIN = (metrics.mpjpe_mm, metrics.p_mpjpe_mm, metrics.n_mpjpe_mm, metrics.pck, metrics.auc)
KERAS = (metrics.MPJPE, metrics.ProcrustesMPJPE, metrics.NormalizedMPJPE, metrics.PCK, metrics.AUC)


def poses(*shape, seed=0):
    """Person-sized root-relative poses, metres."""
    values = np.random.default_rng(seed).normal(scale=0.4, size=(*shape, 17, 3))
    return values - values[..., :1, :]


def rotations(*shape, seed=1):
    return geometry.quaternion_to_matrix(np.random.default_rng(seed).normal(size=(*shape, 4)))


def test_one_joint_off_by_a_known_amount():
    target = poses(4)
    predicted = target.copy()
    predicted[2, 5] += [0.03, 0.04, 0.0]  # 50 mm
    np.testing.assert_allclose(metrics.mpjpe_mm(predicted, target), [0, 0, 50 / 17, 0], atol=1e-9)
    assert metrics.mpjpe_mm(predicted, target, reduce=True) == pytest.approx(50 / 17 / 4)
    mask = np.arange(17) == 5
    np.testing.assert_allclose(metrics.mpjpe_mm(predicted, target, mask=mask), [0, 0, 50, 0], atol=1e-9)
    weights = np.where(mask, 3.0, 0.5)
    assert metrics.mpjpe_mm(predicted, target, mask=weights)[2] == pytest.approx(150 / 11)


def test_the_root_aligns_unless_it_is_none():
    target = poses(3)
    moved = target + [0.0, 0.3, 0.4]
    np.testing.assert_allclose(metrics.mpjpe_mm(moved, target), 0, atol=1e-9)
    np.testing.assert_allclose(metrics.mpjpe_mm(moved, target, root=None), 500)
    target[:, 3] += 0.01
    assert metrics.mpjpe_mm(target, poses(3), root=3)[0] == pytest.approx(np.sqrt(3) * 10 * 16 / 17)


def test_scaled_poses():
    target = poses(5)
    np.testing.assert_allclose(metrics.n_mpjpe_mm(1.7 * target, target), 0, atol=1e-9)
    np.testing.assert_allclose(metrics.p_mpjpe_mm(1.7 * target, target), 0, atol=1e-9)
    norms = np.linalg.norm(target, axis=-1).mean(-1) * 1000
    np.testing.assert_allclose(metrics.mpjpe_mm(1.7 * target, target), 0.7 * norms)


def test_procrustes_undoes_rotation_scale_and_shift():
    target = poses(6)
    predicted = 0.3 * target @ rotations(6) + [1.0, -2.0, 3.0]
    np.testing.assert_allclose(metrics.p_mpjpe_mm(predicted, target), 0, atol=1e-9)
    assert (metrics.n_mpjpe_mm(predicted, target) > 10).all()


def test_procrustes_does_not_undo_a_mirror():
    # Points at +-3, +-2, +-1 on the three axes, mirrored along any one of them. The best a rotation
    # can do leaves the mirroring on the thinnest axis; the best scale is then (9 + 4 - 1) / 14.
    axes = np.diag([3.0, 2.0, 1.0])
    target = np.concatenate([axes, -axes])[None]
    scale = (9 + 4 - 1) / 14
    error = 1000 / 3 * (3 * (1 - scale) + 2 * (1 - scale) + 1 * (1 + scale))
    for axis in range(3):
        mirrored = target * np.where(np.arange(3) == axis, -1, 1)
        # A reflection would fit exactly.
        assert metrics.p_mpjpe_mm(mirrored, target)[0] == pytest.approx(error)


def test_procrustes_is_the_least_squares_optimum():
    predicted, target = poses(1, seed=2)[0], poses(1, seed=3)[0]
    fitted = ops.convert_to_numpy(metrics.procrustes(predicted.astype("float32"), target.astype("float32")))
    best = np.square(fitted - target).sum()
    rng = np.random.default_rng(4)
    for _ in range(200):
        turn = geometry.quaternion_to_matrix([1, *rng.normal(scale=0.05, size=3)])
        other = (fitted - fitted.mean(0)) @ turn * rng.normal(1, 0.05) + fitted.mean(0) + rng.normal(scale=0.01, size=3)
        assert np.square(other - target).sum() >= best - 1e-6


def test_masked_procrustes_ignores_the_other_joints():
    target = poses(3)
    predicted = 2 * target @ rotations(3)
    predicted[:, 12:] += 5
    np.testing.assert_allclose(metrics.p_mpjpe_mm(predicted, target, mask=np.arange(17) < 12), 0, atol=1e-9)


@pytest.mark.parametrize("place", [0.0, 5.0])
def test_degenerate_poses_have_defined_values(place):
    pose = poses(1).astype(np.float32)
    point = np.full_like(pose, place)
    to_centre = np.linalg.norm(pose - pose.mean(1), axis=-1).mean() * 1000
    assert metrics.p_mpjpe_mm(point, pose)[0] == pytest.approx(to_centre)
    assert metrics.p_mpjpe_mm(pose, point)[0] == pytest.approx(0, abs=1e-2)
    assert metrics.p_mpjpe_mm(point, point)[0] == pytest.approx(0, abs=1e-2)
    assert metrics.n_mpjpe_mm(point, pose)[0] == pytest.approx(np.linalg.norm(pose, axis=-1).mean() * 1000)
    for target, predicted, expected in ((pose, point, to_centre), (point, pose, 0), (point, point, 0)):
        metric = metrics.ProcrustesMPJPE()
        metric.update_state(target, predicted)
        assert float(metric.result()) == pytest.approx(expected, abs=0.05)


def test_flat_and_straight_poses_are_fitted():
    for keep in ([1, 1, 0], [1, 0, 0]):
        target = poses(4) * keep
        predicted = 0.5 * target @ rotations(4)
        np.testing.assert_allclose(metrics.p_mpjpe_mm(predicted, target), 0, atol=1e-6)


def test_velocity_error():
    target = poses(2, 6)
    assert metrics.velocity_error_mm(target + poses(2, 1, seed=5), target).max() < 1e-9  # a constant error
    predicted = target.copy()
    predicted[0, 3, 8] += [0, 0, 0.017]  # one joint in one frame: 1 mm in the steps into it and out of it
    expected = np.zeros((2, 5))
    expected[0, 2:4] = 1
    np.testing.assert_allclose(metrics.velocity_error_mm(predicted, target), expected, atol=1e-9)
    assert metrics.velocity_error_mm(predicted, target, reduce=True) == pytest.approx(0.2)
    with pytest.raises(ValueError, match="2 or more frames"):
        metrics.velocity_error_mm(target[:, :1], target[:, :1])


def test_pck_and_auc_by_hand():
    target = np.zeros((1, 5, 3))
    predicted = target.copy()
    predicted[0, 1:, 0] = [0.0125, 0.1499, 0.1501, 2.0]  # and the root, at 0
    assert metrics.pck(predicted, target)[0] == pytest.approx(3 / 5)
    assert metrics.pck(predicted, target, threshold_mm=12)[0] == pytest.approx(1 / 5)
    # Thresholds above: 30 for 0 mm (5...150), 28 for 12.5 mm (15...150), 1 for 149.9 mm, none.
    assert metrics.auc(predicted, target)[0] == pytest.approx((30 + 28 + 1) / 31 / 5)
    assert metrics.auc(target, target)[0] == pytest.approx(30 / 31)


def test_auc_is_the_mean_of_pck():
    target = poses(50)
    predicted = target + np.random.default_rng(6).normal(scale=0.06, size=target.shape)
    curve = [metrics.pck(predicted, target, threshold_mm=t) for t in np.linspace(0, 150, 31)]
    np.testing.assert_allclose(metrics.auc(predicted, target), np.mean(curve, axis=0), atol=1e-12)


@pytest.mark.parametrize("function", [*PLAIN, metrics.velocity_error_mm])
def test_bad_input_raises(function):
    good = poses(4)
    for value in (np.nan, np.inf):
        bad = good.copy()
        bad[1, 2, 0] = value
        with pytest.raises(ValueError, match="predicted: 1 of 204"):
            function(bad, good)
        with pytest.raises(ValueError, match="target: 1 of 204"):
            function(good, bad)
    for shape in ((4, 16, 3), (4, 17, 2), (17, 3), (0, 17, 3)):
        with pytest.raises(ValueError, match="expected two equal shapes"):
            function(np.zeros(shape), good)
    with pytest.raises(ValueError, match="expected two equal shapes"):
        function(np.zeros((0, 17, 3)), np.zeros((0, 17, 3)))
    with pytest.raises(ValueError, match="does not fit"):
        function(good, good, mask=np.ones(16))
    for mask in (np.zeros(17), -np.ones(17)):
        with pytest.raises(ValueError, match="at least one joint"):
            function(good, good, mask=mask)
    if function is not metrics.p_mpjpe_mm:
        with pytest.raises(ValueError, match="root 17"):
            function(good, good, root=17)


@pytest.mark.parametrize(("function", "metric"), list(zip(PLAIN, KERAS, strict=True)))
def test_metric_equals_function(function, metric):
    rng = np.random.default_rng(7)
    target = (poses(6, 9) + [0.1, 0.2, 4.0]).astype(np.float32)
    predicted = (target + rng.normal(scale=0.08, size=target.shape)).astype(np.float32)
    joints = (rng.uniform(size=(6, 9, 17)) < 0.5).astype(np.float32)
    joints[..., 4:8] = 1
    frames, clips = rng.uniform(size=(6, 9)), rng.uniform(size=6)
    per_pose = function(predicted, target)
    cases = [
        (None, per_pose.mean()),
        (joints, function(predicted, target, mask=joints, reduce=True)),
        (frames, np.average(per_pose, weights=frames)),
        (clips, np.average(per_pose.mean(1), weights=clips)),
    ]
    for weights, expected in cases:
        state = metric()
        for batch in (slice(0, 4), slice(4, 6)):
            part = None if weights is None else weights[batch].astype(np.float32)
            state.update_state(target[batch], predicted[batch], sample_weight=part)
        assert float(state.result()) == pytest.approx(expected, rel=2e-5)


@pytest.mark.parametrize("metric", KERAS)
def test_poses_of_weight_zero_do_not_count(metric):
    target, predicted = poses(2).astype(np.float32), poses(2, seed=8).astype(np.float32)
    alone, padded = metric(), metric()
    alone.update_state(target[:1], predicted[:1])
    padded.update_state(target, predicted, sample_weight=np.float32([[1] * 17, [0] * 17]))
    assert float(padded.result()) == pytest.approx(float(alone.result()), rel=1e-6)


@pytest.mark.parametrize("metric", KERAS)
def test_metric_config_round_trip(metric):
    options = {"root": 3, "name": "other"} | ({"threshold_mm": 50.0} if metric is metrics.PCK else {})
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric(**options)))
    assert type(again) is metric and again.get_config() == metric(**options).get_config()
    assert options.items() <= again.get_config().items()


def test_procrustes_tensors_match_numpy():
    target = poses(3, 4).astype(np.float32)
    predicted = (0.7 * target @ rotations(3, 4) * [-1, 1, 1] + 0.5 + poses(3, 4, seed=9) * 0.1).astype(np.float32)
    fitted = ops.convert_to_numpy(metrics.procrustes(predicted, target))
    assert fitted.shape == target.shape and fitted.dtype == np.float32
    np.testing.assert_allclose(
        metrics.mpjpe_mm(fitted, target, root=None), metrics.p_mpjpe_mm(predicted, target), rtol=1e-4
    )


def test_metrics_in_a_compiled_model():
    model = keras.Sequential([keras.Input((9, 17, 3)), keras.layers.Rescaling(1.1)])
    model.compile(loss="mse", metrics=[metric() for metric in KERAS])
    target = poses(10, 9).astype(np.float32)
    logs = model.evaluate(target, target, batch_size=4, verbose=0, return_dict=True)
    for function, metric in zip(PLAIN, KERAS, strict=True):
        expected = function(1.1 * target, target, reduce=True)
        assert logs[metric().name] == pytest.approx(expected, rel=1e-3, abs=2e-3)
