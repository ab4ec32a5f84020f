"""SMPL forward kinematics in NumPy: axis-angle poses to 17 Human3.6M joints.

The 22 joints that SMPL, SMPL+H and SMPL-X share carry the limbs; nose and top of the head are points on
the head, of the user's body-model file (Loper et al. 2015; not shipped, its licence forbids that) or of
`MEAN_BODY`.
"""

import dataclasses
from pathlib import Path

import numpy as np

from mpm_keras.data.foreign import named, numbers
from mpm_keras.data.safe_pickle import load_archive, load_pickle
from mpm_keras.errors import InputError
from mpm_keras.skeletons import H36M_17

JOINTS = (
    "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle",
    "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head", "left_shoulder",
    "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
)  # fmt: skip
PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19)
POINTS = ("nose", "crown")  # behind the joints
# Human3.6M joint -> the SMPL joints and points whose mean it is.
TO_H36M = {
    "Hip": ("left_hip", "right_hip"), "RHip": ("right_hip",), "RKnee": ("right_knee",), "RFoot": ("right_ankle",),
    "LHip": ("left_hip",), "LKnee": ("left_knee",), "LFoot": ("left_ankle",), "Spine": ("spine2",),
    "Thorax": ("neck",), "Neck/Nose": ("nose",), "Head": ("crown",), "LShoulder": ("left_shoulder",),
    "LElbow": ("left_elbow",), "LWrist": ("left_wrist",), "RShoulder": ("right_shoulder",),
    "RElbow": ("right_elbow",), "RWrist": ("right_wrist",),
}  # fmt: skip
_NAMES = (*JOINTS, *POINTS)
_ARRAYS = ("J_regressor", "v_template", "shapedirs", "kintree_table", "weights")


@dataclasses.dataclass(frozen=True, eq=False)
class BodyModel:
    """A body at rest (T-pose, y up, facing +z, left towards +x) as a function of its shape.

    Attributes:
        template: (24, 3) metres: the 22 joints, nose and crown, of the mean shape.
        directions: (24, 3, B) metres per unit of the B shape parameters.
        weights: (2, 22) share of each joint in how nose and crown move; rows add up to 1.
    """

    template: np.ndarray
    directions: np.ndarray
    weights: np.ndarray

    def at_rest(self, betas) -> np.ndarray:
        """(24, 3) of a shape; parameters beyond the model's count for nothing."""
        count = min(self.directions.shape[-1], len(betas))
        return self.template + self.directions[..., :count] @ np.asarray(betas, np.float64)[:count]


def forward(model: BodyModel, rotations, betas, trans) -> np.ndarray:
    """Poses a body.

    Args:
        model: the body.
        rotations: (F, 66 or more) axis-angle of the 22 joints, radians; further ones (hands) are not used.
        betas: (B,) shape.
        trans: (F, 3) metres.

    Returns:
        (F, 17, 3) Human3.6M joints, metres, in the frame of `trans`.
    """
    from scipy.spatial.transform import Rotation

    rotations = np.asarray(rotations, np.float64)[:, : 3 * len(JOINTS)]
    frames, rest = len(rotations), model.at_rest(betas)
    local = Rotation.from_rotvec(rotations.reshape(-1, 3)).as_matrix().reshape(frames, len(JOINTS), 3, 3)
    turned, placed = np.empty_like(local), np.empty((frames, len(JOINTS), 3))
    turned[:, 0], placed[:, 0] = local[:, 0], rest[0] + trans
    for joint, parent in list(enumerate(PARENTS))[1:]:
        turned[:, joint] = turned[:, parent] @ local[:, joint]
        placed[:, joint] = placed[:, parent] + turned[:, parent] @ (rest[joint] - rest[parent])
    # A point on the head is where the joints that move it put it, by their weights (linear blend skinning).
    arms = rest[len(JOINTS) :, None] - rest[None, : len(JOINTS)]  # (2, 22, 3)
    points = np.einsum("pk,fkij,pkj->fpi", model.weights, turned, arms)
    points += np.einsum("pk,fki->fpi", model.weights, placed)
    everything = np.concatenate([placed, points], axis=1)
    columns = [[_NAMES.index(name) for name in TO_H36M[joint]] for joint in H36M_17.joints]
    return np.stack([everything[:, c].mean(axis=1) for c in columns], axis=1)


def _mean_body() -> BodyModel:
    """An adult of 1.70 m from segment lengths in shares of stature (Winter, after Drillis and Contini 1966).

    Thigh 0.245, shank 0.246, foot height 0.039, upper arm and forearm (joint centres) 0.165 and 0.147,
    shoulders 0.21 apart, base of the neck at 0.85. The pelvis joint lies 8 cm above the hips, as SMPL's does.
    """
    offsets = {
        "pelvis": (0, 0, 0), "left_hip": (0.085, -0.083, 0), "left_knee": (0.02, -0.416, 0),
        "left_ankle": (-0.01, -0.417, -0.03), "left_foot": (0.03, -0.05, 0.13),
        "spine1": (0, 0.105, -0.02), "spine2": (0, 0.13, 0.005), "spine3": (0, 0.055, 0.02),
        "neck": (0, 0.172, -0.04), "left_collar": (0.075, 0.1, -0.03), "left_shoulder": (0.105, 0.03, -0.01),
        "left_elbow": (0.28, 0, -0.02), "left_wrist": (0.25, 0, 0),
        "head": (0, 0.085, 0.045), "nose": (0, 0.03, 0.1), "crown": (0, 0.17, -0.01),
    }  # fmt: skip
    parents = dict(zip(JOINTS, (None if p < 0 else JOINTS[p] for p in PARENTS), strict=True))
    parents |= dict.fromkeys(POINTS, "head")
    places = {}
    for name in _NAMES:
        x, y, z = offsets[name.replace("right_", "left_")]
        start = np.zeros(3) if parents[name] is None else places[parents[name]]
        places[name] = start + (-x if name.startswith("right_") else x, y, z)
    template = np.stack([places[name] for name in _NAMES])
    weights = np.zeros((len(POINTS), len(JOINTS)))
    weights[:, JOINTS.index("head")] = 1
    return BodyModel(template, np.zeros((len(_NAMES), 3, 0)), weights)


MEAN_BODY = _mean_body()


def load_body_model(path) -> BodyModel:
    """Reads a SMPL, SMPL+H or SMPL-X body model.

    Args:
        path: `.npz` with J_regressor (K, V), v_template (V, 3), shapedirs (V, 3, B), kintree_table (2, K)
            and weights (V, K); or a `.pkl` of a dictionary of these, if they are plain arrays.

    Returns:
        The body; nose and crown are its foremost vertex above the head joint and its highest one.

    Raises:
        InputError: the file is missing or damaged, lacks an array, or its joints are not SMPL's; or it
            is a pickle of chumpy or sparse arrays, and the message says how to convert it.
    """
    path = Path(path)
    with named(path):
        arrays = _load_arrays(path)
        vertices = numbers(arrays["v_template"], (None, 3), "v_template")
        count = len(vertices)
        regressor = numbers(arrays["J_regressor"], (None, count), "J_regressor")
        shapes = numbers(arrays["shapedirs"], (count, 3, None), "shapedirs")
        weights = numbers(arrays["weights"], (count, len(regressor)), "weights")[:, : len(JOINTS)]
        parents = numbers(arrays["kintree_table"], (2, len(regressor)), "kintree_table", finite=False)[0]
        if parents[1 : len(JOINTS)].tolist() != list(PARENTS[1:]):
            raise InputError("the joints of kintree_table are not those of SMPL, SMPL+H or SMPL-X")
        regressor = regressor[: len(JOINTS)]
        joints = regressor @ vertices
        points = _points_on_the_head(vertices, joints[JOINTS.index("head")])
        if not (sums := weights[points].sum(axis=1)).all():
            raise InputError("weights: the vertices of the head follow no joint")
    return BodyModel(
        template=np.concatenate([joints, vertices[points]]),
        directions=np.concatenate([np.einsum("kv,vib->kib", regressor, shapes), shapes[points]]),
        weights=weights[points] / sums[:, None],
    )


def _points_on_the_head(vertices, head) -> list[int]:
    """The vertices of nose and crown."""
    face = (vertices[:, 1] > head[1]) & (np.abs(vertices[:, 0] - head[0]) < 0.03)
    if not face.any():
        raise InputError("v_template: no vertex above the head joint; expected a body with y up, facing +z")
    return [int(np.where(face, vertices[:, 2], -np.inf).argmax()), int(vertices[:, 1].argmax())]


def _load_arrays(path) -> dict:
    """The arrays of a model file. Raises `InputError`; with advice where it holds arrays of other packages."""
    try:
        arrays = load_pickle(path) if path.suffix.lower() == ".pkl" else load_archive(path, _ARRAYS)
    except InputError as error:
        if not any(package in str(error) for package in ("chumpy", "scipy")):
            raise
        raise InputError(
            f"{error}; body models of chumpy or sparse arrays are not read: where chumpy is installed, save "
            f"{', '.join(_ARRAYS)} of it as dense arrays with numpy.savez, and give that .npz"
        ) from None
    if not isinstance(arrays, dict):
        raise InputError(f"expected a dictionary of arrays, found {type(arrays).__name__}")
    if missing := [name for name in _ARRAYS if name not in arrays]:
        raise InputError(f"the array {missing[0]!r} is missing; expected {', '.join(_ARRAYS)}")
    return arrays
