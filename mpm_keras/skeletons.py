"""Keypoint conventions: joint names, parents, left/right pairs and limb groups.

Every place that needs a joint index, a flip or a limb takes it from here. Left is the person's own
left. The released code of the paper names its limb masks the wrong way round
(`OFFICIAL_CODE.md`, B 28); these tables do not, and `tests/test_part_masking.py` holds them to it.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np


@dataclasses.dataclass(frozen=True)
class Skeleton:
    """One keypoint convention with J joints.

    Attributes:
        name: the key in `SKELETONS`.
        joints: J joint names.
        parents: index of each joint's parent, -1 for the root joint.
        pairs: (left, right) joint indices that a horizontal flip exchanges.
        limbs: joint indices of each named body part; `left_leg`, `right_leg`, `left_arm` and
            `right_arm` are those of the paper's Tables 3 and 4.
    """

    name: str
    joints: tuple[str, ...]
    parents: tuple[int, ...]
    pairs: tuple[tuple[int, int], ...]
    limbs: Mapping[str, tuple[int, ...]]

    @property
    def num_joints(self) -> int:
        return len(self.joints)

    @property
    def root(self) -> int:
        """Index of the root joint: the one that 3D poses are relative to."""
        return self.parents.index(-1)

    @property
    def bones(self) -> tuple[tuple[int, int], ...]:
        """(parent, child) for every joint but the root."""
        return tuple((p, j) for j, p in enumerate(self.parents) if p >= 0)

    @property
    def flip_order(self) -> np.ndarray:
        """(J,) int32: `pose[..., flip_order, :]` exchanges left and right joints."""
        order = np.arange(self.num_joints, dtype=np.int32)
        for left, right in self.pairs:
            order[left], order[right] = right, left
        return order

    def index(self, joint: str) -> int:
        """Index of a joint by name. Raises `ValueError` for an unknown name."""
        if joint not in self.joints:
            raise ValueError(f"skeleton {self.name!r} has no joint {joint!r}; it has {', '.join(self.joints)}")
        return self.joints.index(joint)

    def limb(self, *names: str) -> tuple[int, ...]:
        """Joint indices of the union of limbs, ascending. Raises `ValueError` for an unknown limb."""
        for name in names:
            if name not in self.limbs:
                raise ValueError(f"skeleton {self.name!r} has no limb {name!r}; it has {', '.join(self.limbs)}")
        return tuple(sorted({j for name in names for j in self.limbs[name]}))

    def without(self, joint: str, name: str) -> "Skeleton":
        """The same convention without one joint; its children hang on its parent."""
        gone = self.index(joint)
        keep = [j for j in range(self.num_joints) if j != gone]
        new = {old: i for i, old in enumerate(keep)}
        new[-1] = -1
        new[gone] = new[self.parents[gone]]
        return Skeleton(
            name=name,
            joints=tuple(self.joints[j] for j in keep),
            parents=tuple(new[self.parents[j]] for j in keep),
            pairs=tuple((new[a], new[b]) for a, b in self.pairs),
            limbs={k: tuple(new[j] for j in v if j != gone) for k, v in self.limbs.items()},
        )

    def select_from(self, source: "Skeleton") -> np.ndarray:
        """(J,) int32 `order` such that `pose_of_source[..., order, :]` has this skeleton's joints.

        Raises `ValueError` when the source lacks one of the joints.
        """
        missing = [j for j in self.joints if j not in source.joints]
        if missing:
            raise ValueError(f"skeleton {source.name!r} lacks {', '.join(missing)} of skeleton {self.name!r}")
        return np.array([source.joints.index(j) for j in self.joints], np.int32)


# Human3.6M as VideoPose3D and its successors reduce it. "Neck/Nose" and "Head" (top of the head)
# are the dataset's own names; "RFoot" and "LFoot" are the ankles.
H36M_17 = Skeleton(
    name="h36m17",
    joints=(
        "Hip", "RHip", "RKnee", "RFoot", "LHip", "LKnee", "LFoot", "Spine", "Thorax",
        "Neck/Nose", "Head", "LShoulder", "LElbow", "LWrist", "RShoulder", "RElbow", "RWrist",
    ),
    parents=(-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15),
    pairs=((4, 1), (5, 2), (6, 3), (11, 14), (12, 15), (13, 16)),
    limbs={
        "left_leg": (4, 5, 6),
        "right_leg": (1, 2, 3),
        "left_arm": (11, 12, 13),
        "right_arm": (14, 15, 16),
        "torso": (0, 7, 8),
        "head": (9, 10),
    },
)  # fmt: skip

# Without Neck/Nose, which datasets define most differently: the paper's choice for mixing them.
H36M_16 = H36M_17.without("Neck/Nose", "h36m16")


def detector_skeleton(name: str, tree: str) -> Skeleton:
    """A detector's convention from `joint<parent` words in the order of its joints; the root has no parent.

    Left/right pairs and limbs follow from the names, which are the same in all these conventions.
    """
    joints, parent_names = zip(
        *((word.partition("<")[0], word.partition("<")[2]) for word in tree.split()), strict=True
    )
    place = {joint: i for i, joint in enumerate(joints)}
    pairs = [(i, place["right" + joint[4:]]) for joint, i in place.items() if joint.startswith("left")]

    def those(side, *ends):
        return tuple(i for joint, i in place.items() if joint.startswith(side) and joint.endswith(ends))

    limbs = {
        f"{side}_leg": those(side, "hip", "knee", "ankle", "toe", "heel", "foot_index") for side in ("left", "right")
    }
    hand = ("shoulder", "elbow", "wrist", "pinky", "index", "thumb")
    limbs |= {
        f"{side}_arm": tuple(i for i in those(side, *hand) if "foot" not in joints[i]) for side in ("left", "right")
    }
    parents = tuple(place[parent] if parent else -1 for parent in parent_names)
    return Skeleton(name, joints, parents, tuple(pairs), limbs)


_COCO = (
    "nose left_eye<nose right_eye<nose left_ear<left_eye right_ear<right_eye left_shoulder<nose right_shoulder<nose "
    "left_elbow<left_shoulder right_elbow<right_shoulder left_wrist<left_elbow right_wrist<right_elbow "
    "left_hip<left_shoulder right_hip<right_shoulder left_knee<left_hip right_knee<right_hip "
    "left_ankle<left_knee right_ankle<right_knee "
)

# COCO keypoints: Detectron2, MMPose, AlphaPose, Ultralytics, ViTPose.
COCO_17 = detector_skeleton("coco17", _COCO)

# AlphaPose's Halpe: COCO, three joints of the trunk, feet.
HALPE_26 = detector_skeleton(
    "halpe26",
    _COCO + "head<neck neck<nose hip<neck left_big_toe<left_ankle right_big_toe<right_ankle "
    "left_small_toe<left_ankle right_small_toe<right_ankle left_heel<left_ankle right_heel<right_ankle",
)

# OpenPose (its documentation, 02_output.md).
BODY_25 = detector_skeleton(
    "body25",
    "nose neck<nose right_shoulder<neck right_elbow<right_shoulder right_wrist<right_elbow left_shoulder<neck "
    "left_elbow<left_shoulder left_wrist<left_elbow hip<neck right_hip<hip right_knee<right_hip right_ankle<right_knee "
    "left_hip<hip left_knee<left_hip left_ankle<left_knee right_eye<nose left_eye<nose right_ear<right_eye "
    "left_ear<left_eye left_big_toe<left_ankle left_small_toe<left_ankle left_heel<left_ankle "
    "right_big_toe<right_ankle right_small_toe<right_ankle right_heel<right_ankle",
)

# MediaPipe Pose (BlazePose).
MEDIAPIPE_33 = detector_skeleton(
    "mediapipe33",
    "nose left_eye_inner<nose left_eye<left_eye_inner left_eye_outer<left_eye right_eye_inner<nose "
    "right_eye<right_eye_inner right_eye_outer<right_eye left_ear<left_eye_outer right_ear<right_eye_outer "
    "left_mouth<nose right_mouth<nose left_shoulder<nose right_shoulder<nose left_elbow<left_shoulder "
    "right_elbow<right_shoulder left_wrist<left_elbow right_wrist<right_elbow left_pinky<left_wrist "
    "right_pinky<right_wrist left_index<left_wrist right_index<right_wrist left_thumb<left_wrist "
    "right_thumb<right_wrist left_hip<left_shoulder right_hip<right_shoulder left_knee<left_hip right_knee<right_hip "
    "left_ankle<left_knee right_ankle<right_knee left_heel<left_ankle right_heel<right_ankle "
    "left_foot_index<left_heel right_foot_index<right_heel",
)

SKELETONS = {s.name: s for s in (H36M_17, H36M_16)}  # of networks and of motion
DETECTORS = {s.name: s for s in (COCO_17, HALPE_26, BODY_25, MEDIAPIPE_33)}

# What the head's top is in terms of a detector's joints: the ears, moved on from the middle of the
# shoulders by this share of the way between them. An adult's shoulders are some 24 cm below the
# ears, and these some 13 cm below the crown.
CROWN = 0.55

# Human3.6M joint -> {a detector's joint: weight}. All detectors have these joints, and further ones
# that some have (neck, hip, head) are not used, so that every detector speaks of the same joints.
FROM_DETECTOR = {
    "Hip": {"left_hip": 0.5, "right_hip": 0.5},
    "RHip": {"right_hip": 1.0},
    "RKnee": {"right_knee": 1.0},
    "RFoot": {"right_ankle": 1.0},
    "LHip": {"left_hip": 1.0},
    "LKnee": {"left_knee": 1.0},
    "LFoot": {"left_ankle": 1.0},
    "Spine": {"left_hip": 0.25, "right_hip": 0.25, "left_shoulder": 0.25, "right_shoulder": 0.25},
    "Thorax": {"left_shoulder": 0.5, "right_shoulder": 0.5},
    "Neck/Nose": {"nose": 1.0},
    "Head": {
        "left_ear": (1 + CROWN) / 2, "right_ear": (1 + CROWN) / 2,
        "left_shoulder": -CROWN / 2, "right_shoulder": -CROWN / 2,
    },
    "LShoulder": {"left_shoulder": 1.0},
    "LElbow": {"left_elbow": 1.0},
    "LWrist": {"left_wrist": 1.0},
    "RShoulder": {"right_shoulder": 1.0},
    "RElbow": {"right_elbow": 1.0},
    "RWrist": {"right_wrist": 1.0},
}  # fmt: skip


def joint_weights(source: Skeleton, target: Skeleton = H36M_17) -> np.ndarray:
    """(J, K) float64: `weights @ points` turns K joints of a detector into J of the target (`FROM_DETECTOR`).

    A linear rule commutes with every parallel projection: derived from 2D it is what the same rule
    derives from 3D, but for perspective within a body.
    """
    weights = np.zeros((target.num_joints, source.num_joints))
    for j, joint in enumerate(target.joints):
        for name, weight in FROM_DETECTOR[joint].items():
            weights[j, source.index(name)] = weight
    return weights


def from_detector(points, scores, source: Skeleton, target: Skeleton = H36M_17) -> tuple[np.ndarray, np.ndarray]:
    """A detector's joints as those of a network.

    A joint is as sure as the least sure of those it is derived from. Seen from the side the ears
    coincide and detectors lose the far one: a missing ear is taken to be where the other is.

    Args:
        points: (..., K, D); those of joints that were not found may be NaN.
        scores: (..., K) in [0, 1], 0 where not found.
        source, target: their conventions.

    Returns:
        (..., J, D) float32, NaN where a joint cannot be derived, and (..., J) float32 scores, there 0.

    Raises:
        ValueError: for shapes that do not fit.
    """
    points, scores = np.array(points, np.float64), np.array(scores, np.float64)
    if points.shape[:-1] != scores.shape or points.shape[-2:-1] != (source.num_joints,):
        raise ValueError(f"expected (..., {source.num_joints}, D) and its scores, found {points.shape}, {scores.shape}")
    found = np.isfinite(points).all(axis=-1) & (scores > 0)
    left, right = source.index("left_ear"), source.index("right_ear")
    for ear, other in ((left, right), (right, left)):
        alone = ~found[..., ear] & found[..., other]
        points[alone, ear], scores[alone, ear] = points[alone, other], scores[alone, other]
    found[..., [left, right]] |= found[..., [right, left]]
    weights = joint_weights(source, target)
    used = weights != 0
    mapped = np.einsum("jk,...kd->...jd", weights, np.where(found[..., None], points, 0.0))
    known = (found[..., None, :] | ~used).all(axis=-1)
    sure = np.where(used, scores[..., None, :], np.inf).min(axis=-1)
    mapped = np.where(known[..., None], mapped, np.nan).astype(np.float32)
    return mapped, np.where(known, sure, 0.0).astype(np.float32)


def get_skeleton(name: str) -> Skeleton:
    """A skeleton by name. Raises `ValueError` for an unknown one."""
    if name not in SKELETONS:
        raise ValueError(f"unknown skeleton {name!r}; known: {', '.join(SKELETONS)}")
    return SKELETONS[name]
