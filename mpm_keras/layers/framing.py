"""Makes a network blind to where in the picture a person stands, and how large."""

import keras
from keras import ops

# Of a window in which everything is hidden, or that shows a single point.
SMALLEST_SCALE = 1e-4

NORMALIZATIONS = ("screen", "window")


@keras.saving.register_keras_serializable(package="mpm_keras")
class WindowFraming(keras.layers.Layer):
    """2D windows with their own centre and size taken out.

    The centre is the mean of all joints that are seen in a window, the scale the root mean square of
    their distances from it. One of each serves the whole window, so that motion within it stays.
    Moving or enlarging the picture changes nothing in the result. The paper normalises by the screen
    alone; its networks know where and how large people stood in the training pictures.

    Call arguments:
        pose: (B, F, J, 2) in any units.
        hidden: (B, F, J) bool, joints that take no part, or None.

    Returns:
        Dict of `pose` (B, F, J, 2) in units of the scale, `center` (B, 1, 1, 2) and `scale` (B, 1, 1, 1).
    """

    def __init__(self, **kwargs):
        super().__init__(**{"autocast": False, "dtype": "float32", **kwargs})  # pixels need their precision
        self.built = True

    def call(self, pose, hidden=None):
        pose = ops.cast(pose, "float32")
        seen = ops.ones_like(pose[..., :1]) if hidden is None else 1.0 - ops.cast(hidden, "float32")[..., None]
        count = ops.maximum(ops.sum(seen, axis=(1, 2), keepdims=True), 1.0)
        pose = ops.where(seen > 0, pose, 0.0)  # hidden joints may hold anything
        center = ops.sum(pose, axis=(1, 2), keepdims=True) / count
        offset = (pose - center) * seen
        spread = ops.sum(ops.square(offset), axis=(1, 2, 3), keepdims=True) / count
        scale = ops.maximum(ops.sqrt(spread), SMALLEST_SCALE)
        return {"pose": offset / scale, "center": center, "scale": scale}

    def compute_output_spec(self, pose, hidden=None):
        shapes = {"pose": pose.shape, "center": (pose.shape[0], 1, 1, 2), "scale": (pose.shape[0], 1, 1, 1)}
        return {name: keras.KerasTensor(shape, "float32") for name, shape in shapes.items()}


def framing_for(normalization: str) -> WindowFraming | None:
    """The layer of a normalisation, None for "screen". Raises `ValueError` for an unknown one."""
    if normalization not in NORMALIZATIONS:
        raise ValueError(f"unknown normalization {normalization!r}; known: {', '.join(NORMALIZATIONS)}")
    return WindowFraming(name="framing") if normalization == "window" else None
