"""BVH: a skeleton of constant bone lengths for animation programs, through the library `pybvh`."""

import dataclasses

import numpy as np

from mpm_keras.formats.common import write_by_path
from mpm_keras.formats.rotations import euler_angles, swing, upright_frames
from mpm_keras.formats.scene import Placement, scene_positions
from mpm_keras.inference.bones import bone_lengths, directions
from mpm_keras.inference.lifted import LiftedMotion
from mpm_keras.skeletons import H36M_17, Skeleton

CONVENTION = (
    "centimetres, y up, x right of the picture, z towards the camera; rest pose: a T-pose that faces +z; "
    "constant bone lengths: the median of each bone, left and right averaged"
)

_UP, _DOWN, _LEFT, _RIGHT = "up", "down", "left", "right"
_AXES = {_UP: (0.0, 1.0, 0.0), _DOWN: (0.0, -1.0, 0.0), _LEFT: (1.0, 0.0, 0.0), _RIGHT: (-1.0, 0.0, 0.0)}

# The smallest rotation away from a bone's rest direction never turns 90 degrees about the bone, so with
# the bone's axis in the middle the angles do not lock. The hips may turn and pitch at will.
_ORDERS = {_UP: "ZYX", _DOWN: "XYZ", _LEFT: "ZXY", _RIGHT: "ZXY"}
_HIPS_ORDER = "YZX"

# End sites that no joint stands for, centimetres: to the knuckles, to the ball of the foot.
_HAND, _FOOT = 8.0, (0.0, -5.0, 13.0)


@dataclasses.dataclass(frozen=True)
class _Node:
    """A joint of the file.

    Attributes:
        name, parent: in the file; the names are those of MotionBuilder and Mixamo.
        at: the skeleton's joint that it stands at.
        towards: the skeleton's joint that its bone leads to; None for hands, feet and the chest.
        rest: where its bone points in the rest pose.
    """

    name: str
    parent: str | None
    at: str
    towards: str | None
    rest: str


def _arm(side: str, out: str) -> tuple[_Node, ...]:
    s = side[0]
    return (
        _Node(f"{side}Shoulder", "Spine1", "Thorax", f"{s}Shoulder", out),
        _Node(f"{side}Arm", f"{side}Shoulder", f"{s}Shoulder", f"{s}Elbow", out),
        _Node(f"{side}ForeArm", f"{side}Arm", f"{s}Elbow", f"{s}Wrist", out),
        _Node(f"{side}Hand", f"{side}ForeArm", f"{s}Wrist", None, out),
    )


def _leg(side: str, out: str) -> tuple[_Node, ...]:
    s = side[0]
    return (
        _Node(f"{side}HipJoint", "Hips", "Hip", f"{s}Hip", out),
        _Node(f"{side}UpLeg", f"{side}HipJoint", f"{s}Hip", f"{s}Knee", _DOWN),
        _Node(f"{side}Leg", f"{side}UpLeg", f"{s}Knee", f"{s}Foot", _DOWN),
        _Node(f"{side}Foot", f"{side}Leg", f"{s}Foot", None, _DOWN),
    )


# Depth first, as the file has them. Where bones fork, joints of offset zero give each bone a rotation
# of its own.
_NODES = (
    _Node("Hips", None, "Hip", "Spine", _UP),
    _Node("Spine", "Hips", "Spine", "Thorax", _UP),
    _Node("Spine1", "Spine", "Thorax", None, _UP),
    _Node("Neck", "Spine1", "Thorax", "Neck/Nose", _UP),
    _Node("Head", "Neck", "Neck/Nose", "Head", _UP),
    *_arm("Left", _LEFT),
    *_arm("Right", _RIGHT),
    *_leg("Left", _LEFT),
    *_leg("Right", _RIGHT),
)
_PLACE = {node.name: i for i, node in enumerate(_NODES)}
_LEAVES = {node.name for node in _NODES} - {node.parent for node in _NODES}


def write_bvh(path, motion: LiftedMotion, placement: Placement) -> None:
    """Writes a BVH file whose bones point as the lifted ones do.

    The joints lie where `bones.steady_bones` puts them. The root moves by the trajectory if known, else
    it stays above the origin. Rotations about a bone's own axis cannot be seen in joints: the hips, the
    spine and the chest turn with the lines through both hips and both shoulders, all others as little
    as they can. Joints that are not known are interpolated in time.

    Raises:
        ValueError: another skeleton than Human3.6M's 17 joints, or a joint that is never known.
    """
    if motion.skeleton.joints != H36M_17.joints:
        raise ValueError(f"BVH is written for the skeleton {H36M_17.name}, found {motion.skeleton.name}")
    points = _interpolated(100 * scene_positions(motion, placement), motion.skeleton)
    bvh = _build(points, bone_lengths(points, motion.skeleton), motion.skeleton, 1 / motion.fps)
    write_by_path(path, bvh.write)


def _build(points: np.ndarray, lengths: np.ndarray, skeleton: Skeleton, frame_time: float):
    """The `pybvh.Bvh` of points (F, J, 3), y up."""
    import pybvh
    from pybvh.bvhnode import BvhEndSite, BvhJoint, BvhRoot

    world = _world_rotations(points, skeleton)
    made, nodes, angles = {}, [], []
    for node in _NODES:
        if node.parent is None:
            order, local = _HIPS_ORDER, world[node.name]
            joint = BvhRoot(node.name, [0.0, 0.0, 0.0], rot_channels=order)
        else:
            parent = _NODES[_PLACE[node.parent]]
            order, local = _ORDERS[node.rest], world[parent.name].transpose(0, 2, 1) @ world[node.name]
            length = 0.0 if parent.at == node.at else lengths[skeleton.index(node.at)]
            offset = length * np.array(_AXES[parent.rest])
            joint = BvhJoint(node.name, offset, rot_channels=order, parent=made[parent.name])
            joint.parent.children.append(joint)
        made[node.name] = joint
        nodes.append(joint)
        angles.append(euler_angles(local, order))
        if node.name in _LEAVES:
            end = BvhEndSite(f"EndSite{node.name}", _end_site(node, lengths, skeleton), parent=joint)
            joint.children.append(end)
            nodes.append(end)
    return pybvh.Bvh(
        nodes=nodes,
        root_pos=points[:, skeleton.root],
        joint_angles=np.stack(angles, axis=1),
        frame_time=frame_time,
        world_up="+y",
    )


def _end_site(node: _Node, lengths: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """(3,) the offset of the end of a limb's last joint."""
    if node.towards is None and node.rest == _DOWN:
        return np.array(_FOOT)
    length = _HAND if node.towards is None else lengths[skeleton.index(node.towards)]
    return length * np.array(_AXES[node.rest])


def _world_rotations(points: np.ndarray, skeleton: Skeleton) -> dict[str, np.ndarray]:
    """The rotation (F, 3, 3) of each node from the rest pose into the scene."""

    def bone(start: str, end: str) -> np.ndarray:
        return directions(points[:, skeleton.index(end)] - points[:, skeleton.index(start)])

    hips, shoulders, back = bone("RHip", "LHip"), bone("RShoulder", "LShoulder"), bone("Spine", "Thorax")
    world = {
        "Hips": upright_frames(bone("Hip", "Spine"), hips),
        "Spine": upright_frames(back, hips + shoulders),
        "Spine1": upright_frames(back, shoulders),
    }
    for node in _NODES:
        if node.name in world:
            continue
        parent = world[node.parent]
        world[node.name] = parent
        if node.towards is not None:
            wanted = np.einsum("fji,fj->fi", parent, bone(node.at, node.towards))
            world[node.name] = parent @ swing(_AXES[node.rest], wanted)
    return world


def _interpolated(points: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Fills NaN by interpolation in time, each joint on its own. Raises `ValueError` for one that is never known."""
    frames = np.arange(len(points))
    for j, joint in enumerate(skeleton.joints):
        known = np.isfinite(points[:, j]).all(axis=-1)
        if not known.any():
            raise ValueError(f"joint {joint} is not known in any frame")
        if not known.all():
            for axis in range(3):
                points[:, j, axis] = np.interp(frames, frames[known], points[known, j, axis])
    return points
