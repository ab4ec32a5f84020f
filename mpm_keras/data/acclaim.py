"""Reader of Acclaim motion capture: an ASF skeleton and an AMC motion, to 17 Human3.6M joints.

The format is that of the CMU and HDM05 databases: the skeleton file (`.asf`) gives every bone a
direction and a length in the world frame of the rest pose, an `axis` frame in which its rotations
are meant, and its degrees of freedom (`dof`); the motion file (`.amc`) lists their values frame by
frame. With C the axis frame of a bone and M its rotation in a frame, its world rotation is

    G = G_parent C M C^-1,

and it leads from the end of its parent to the point further by G (length x direction).
"""

import dataclasses
import os

import numpy as np

from mpm_keras.data.bvh import LARGEST, extend_forearms, metres_per_unit, settle
from mpm_keras.data.motion import Motion
from mpm_keras.errors import InputError
from mpm_keras.skeletons import H36M_17

# Human3.6M joint -> the bones the mean of whose ends it is. The names are those of CMU and HDM05.
BONES = {
    "Hip": ("lhipjoint", "rhipjoint"),
    "Spine": ("lowerback",),
    "Thorax": ("thorax",),
    "Neck/Nose": ("lowerneck", "upperneck"),
    "Head": ("head",),
    **{
        side.upper() + joint: (side + bone,)
        for side in "lr"
        for joint, bone in (
            ("Hip", "hipjoint"), ("Knee", "femur"), ("Foot", "tibia"),
            ("Shoulder", "clavicle"), ("Elbow", "humerus"), ("Wrist", "radius"),
        )
    },
}  # fmt: skip
_TOES = ("lfoot", "rfoot")  # they end where the toes begin


@dataclasses.dataclass(frozen=True)
class Bone:
    """One bone of an ASF skeleton; the root is a bone of no length.

    Attributes:
        offset: (3,) length x direction, in the file's unit, world frame of the rest pose.
        axis: (3, 3) the frame C in which the bone's rotations are meant.
        dof: its channels in the order of the AMC values, such as `("rx", "ry", "rz")`.
    """

    offset: np.ndarray
    axis: np.ndarray
    dof: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class AcclaimSkeleton:
    """An ASF file: bones by name, parents before children; `metres` and `radians` are its units."""

    bones: dict[str, Bone]
    parents: dict[str, str]
    metres: float
    radians: float


def read_acclaim(asf_path, amc_path, fps: float = 120.0) -> Motion:
    """Reads one motion with its skeleton, at its own frame rate.

    Args:
        asf_path: the skeleton, with the bone names of the CMU and HDM05 databases, y up.
        amc_path: the motion.
        fps: frames a second, which the format does not hold; both databases have 120.

    Returns:
        A `Motion` with one clip (frames, 17, 3), named after the motion file: metres, z up, floor at
        zero, the first hip above the origin.

    Raises:
        InputError: a file is missing, truncated, not of its format or does not fit the other one;
            bones are missing; or no unit makes the skeleton as large as a person.
    """
    asf, amc = os.fspath(asf_path), os.fspath(amc_path)
    skeleton = parse_asf(asf)
    missing = sorted({b for bones in BONES.values() for b in bones} - set(skeleton.bones))
    if missing:
        raise InputError(f"{asf}: the skeleton lacks the bones {', '.join(missing)}")
    channels, radians = parse_amc(amc, skeleton)
    with np.errstate(over="ignore", invalid="ignore"):  # absurd values are refused below
        ends = forward_kinematics(skeleton, channels, radians)
    groups = [BONES[joint] for joint in H36M_17.joints] + [(toe,) for toe in _TOES if toe in ends]
    points = np.stack([np.mean([ends[bone] for bone in group], axis=0) for group in groups], axis=1)
    if not np.isfinite(points).all() or np.abs(points).max() > LARGEST:
        raise InputError(f"{amc}: the values are too large to be a motion")
    extend_forearms(points)
    points *= metres_per_unit(points, asf, declared=skeleton.metres)
    stem = os.path.splitext(os.path.basename(amc))[0]
    return Motion.from_clips([settle(points, up=1)], names=[stem], subjects=[stem], fps=[fps])


def forward_kinematics(skeleton: AcclaimSkeleton, channels: dict, radians: float) -> dict[str, np.ndarray]:
    """The world positions (frames, 3) of the ends of all bones, in the skeleton's unit.

    Args:
        skeleton: from `parse_asf`.
        channels: bone -> (frames, degrees of freedom), from `parse_amc`.
        radians: the size of the channels' unit of angle.
    """
    frames = len(channels["root"])
    rotations, ends = {}, {}
    for name, bone in skeleton.bones.items():
        values = channels.get(name, np.zeros((frames, 0)))
        turns = [(d[1], values[:, i] * radians) for i, d in enumerate(bone.dof) if d[0] == "r"]
        local = bone.axis @ euler(turns, frames) @ bone.axis.T
        if name == "root":
            moves = {d[1]: values[:, i] for i, d in enumerate(bone.dof) if d[0] == "t"}
            shift = np.stack([moves.get(axis, np.zeros(frames)) for axis in "xyz"], axis=-1)
            rotations[name], ends[name] = local, bone.offset + shift
        else:
            parent = skeleton.parents[name]
            rotations[name] = rotations[parent] @ local
            ends[name] = ends[parent] + rotations[name] @ bone.offset
    return ends


def euler(turns, frames: int = 1) -> np.ndarray:
    """The (frames, 3, 3) matrices that rotate about fixed axes one after the other.

    Args:
        turns: pairs of an axis, "x", "y" or "z", and angles (frames,) in radians; the first is applied first.
        frames: the number of matrices.
    """
    total = np.broadcast_to(np.eye(3), (frames, 3, 3))
    for axis, angle in turns:
        i = "xyz".index(axis)
        j, k = (i + 1) % 3, (i + 2) % 3
        turn = np.zeros((frames, 3, 3))
        turn[:, i, i] = 1
        turn[:, j, j] = turn[:, k, k] = np.cos(angle)
        turn[:, k, j] = np.sin(angle)
        turn[:, j, k] = -turn[:, k, j]
        total = turn @ total
    return total


def parse_asf(path) -> AcclaimSkeleton:
    """Parses a skeleton file. Raises `InputError` for one that is truncated or no ASF."""
    name = os.fspath(path)
    sections = _sections(name)
    try:
        units = {words[0]: words[1] for words in sections["units"] if len(words) > 1}
        metres = 0.0254 / float(units.get("length", 1.0))  # `length 0.45` means: 0.45 units make an inch
        radians = _angle_unit(units.get("angle", "deg"))
        bones = {"root": _root(sections["root"], radians)}
        for entry in _blocks(sections["bonedata"]):
            bones[entry["name"][0]] = _bone(entry, radians)
        order = _order(sections["hierarchy"], bones)
    except KeyError as error:
        raise InputError(f"{name}: not a readable ASF skeleton, {error.args[0]!r} is missing") from error
    except (ValueError, IndexError, ZeroDivisionError) as error:
        raise InputError(f"{name}: not a readable ASF skeleton ({error})") from error
    return AcclaimSkeleton({b: bones[b] for b in ["root", *order]}, order, metres, radians)


def parse_amc(path, skeleton: AcclaimSkeleton) -> tuple[dict[str, np.ndarray], float]:
    """Parses a motion file.

    Returns:
        Bone -> (frames, degrees of freedom) float64, and the size of the file's unit of angle in radians.

    Raises:
        InputError: it is truncated, no AMC, or does not fit the skeleton.
    """
    name = os.fspath(path)
    rows, radians, frames = {}, skeleton.radians, 0
    for words in _lines(name):
        if words[0].startswith(":"):
            if words[0].lower() in (":degrees", ":radians"):
                radians = _angle_unit(words[0][1:4].lower())
        elif len(words) == 1 and words[0].isdigit():
            frames += 1
        elif frames == 0:
            raise InputError(f"{name}: not an AMC motion, expected a frame number before {words[0][:40]!r}")
        elif words[0] not in skeleton.bones or not skeleton.bones[words[0]].dof:
            raise InputError(f"{name}: frame {frames} moves {words[0][:40]!r}, which the skeleton has no freedom for")
        else:
            rows.setdefault(words[0], []).append(words[1:])
    if not frames:
        raise InputError(f"{name}: not an AMC motion, it has no frames")
    mobile = [bone for bone, parts in skeleton.bones.items() if parts.dof]
    return {bone: _values(name, bone, rows.get(bone, []), frames, skeleton) for bone in mobile}, radians


def _values(name: str, bone: str, rows: list, frames: int, skeleton: AcclaimSkeleton) -> np.ndarray:
    """(frames, degrees of freedom) of one bone, all there and finite."""
    freedom = len(skeleton.bones[bone].dof)
    if len(rows) != frames:
        raise InputError(f"{name}: bone {bone} has values in {len(rows)} of {frames} frames")
    wrong = next((i for i, row in enumerate(rows) if len(row) != freedom), None)
    if wrong is not None:
        raise InputError(f"{name}: expected {freedom} values for {bone}, found {len(rows[wrong])} in frame {wrong + 1}")
    try:
        values = np.array(rows, dtype=str).astype(np.float64)
    except ValueError as error:
        raise InputError(f"{name}: bone {bone} has a value that is no number ({error})") from error
    if not np.isfinite(values).all():
        raise InputError(
            f"{name}: bone {bone} has NaN or infinity in frame {int((~np.isfinite(values)).argmax() // freedom) + 1}"
        )
    return values


def _lines(name: str):
    """The words of every line that is neither empty nor a comment."""
    if not os.path.isfile(name):
        raise InputError(f"{name}: no such file; expected an Acclaim .asf or .amc file")
    try:
        with open(name, encoding="latin-1") as file:  # comments are in any encoding, the rest is ASCII
            text = file.read()
    except OSError as error:
        raise InputError(f"{name}: cannot be read ({error.strerror})") from error
    if "\0" in text:
        raise InputError(f"{name}: expected an Acclaim text file, found binary data")
    return (words for line in text.splitlines() if (words := line.partition("#")[0].split()))


def _sections(name: str) -> dict[str, list[list[str]]]:
    """The lines of an ASF file by section: `:root`, `:bonedata` and so on."""
    sections, current = {}, None
    for words in _lines(name):
        if words[0].startswith(":"):
            current = sections.setdefault(words[0][1:].lower(), [])
        elif current is None:
            raise InputError(f"{name}: not an ASF skeleton, expected a line that begins with a colon")
        else:
            current.append(words)
    return {"units": [], **sections}


def _blocks(lines) -> list[dict[str, list[str]]]:
    """The `begin` ... `end` blocks of `:bonedata`, each as keyword -> words."""
    blocks, block = [], None
    for words in lines:
        if words[0] == "begin":
            block = {}
        elif words[0] == "end" and block is not None:
            blocks.append(block)
            block = None
        elif block is not None:
            block[words[0]] = words[1:]
    if block is not None:
        raise ValueError("the bone data end in the middle of a bone")
    return blocks


def _bone(entry: dict, radians: float) -> Bone:
    direction = _vector(entry["direction"])
    size = np.linalg.norm(direction)
    offset = direction * (float(entry["length"][0]) / size if size > 0 else 0.0)
    dof = tuple(d.lower() for d in entry.get("dof", ()))
    if not set(dof) <= {"rx", "ry", "rz"}:
        raise ValueError(f"bone {entry['name'][0]} has the freedom {' '.join(dof)}, expected only rx, ry and rz")
    axis = entry["axis"]
    return Bone(_finite(offset), _frame(axis[:3], axis[3] if len(axis) > 3 else "XYZ", radians), dof)


def _root(lines, radians: float) -> Bone:
    entry = {words[0]: words[1:] for words in lines}
    dof = tuple(d.lower() for d in entry["order"])
    if sorted(dof) != ["rx", "ry", "rz", "tx", "ty", "tz"]:
        raise ValueError(f"expected a root order of TX TY TZ RX RY RZ in any order, found {' '.join(dof)}")
    frame = _frame(entry.get("orientation", ["0"] * 3), entry.get("axis", ["XYZ"])[0], radians)
    return Bone(_vector(entry.get("position", ["0"] * 3)), frame, dof)


def _frame(angles: list[str], order: str, radians: float) -> np.ndarray:
    """(3, 3) rotation by the angles about x, y and z, taken in the given order such as "XYZ"."""
    if sorted(order.lower()) != ["x", "y", "z"]:
        raise ValueError(f"expected an axis order such as XYZ, found {order[:20]}")
    by_axis = dict(zip("xyz", _vector(angles) * radians, strict=True))
    return euler([(axis, by_axis[axis]) for axis in order.lower()])[0]


def _order(lines, bones: dict) -> dict[str, str]:
    """Bone -> parent from `:hierarchy`, parents before children; a bone stands in it once."""
    if not lines or lines[-1] != ["end"]:
        raise ValueError("the hierarchy has no end")
    parents = {}
    for parent, *children in lines:
        if parent in ("begin", "end"):
            continue
        if parent != "root" and parent not in parents:
            raise ValueError(f"the hierarchy uses {parent} before it is attached")
        for child in children:
            if child in parents or child not in bones or child == "root":
                raise ValueError(f"the hierarchy attaches {child}, which is unknown or already attached")
            parents[child] = parent
    return parents


def _angle_unit(word: str) -> float:
    return 1.0 if word.startswith("rad") else np.pi / 180


def _vector(words: list[str]) -> np.ndarray:
    if len(words) < 3:
        raise ValueError(f"expected three numbers, found {' '.join(words)}")
    return _finite(np.array([float(word) for word in words[:3]]))


def _finite(values: np.ndarray) -> np.ndarray:
    if not np.isfinite(values).all():
        raise ValueError("a number is NaN or infinite")
    return values
