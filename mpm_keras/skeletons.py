"""Keypoint conventions: joint names, parents, left/right pairs and limb groups.

Every place that needs a joint index, a flip or a limb takes it from here. Left is the person's own
left. The released code of the paper names its limb masks the wrong way round
(`OFFICIAL_CODE.md`, B 28); these tables do not, and `tests/test_skeletons.py` holds them to it.
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

SKELETONS = {s.name: s for s in (H36M_17, H36M_16)}


def get_skeleton(name: str) -> Skeleton:
    """A skeleton by name. Raises `ValueError` for an unknown one."""
    if name not in SKELETONS:
        raise ValueError(f"unknown skeleton {name!r}; known: {', '.join(SKELETONS)}")
    return SKELETONS[name]
