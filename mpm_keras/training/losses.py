"""The losses of both stages, as pure functions of tensors."""

from keras import ops

from mpm_keras.replicas import mean_over_replicas

# Below this squared distance (1e-6 m, or of the screen's half width) the gradient is zero: the
# derivative of a norm does not exist at zero, and backends disagree on what to return there.
SMALLEST_SQUARE = 1e-12


def joint_distance(predicted, target):
    """Euclidean distance of each joint: (..., J, D) twice -> (..., J) float32."""
    difference = ops.cast(predicted, "float32") - ops.cast(target, "float32")
    return ops.sqrt(ops.maximum(ops.sum(ops.square(difference), axis=-1), SMALLEST_SQUARE))


def weighted_mean(values, weights=None, of_batch=False):
    """Mean of values, weighted; zero where all weights are zero.

    With `of_batch` the weights of a replica's rows count against those of the global batch: the mean of what the
    replicas return is then that of the batch, even where one has more weight than another.
    """
    if weights is None:
        return ops.mean(values)
    weights = ops.cast(weights, values.dtype)
    total = mean_over_replicas(ops.sum(weights)) if of_batch else ops.sum(weights)
    return ops.sum(values * weights) / ops.maximum(total, 1e-9)


def pose_loss(predicted, target, weights=None):
    """Mean unsquared joint distance (equations 6, 9 and 10).

    The paper writes an L2 norm; its code takes the mean over batch, frames and joints of the
    Euclidean distance, in the units of the poses.

    Args:
        predicted, target: (B, F, J, D).
        weights: (B, F, J), numbers or booleans; None counts every joint alike.

    Returns:
        A float32 scalar.
    """
    return weighted_mean(joint_distance(predicted, target), weights, of_batch=True)
