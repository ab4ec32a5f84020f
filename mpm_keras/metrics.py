"""Pose errors: MPJPE, P-MPJPE, N-MPJPE, velocity error, PCK and AUC.

Each formula is written once, over a namespace `xp` that is either NumPy (the plain functions, in
float64) or `keras.ops` (`procrustes` and the `keras.metrics.Metric` classes, on the device).

Poses are (..., J, 3) in metres; errors are millimetres (`_mm`), PCK and AUC shares between 0 and 1.
The protocols: root-relative MPJPE is the paper's Protocol 1, P-MPJPE its Protocol 2; PCK and AUC are
those of MPI-INF-3DHP. The root joint, an error of zero after alignment, counts as a joint unless a
mask leaves it out, as in the code of VideoPose3D and of the paper (H36M figures are made so).
"""

import keras
import numpy as np
from keras import ops

_MM = 1000.0
# The released MPI-INF-3DHP evaluation (`mpii_compute_3d_pck.m`): 150 mm; AUC over 0, 5, ..., 150 mm.
PCK_THRESHOLD_MM = 150.0
_AUC_STEP_MM, _AUC_STEPS = 5.0, 31


# --- Formulas -----------------------------------------------------------------------------------
# `weights` are (..., J), >= 0. No matrix products: on GPUs they may run in TF32, whose 10-bit mantissa
# costs millimetres here, and sums over 3 or 17 terms do not need them.


def _relative(pose, root):
    return pose if root is None else pose - pose[..., root : root + 1, :]


def _ratio(xp, numerator, denominator, defined):
    """numerator / denominator where `defined`, else 0, never dividing by what is not."""
    return xp.where(
        defined, numerator / xp.where(defined, denominator, xp.ones_like(denominator)), xp.zeros_like(numerator)
    )


def _joint_mean(xp, values, weights):
    """(...) weighted mean over the last axis; 0 where all weights are 0."""
    total = xp.sum(weights, axis=-1)
    return _ratio(xp, xp.sum(values * weights, axis=-1), total, total > 0)


def _distance_mm(xp, predicted, target):
    """(..., J) distance of each joint."""
    return xp.sqrt(xp.sum(xp.square(predicted - target), axis=-1)) * _MM


def _mpjpe(xp, predicted, target, weights, root):
    return _joint_mean(xp, _distance_mm(xp, _relative(predicted, root), _relative(target, root)), weights)


def _procrustes(xp, predicted, target, weights):
    """The least-squares similarity fit (Umeyama 1991; the released Human3.6M evaluation)."""
    w = weights[..., None]
    count = xp.sum(w, axis=-2, keepdims=True)
    centre_p = _ratio(xp, xp.sum(w * predicted, axis=-2, keepdims=True), count, count > 0)
    centre_t = _ratio(xp, xp.sum(w * target, axis=-2, keepdims=True), count, count > 0)
    p, t = predicted - centre_p, target - centre_t
    covariance = xp.stack([xp.sum(w * t * p[..., c : c + 1], axis=-2) for c in range(3)], axis=-1)
    u, s, vt = xp.linalg.svd(covariance)
    # A mirrored pose must not be undone by a reflection: the last axis turns instead (det R = +1).
    reflection = xp.linalg.det(u) * xp.linalg.det(vt)
    sign = xp.where(reflection < 0, -xp.ones_like(reflection), xp.ones_like(reflection))[..., None]
    s = xp.concatenate([s[..., :2], s[..., 2:] * sign], axis=-1)
    u = xp.concatenate([u[..., :2], u[..., 2:] * sign[..., None]], axis=-1)
    rotation = xp.sum(u[..., :, :, None] * vt[..., None, :, :], axis=-2)
    # A prediction whose spread is 1e-5 of its distance from the origin or less is rounding noise
    # about a point: it must not be blown up to the target's size.
    spread = xp.sum(w * xp.square(p), axis=(-2, -1))
    size = xp.sum(w * xp.square(predicted), axis=(-2, -1))
    scale = _ratio(xp, xp.sum(s, axis=-1), spread, spread > 1e-10 * size)
    turned = sum(p[..., c : c + 1] * rotation[..., None, :, c] for c in range(3))
    return turned * scale[..., None, None] + centre_t


def _p_mpjpe(xp, predicted, target, weights):
    return _joint_mean(xp, _distance_mm(xp, _procrustes(xp, predicted, target, weights), target), weights)


def _n_mpjpe(xp, predicted, target, weights, root):
    p, t = _relative(predicted, root), _relative(target, root)
    w = weights[..., None]
    size = xp.sum(w * xp.square(p), axis=(-2, -1))
    scale = _ratio(xp, xp.sum(w * p * t, axis=(-2, -1)), size, size > 0)
    return _joint_mean(xp, _distance_mm(xp, p * scale[..., None, None], t), weights)


def _pck(xp, predicted, target, weights, root, threshold_mm):
    distance = _distance_mm(xp, _relative(predicted, root), _relative(target, root))
    return _joint_mean(xp, xp.where(distance < threshold_mm, xp.ones_like(distance), xp.zeros_like(distance)), weights)


def _auc(xp, predicted, target, weights, root):
    distance = _distance_mm(xp, _relative(predicted, root), _relative(target, root))
    # Thresholds 5 k mm, k = 0...30, that exceed the distance: those with k > distance / 5.
    passed = xp.maximum(_AUC_STEPS - 1 - xp.floor(distance / _AUC_STEP_MM), xp.zeros_like(distance))
    return _joint_mean(xp, passed / _AUC_STEPS, weights)


# --- Plain functions ----------------------------------------------------------------------------


def mpjpe_mm(predicted, target, *, root: int | None = 0, mask=None, reduce: bool = False):
    """Mean per-joint position error, mm (Protocol 1).

    Args:
        predicted: (..., J, 3) poses, metres.
        target: the true poses, of the same shape.
        root: the joint at which both poses are put together; None leaves them where they are.
        mask: (..., J) or what broadcasts to it, bool or weights >= 0: the joints that count.
        reduce: the mean over all poses, each counting alike, instead of (...) one value per pose.

    Raises `ValueError` for shapes that do not fit, NaN or infinity, and a pose that is masked altogether.
    """
    predicted, target, weights = _checked(predicted, target, mask, root)
    return _result(_mpjpe(np, predicted, target, weights, root), reduce)


def p_mpjpe_mm(predicted, target, *, mask=None, reduce: bool = False):
    """MPJPE after the best rotation, scale and translation of each pose, mm (Protocol 2).

    Rotations only: a mirrored pose is not undone. The mask acts on the fit and on the mean. A
    prediction with all joints in one place is fitted by the target's centre, a target with all
    joints in one place by scale 0 and thus without error. Arguments and errors as `mpjpe_mm`.
    """
    predicted, target, weights = _checked(predicted, target, mask)
    return _result(_p_mpjpe(np, predicted, target, weights), reduce)


def n_mpjpe_mm(predicted, target, *, root: int | None = 0, mask=None, reduce: bool = False):
    """MPJPE after the least-squares scale of each root-relative prediction, mm.

    The scale <p, t> / <p, p> (Rhodin et al. 2018, as VideoPose3D) is 0 for a prediction with all
    joints at the root. Arguments and errors as `mpjpe_mm`.
    """
    predicted, target, weights = _checked(predicted, target, mask, root)
    return _result(_n_mpjpe(np, predicted, target, weights, root), reduce)


def velocity_error_mm(predicted, target, *, root: int | None = 0, mask=None, reduce: bool = False):
    """MPJVE: mean per-joint error of the difference of successive frames, mm per frame.

    Not per second: values at different frame rates do not compare. As VideoPose3D, on root-relative
    poses. Takes (..., frames, J, 3) with at least 2 frames and returns (..., frames - 1). A joint
    counts with the product of its mask in both frames. Arguments and errors as `mpjpe_mm`.
    """
    predicted, target, weights = _checked(predicted, target, mask, root)
    if predicted.ndim < 3 or predicted.shape[-3] < 2:
        raise ValueError(f"a velocity needs shape (..., 2 or more frames, J, 3), found {predicted.shape}")
    weights = weights[..., 1:, :] * weights[..., :-1, :]
    _check_weights(weights)
    steps = [np.diff(_relative(pose, root), axis=-3) for pose in (predicted, target)]
    return _result(_mpjpe(np, *steps, weights, None), reduce)


def pck(predicted, target, *, threshold_mm: float = PCK_THRESHOLD_MM, root: int | None = 0, mask=None, reduce=False):
    """Share of joints nearer than `threshold_mm` to the truth, 0 to 1. Arguments and errors as `mpjpe_mm`."""
    predicted, target, weights = _checked(predicted, target, mask, root)
    return _result(_pck(np, predicted, target, weights, root, threshold_mm), reduce)


def auc(predicted, target, *, root: int | None = 0, mask=None, reduce: bool = False):
    """Mean `pck` over the 31 thresholds 0, 5, ..., 150 mm, 0 to 30/31.

    A perfect pose has 30/31: as in the released evaluation of MPI-INF-3DHP, no distance is less
    than the first threshold, 0. Arguments and errors as `mpjpe_mm`.
    """
    predicted, target, weights = _checked(predicted, target, mask, root)
    return _result(_auc(np, predicted, target, weights, root), reduce)


def _checked(predicted, target, mask, root=None):
    predicted, target = np.asarray(predicted, np.float64), np.asarray(target, np.float64)
    if predicted.shape != target.shape or predicted.ndim < 2 or predicted.shape[-1] != 3 or not predicted.size:
        raise ValueError(f"expected two equal shapes (..., J, 3), found {predicted.shape} and {target.shape}")
    if root is not None and not 0 <= root < predicted.shape[-2]:
        raise ValueError(f"root {root} is not one of {predicted.shape[-2]} joints")
    for name, pose in (("predicted", predicted), ("target", target)):
        if not np.isfinite(pose).all():
            raise ValueError(
                f"{name}: {int((~np.isfinite(pose)).sum())} of {pose.size} coordinates are NaN or infinite"
            )
    weights = np.ones(()) if mask is None else np.asarray(mask, np.float64)
    try:
        weights = np.broadcast_to(weights, predicted.shape[:-1])
    except ValueError:
        raise ValueError(f"mask of shape {weights.shape} does not fit poses of shape {predicted.shape}") from None
    _check_weights(weights)
    return predicted, target, weights


def _check_weights(weights):
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.any(axis=-1).all()):
        raise ValueError("mask: expected finite weights >= 0 with at least one joint in every pose")


def _result(values, reduce):
    return float(values.mean()) if reduce else values


# --- On the device --------------------------------------------------------------------------------


def procrustes(predicted, target, weights=None):
    """The predicted poses after the best rotation, scale and translation of each onto its target.

    Args:
        predicted: (..., J, 3) tensor.
        target: (..., J, 3) tensor.
        weights: (..., J) tensor of weights >= 0, or None for equal ones.

    Returns a (..., J, 3) tensor. Runs batched on the device, on every backend. Degenerate poses as
    in `p_mpjpe_mm`. Meant for evaluation: gradients through the SVD are not defined everywhere.
    """
    predicted, target = ops.convert_to_tensor(predicted), ops.convert_to_tensor(target)
    weights = ops.ones_like(target[..., 0]) if weights is None else ops.cast(weights, target.dtype)
    return _procrustes(ops, predicted, target, weights)


class _PoseMetric(keras.metrics.Mean):
    """Mean over poses of an error of (..., J, 3) poses in metres.

    `sample_weight` is either (..., J), joint weights within each pose (a pose whose joints all have
    weight 0 does not count), or has fewer axes: (B,) for (B, J, 3) or (B, F, J, 3), (B, F) for
    (B, F, J, 3), weights of whole poses.
    """

    def __init__(self, root: int | None = 0, name=None, dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.root = root

    def update_state(self, y_true, y_pred, sample_weight=None):
        target, predicted = ops.cast(y_true, self.dtype), ops.cast(y_pred, self.dtype)
        joints = ops.ones_like(target[..., 0])
        poses = joints[..., 0]
        if sample_weight is not None:
            given = ops.cast(sample_weight, self.dtype)
            if given.ndim == joints.ndim:
                joints = joints * given
                poses = ops.cast(ops.any(joints > 0, axis=-1), self.dtype)
            else:
                for _ in range(poses.ndim - given.ndim):
                    given = ops.expand_dims(given, -1)
                poses = poses * given
        values = self.error(predicted, target, joints)
        return super().update_state(ops.reshape(values, (-1,)), ops.reshape(poses, (-1,)))

    def error(self, predicted, target, weights):
        """(...) error of each pose, from (..., J, 3) tensors and (..., J) weights."""
        raise NotImplementedError

    def get_config(self):
        return {"name": self.name, "dtype": self.dtype, "root": self.root}


@keras.saving.register_keras_serializable(package="mpm_keras")
class MPJPE(_PoseMetric):
    """`mpjpe_mm` as a Keras metric."""

    def __init__(self, root=0, name="mpjpe_mm", dtype=None):
        super().__init__(root, name, dtype)

    def error(self, predicted, target, weights):
        return _mpjpe(ops, predicted, target, weights, self.root)


@keras.saving.register_keras_serializable(package="mpm_keras")
class ProcrustesMPJPE(_PoseMetric):
    """`p_mpjpe_mm` as a Keras metric; `root` plays no part."""

    def __init__(self, root=0, name="p_mpjpe_mm", dtype=None):
        super().__init__(root, name, dtype)

    def error(self, predicted, target, weights):
        return _p_mpjpe(ops, predicted, target, weights)


@keras.saving.register_keras_serializable(package="mpm_keras")
class NormalizedMPJPE(_PoseMetric):
    """`n_mpjpe_mm` as a Keras metric."""

    def __init__(self, root=0, name="n_mpjpe_mm", dtype=None):
        super().__init__(root, name, dtype)

    def error(self, predicted, target, weights):
        return _n_mpjpe(ops, predicted, target, weights, self.root)


@keras.saving.register_keras_serializable(package="mpm_keras")
class PCK(_PoseMetric):
    """`pck` as a Keras metric."""

    def __init__(self, threshold_mm=PCK_THRESHOLD_MM, root=0, name="pck", dtype=None):
        super().__init__(root, name, dtype)
        self.threshold_mm = float(threshold_mm)

    def error(self, predicted, target, weights):
        return _pck(ops, predicted, target, weights, self.root, self.threshold_mm)

    def get_config(self):
        return {**super().get_config(), "threshold_mm": self.threshold_mm}


@keras.saving.register_keras_serializable(package="mpm_keras")
class AUC(_PoseMetric):
    """`auc` as a Keras metric."""

    def __init__(self, root=0, name="auc", dtype=None):
        super().__init__(root, name, dtype)

    def error(self, predicted, target, weights):
        return _auc(ops, predicted, target, weights, self.root)
