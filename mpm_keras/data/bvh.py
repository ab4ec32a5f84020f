"""Reader of BVH motion capture files: five families of joint names to 17 Human3.6M joints.

The file format (Biovision Hierarchy: a tree of joints with offsets, then one line of channel values
a frame) is parsed by the library `pybvh`. What a BVH file does not say is decided here: which of
its joints are the Human3.6M joints, its unit of length, its up axis and where the floor is.
`acclaim.py` shares the last three (`metres_per_unit`, `settle`).
"""

import contextlib
import dataclasses
import os
import shutil
import tempfile
import warnings
from collections.abc import Mapping

import numpy as np

from mpm_keras.data.motion import Motion
from mpm_keras.errors import InputError
from mpm_keras.skeletons import H36M_17

# The `wrist` bone of Acclaim files is the second half of the split forearm: in recordings with
# markers the wrist markers lie half way along it, so the wrist is 1.25 `radius` bones from the elbow.
WRIST_PER_RADIUS = 1.25

# cgspeed's BVH conversion of the CMU database lost the thorax bone. It is put back, straight up in
# the chest's frame, with the length that it has next to the back bone below it.
_THORAX_PER_UPPER_BACK = 1.004

_UNITS_IN_METRES = {"m": 1.0, "cm": 0.01, "mm": 0.001, "inch": 0.0254, "CMU (inch / 0.45)": 0.0254 / 0.45}
_STATURE_PER_LEG_AND_TRUNK = 1.3  # ankle to base of the neck is about 77 % of a person's stature

# How far above the floor a joint is when its body part rests on it.
_ANKLE_CLEARANCE, _CLEARANCE = 0.08, 0.03

LARGEST = 1e9  # no coordinate of a motion is larger in any unit; squares of larger ones overflow

# Not joint names but rules: the tip of the head, and the joint of the trunk nearest to its middle.
_TIP, _MIDDLE = "end of head", "middle of the trunk"


@dataclasses.dataclass(frozen=True)
class Family:
    """One way of naming joints.

    Attributes:
        name: for messages.
        joints: Human3.6M joint -> the file's joints (lower case) whose mean it is.
        marks: joints that tell the family from the others.
        chest: the joint that lost the thorax bone; the forearms then are Acclaim `radius` bones.
    """

    name: str
    joints: Mapping[str, tuple[str, ...]]
    marks: tuple[str, ...] = ()
    chest: str | None = None


def _joints(spine, thorax, neck, **limbs) -> dict:
    """A table of `Family` from the trunk's joints and what follows "left" or "right" in the limbs' names."""
    table = {"Spine": spine, "Thorax": thorax, "Neck/Nose": neck, "Head": (_TIP,)}
    for short, side in (("L", "left"), ("R", "right")):
        table.update({short + joint: (side + part,) for joint, part in limbs.items()})
    return {"Hip": table["LHip"] + table["RHip"], **table}


_ARM_LEG = dict(Hip="upleg", Knee="leg", Foot="foot", Shoulder="arm", Elbow="forearm", Wrist="hand")
_SHOULDER_HIP = dict(Hip="hip", Knee="knee", Foot="ankle", Shoulder="shoulder", Elbow="elbow", Wrist="wrist")

# The first family that fits is used, so the particular ones stand before the generic ones.
FAMILIES = (
    Family(
        "CMU, cgspeed",
        _joints(("spine",), ("neck",), ("neck1", "head"), **_ARM_LEG),
        marks=("lhipjoint", "lowerback", "spine1"),
        chest="spine1",
    ),
    Family(
        "CMU, cgspeed with LeftHip, LeftKnee",
        _joints(("chest",), ("lowerneck",), ("neck", "head"), **_SHOULDER_HIP),
        marks=("lhipjoint", "lowerback", "chest2"),
        chest="chest2",
    ),
    Family(
        "ACCAD",
        _joints(("spine", "spine1"), ("leftshoulder", "rightshoulder"), ("neck", "head"), **_ARM_LEG),
        marks=("tospine",),
    ),
    Family("LeftUpLeg, LeftArm", _joints((_MIDDLE,), ("neck",), ("head",), **_ARM_LEG)),
    Family("LeftHip, LeftShoulder", _joints((_MIDDLE,), ("neck",), ("head",), **_SHOULDER_HIP)),
)
# What `pybvh` raises on text that is no BVH: mostly ValueError; IndexError for a line that breaks off,
# TypeError and AttributeError for a tree it cannot build, RecursionError for one too deep.
_UNREADABLE = (
    ValueError, LookupError, TypeError, AttributeError, ArithmeticError, OSError, MemoryError, RecursionError
)  # fmt: skip
_TOES = ("lefttoebase", "righttoebase", "lefttoe", "righttoe")


def read_bvh(path) -> Motion:
    """Reads one BVH file as one clip, at the file's own frame rate.

    Args:
        path: a `.bvh` file whose joints are named as in one of `FAMILIES` (case does not matter; a
            prefix such as `mixamorig:` may stand before all names). Three rotation channels a joint,
            six channels at the root. Metres, centimetres, millimetres, inches or CMU units, y or z up.

    Returns:
        A `Motion` with one clip (frames, 17, 3), named after the file: metres, z up, floor at zero,
        the first hip above the origin. T-poses before the motion are left out.

    Raises:
        InputError: the file is missing, truncated, no BVH or has NaN; joints are missing; or no unit
            makes the skeleton as large as a person.
    """
    name = os.fspath(path)
    bvh = _parse(name)
    nodes = _nodes_by_name(bvh)
    family = _find_family(name, nodes)
    _restore_thorax(nodes, family)
    index = {id(node): i for i, node in enumerate(bvh.nodes)}
    sources = [_sources(family.joints[joint], nodes) for joint in H36M_17.joints]
    toes = [[nodes[toe]] for toe in _TOES if toe in nodes]
    columns = [[index[id(node)] for node in group] for group in sources + toes]
    moving = slice(_leading_rest_frames(bvh.joint_angles), None)
    with np.errstate(over="ignore", invalid="ignore"):  # absurd values are refused below
        points = _pick(bvh.node_positions()[moving], columns, family)
        rest = _pick(bvh.rest_pose_positions()[None], columns, family)
    if not np.isfinite(points).all() or np.abs(points).max() > LARGEST:
        raise InputError(f"{name}: the channel values are too large to be a motion")
    points *= metres_per_unit(points, name)
    clip = settle(points, up_axis(points, rest))
    stem = os.path.splitext(os.path.basename(name))[0]
    return Motion.from_clips([clip], names=[stem], subjects=[stem], fps=[bvh.fps])


def metres_per_unit(points: np.ndarray, name: str, declared: float | None = None) -> float:
    """The unit of length that makes a skeleton as tall as a person (1.4 to 2.1 m).

    Args:
        points: (frames, 17 or more, 3) in the file's unit, Human3.6M joints first.
        name: the file, for the message.
        declared: metres per unit as the file has it, taken if it is plausible.

    Raises:
        InputError: with no unit is the body's size plausible.
    """
    chain = [H36M_17.index(j) for j in ("LFoot", "LKnee", "LHip", "Hip", "Spine", "Thorax")]
    mirrored = H36M_17.flip_order[chain]
    bones = [np.diff(points[:, c], axis=1) for c in (chain, mirrored)]
    lengths = np.median(np.linalg.norm(np.stack(bones), axis=-1), axis=1).mean(0)
    size = _STATURE_PER_LEG_AND_TRUNK * (lengths.sum() - lengths[2])  # without the half hip width
    units = [u for u in _UNITS_IN_METRES.values() if 1.4 <= u * size <= 2.1]
    if declared is not None and 1.4 <= declared * size <= 2.1:
        return declared
    if not units:
        raise InputError(
            f"{name}: expected a person of 1.4 to 2.1 m, but legs and trunk give a stature of {size:.4g} units, "
            f"which is none in {', '.join(_UNITS_IN_METRES)}"
        )
    return min(units, key=lambda u: abs(np.log(u * size / 1.7)))


def up_axis(points: np.ndarray, rest: np.ndarray) -> int:
    """The up axis, 1 (y) or 2 (z), of a motion (frames, 17 or more, 3) with rest pose (1, 17 or more, 3).

    The legs of the rest pose say it if the person ever stands so; a rest pose drawn in another frame
    than the motion is overruled by a person upright along the other axis nearly all the time. Someone
    who lies throughout is thus believed to lie, unless the rest pose is of no help.
    """
    upright = {axis: float(_is_upright(points, axis, "Head").mean()) for axis in (1, 2)}
    standing = [axis for axis in (1, 2) if _is_upright(rest, axis, "Hip")[0]]
    if not standing:
        return 2 if upright[2] > upright[1] else 1
    axis, other = standing[0], 3 - standing[0]
    return other if upright[axis] < 0.1 and upright[other] > 0.9 else axis


def settle(points: np.ndarray, up: int) -> np.ndarray:
    """Brings a motion in metres into the world frame of `Motion`.

    Args:
        points: (frames, 17 or more, 3), Human3.6M joints first, then toes where known.
        up: the axis that points up, 1 (y) or 2 (z).

    Returns:
        (frames, 17, 3) float32: z up, floor at zero, the hip of the first frame at x = y = 0.
    """
    if up == 1:
        points = points[..., [2, 0, 1]]  # cyclic, so it stays right-handed
    clearance = np.full(points.shape[1], _CLEARANCE)
    clearance[[H36M_17.index("LFoot"), H36M_17.index("RFoot")]] = _ANKLE_CLEARANCE
    floor = np.percentile((points[..., 2] - clearance).min(axis=1), 5)
    origin = np.array([*points[0, H36M_17.root, :2], floor])
    return (points[:, : H36M_17.num_joints] - origin).astype(np.float32)


@contextlib.contextmanager
def _with_plain_suffix(name: str):
    """The path of the file under a name that ends with `.bvh`, which `pybvh` insists on (`.BVH` exists)."""
    if name.endswith(".bvh"):
        yield name
        return
    with tempfile.TemporaryDirectory() as folder:
        yield shutil.copyfile(name, os.path.join(folder, "copy.bvh"))


def _parse(name: str):
    """The `pybvh.Bvh` of a file, with finite numbers and a sensible frame rate."""
    import pybvh

    if not os.path.isfile(name):
        raise InputError(f"{name}: no such file; expected a .bvh file")
    try:
        with warnings.catch_warnings():
            # An empty motion block is an error below; NumPy's warning about it would say it twice.
            warnings.filterwarnings("ignore", "loadtxt: input contained no data", UserWarning)
            with _with_plain_suffix(name) as plain:
                bvh = pybvh.read_bvh_file(plain, world_up="+y")  # given, so that pybvh does not guess
    except _UNREADABLE as error:
        reason = " ".join(str(error).replace(f" in file {name}", "").replace(name, "the file").split())
        raise InputError(f"{name}: not a readable BVH file ({reason[:200]})") from error
    values = (bvh.root_pos, bvh.joint_angles, np.array([node.offset for node in bvh.nodes]))
    if not all(np.isfinite(v).all() for v in values):
        raise InputError(f"{name}: the offsets or channel values hold NaN or infinity")
    if not 1e-4 <= bvh.frame_time <= 1:
        raise InputError(f"{name}: expected a frame time of 0.0001 to 1 s, found {bvh.frame_time:g}")
    return bvh


def _nodes_by_name(bvh) -> dict:
    """Joints by their lower-case names, without the prefix that stands before the root's "Hips"."""
    root = bvh.root.name.lower()
    prefix = next((root[: -len(word)] for word in ("hips", "hip", "pelvis") if root.endswith(word)), "")
    return {node.name.lower().removeprefix(prefix): node for node in bvh.nodes if not node.is_end_site()}


def _find_family(name: str, nodes: dict) -> Family:
    """The first family all of whose joints are there; the message tells what the closest one lacks."""
    lacking = {}
    for family in FAMILIES:
        if all(mark in nodes for mark in family.marks):
            missing = [" + ".join(keys) for keys in family.joints.values() if not _sources(keys, nodes)]
            if not missing:
                return family
            lacking[family.name] = missing
    nearest = min(lacking, key=lambda family: len(lacking[family]))
    raise InputError(f"{name}: the skeleton lacks the joints {', '.join(lacking[nearest])} (nearest naming: {nearest})")


def _sources(keys: tuple[str, ...], nodes: dict) -> list:
    """The nodes of a table entry; empty if one of them is not in the file."""
    if keys == (_TIP,):
        return _tip_of_head(nodes)
    if keys == (_MIDDLE,):
        return _middle_of_trunk(nodes)
    return [nodes[key] for key in keys] if all(key in nodes for key in keys) else []


def _tip_of_head(nodes: dict) -> list:
    """The end site of the head, or the joint that stands for it (Mixamo's `HeadTop_End`)."""
    children = nodes["head"].children if "head" in nodes else []
    tips = [c for c in children if c.is_end_site() or any(word in c.name.lower() for word in ("top", "end", "nub"))]
    return [tip for tip in tips if np.linalg.norm(tip.offset) > 0][:1]


def _middle_of_trunk(nodes: dict) -> list:
    """The joint between the root and the neck that is nearest to half of the way along the bones."""
    chain = []
    node = nodes.get("neck")
    while node is not None and node.parent is not None:
        chain.insert(0, node)
        node = node.parent
    if len(chain) < 2:
        return []
    along = np.cumsum([np.linalg.norm(node.offset) for node in chain])
    return [chain[int(np.abs(along[:-1] - along[-1] / 2).argmin())]]


def _restore_thorax(nodes: dict, family: Family) -> None:
    """Lifts neck and shoulders of a cgspeed skeleton by the thorax bone that the conversion lost."""
    if family.chest is not None:
        chest = nodes[family.chest]
        length = _THORAX_PER_UPPER_BACK * np.linalg.norm(chest.offset)
        for child in chest.children:
            child.offset = child.offset + np.array([0.0, length, 0.0])


def _leading_rest_frames(angles: np.ndarray) -> int:
    """How many T-pose frames precede the motion, for angles (frames, joints, 3).

    Such a frame has angles of exactly zero nearly everywhere (cgspeed: all but the arms and feet),
    which measured motion has not. A clip that is like this throughout is kept whole.
    """
    zeros = (angles == 0).mean(axis=(1, 2))
    moving = zeros < 0.5
    first = int(moving.argmax())
    return first if moving.any() and (zeros[:first] > 0.75).all() else 0


def _pick(positions: np.ndarray, columns: list, family: Family) -> np.ndarray:
    """(frames, nodes, 3) -> (frames, 17 and toes, 3) float64."""
    points = np.stack([positions[:, c].mean(axis=1) for c in columns], axis=1)
    if family.chest is not None:
        extend_forearms(points)
    return points


def extend_forearms(points: np.ndarray) -> None:
    """Moves the wrists, given as ends of the Acclaim `radius` bones, to where wrists are; in place."""
    for side in "LR":
        elbow, wrist = H36M_17.index(side + "Elbow"), H36M_17.index(side + "Wrist")
        points[:, wrist] += (WRIST_PER_RADIUS - 1) * (points[:, wrist] - points[:, elbow])


def _is_upright(points: np.ndarray, axis: int, top: str) -> np.ndarray:
    """(frames,) bool: the line from the ankles to the joint `top` points along the axis within 45 degrees."""
    ankles = points[:, [H36M_17.index("LFoot"), H36M_17.index("RFoot")]].mean(axis=1)
    line = points[:, H36M_17.index(top)] - ankles
    return line[:, axis] > np.sqrt(0.5) * np.linalg.norm(line, axis=-1)
