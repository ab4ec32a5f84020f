"""Why did it say so: how a predicted joint follows from every input joint of every frame.

Saliency is the gradient of the prediction with respect to the input; SmoothGrad its mean over noisy
copies of the input. Both by tf-keras-vis, and so on TensorFlow alone.

- Simonyan, Vedaldi and Zisserman, 2014: Deep Inside Convolutional Networks.
- Smilkov et al., 2017: SmoothGrad: removing noise by adding noise.
"""

import dataclasses
import importlib.util

import keras
import numpy as np

from mpm_keras.errors import InputError

COORDINATES = ("x", "y", "z")


@dataclasses.dataclass(frozen=True, eq=False)
class Attribution:
    """The gradient of one joint of the centre pose, relative to the root joint.

    Attributes:
        gradients: (3, F, J, 2) float32: change of x, y, z of the predicted joint, metres, by that of u, v
            of an input joint, in units of the 2D that the network takes. Zero for hidden joints.
        joint: index of the predicted joint.
        samples: noisy copies; 0 for plain saliency.
        noise: standard deviation of the noise, as a share of the range of the input.
    """

    gradients: np.ndarray
    joint: int
    samples: int
    noise: float

    def map(self, coordinates=COORDINATES) -> np.ndarray:
        """(F, J): how far the joint moves along the coordinates when an input joint moves by one unit.

        The root of the sum of squares over the coordinates and over the two directions of the input.
        Raises `ValueError` for coordinates that are not some of x, y and z.
        """
        chosen = [COORDINATES.index(c) for c in coordinates if c in COORDINATES]
        if not chosen or len(chosen) != len(coordinates):
            raise ValueError(f"coordinates must be some of x, y and z, found {coordinates!r}")
        return np.sqrt(np.square(self.gradients[chosen], dtype=np.float64).sum(axis=(0, -1))).astype(np.float32)


def attribute(
    network, pose_2d, joint: int, *, root: int = 0, hidden=None, samples=0, noise=0.05, seed=0
) -> Attribution:
    """Attributes a joint of the centre pose to the joints of a window.

    Args:
        network: `MPMLifter`.
        pose_2d: (F, J, 2), what the network takes.
        joint: index of the predicted joint.
        root: index of the joint that poses are relative to.
        hidden: (F, J) bool, joints that the network does not see; None where it sees all.
        samples: 0 for plain saliency, else the noisy copies of SmoothGrad.
        noise: of SmoothGrad, as a share of the range (largest minus smallest number) of the window.
        seed: of the noise.

    Raises:
        InputError: the backend is not TensorFlow, or tf-keras-vis is not installed.
        ValueError: a shape, index or option is wrong.
    """
    check_available()
    pose_2d, hidden = checked_window(network, pose_2d, hidden)
    for name, value in (("joint", joint), ("root", root)):
        if not 0 <= value < network.joints:
            raise ValueError(f"{name} must be in 0..{network.joints - 1}, found {value}")
    if joint == root:
        raise ValueError(f"joint {joint} is the root, which is where it is by definition")
    if samples < 0 or not noise >= 0:
        raise ValueError(f"samples and noise must not be negative, found {samples} and {noise}")
    from tf_keras_vis.saliency import Saliency

    saliency = Saliency(window_model(network, hidden), clone=False)
    gradients = [
        with_numpy_seed(seed, saliency, coordinate_of(joint, root, axis), pose_2d[None], samples, noise)
        for axis in range(len(COORDINATES))
    ]
    return Attribution(np.concatenate(gradients).astype(np.float32), joint, samples, float(noise))


def check_available():
    """Raises `InputError` where attribution cannot be computed."""
    if keras.backend.backend() != "tensorflow":
        raise InputError(
            f"attribution maps need the TensorFlow backend, this is {keras.backend.backend()}: "
            "set KERAS_BACKEND=tensorflow; presets work on every backend"
        )
    if importlib.util.find_spec("tf_keras_vis") is None:
        raise InputError("attribution maps need tf-keras-vis, which is not installed: pip install tf-keras-vis")


def checked_window(network, pose_2d, hidden):
    """The window as float32, zero where hidden, and its mask; a `ValueError` for a wrong shape or NaN."""
    pose_2d = np.asarray(pose_2d, np.float32)
    expected = (network.frames, network.joints)
    if pose_2d.shape != (*expected, 2):
        raise ValueError(f"expected a window of shape {(*expected, 2)}, found {pose_2d.shape}")
    hidden = np.zeros(expected, bool) if hidden is None else np.asarray(hidden, bool)
    if hidden.shape != expected:
        raise ValueError(f"expected a mask of shape {expected}, found {hidden.shape}")
    pose_2d = np.where(hidden[..., None], np.float32(0), pose_2d)
    if not np.isfinite(pose_2d).all():
        raise ValueError("the window holds NaN or infinity; mark these joints hidden")
    return pose_2d, hidden


def window_model(network, hidden):
    """A model of one input, as tf-keras-vis needs it: (1, F, J, 2) -> (1, 1, J, 3), the mask built in."""
    pose = keras.Input((network.frames, network.joints, 2), name="pose_2d")
    batch = {"pose_2d": pose, "hidden": hidden[None]}
    return keras.Model([pose], network(batch, training=False)["center"])


def coordinate_of(joint, root, axis):
    """Score function of a coordinate, metres relative to the root."""
    return lambda center: center[:, 0, joint, axis] - center[:, 0, root, axis]


def with_numpy_seed(seed, saliency, score, window, samples, noise) -> np.ndarray:
    """(1, F, J, 2) signed gradients. tf-keras-vis draws from NumPy's global generator, which is put back."""
    state = np.random.get_state()
    np.random.seed(seed)
    try:
        gradients = saliency(
            score, window, smooth_samples=samples, smooth_noise=noise, keepdims=True, normalize_map=False,
            gradient_modifier=None,
        )  # fmt: skip
    finally:
        np.random.set_state(state)
    return np.asarray(gradients)
