"""From what a file says of people to `Detections`: the checks that every layout shares."""

import dataclasses
import math

import numpy as np

from mpm_keras.errors import InputError
from mpm_keras.keypoints.detections import Detections
from mpm_keras.skeletons import BODY_25, COCO_17, DETECTORS, H36M_17, HALPE_26, MEDIAPIPE_33, Skeleton

MAX_FRAMES = 500_000  # more than an hour at 120 frames a second
MAX_PEOPLE = 200  # in a frame; everybody is compared with everybody, and twice as many take four times the memory
_FARTHEST = 1e6  # pixels; what lies farther out is no place in a picture
_NORMALISED = 3.0  # coordinates that never exceed this are shares of the picture, not pixels

# OpenPose's older output (`--model_pose COCO`): COCO's joints in another order, and a neck.
_OPENPOSE_COCO = (0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10)

# Number of joints in a file -> convention, and where its joints stand in the file. Whole-body
# conventions begin with the body.
_BY_COUNT = {
    17: (COCO_17, range(17)),
    18: (COCO_17, _OPENPOSE_COCO),
    25: (BODY_25, range(25)),
    26: (HALPE_26, range(26)),
    33: (MEDIAPIPE_33, range(33)),
    133: (COCO_17, range(17)),
    136: (HALPE_26, range(26)),
}
JOINT_COUNTS = tuple(_BY_COUNT)
CONVENTIONS = {**DETECTORS, H36M_17.name: H36M_17}


@dataclasses.dataclass
class Found:
    """What the reader of a layout gathers, before any check.

    Attributes:
        layout: its name.
        frames: frame number of each of the N people, from 0.
        people: N nested lists or arrays (K, 2) of x, y, or (K, 3) of x, y, score; or one array of all.
        ids: the file's number of each person, -1 where it has none; empty: none has.
        num_frames: frames that the file knows of; further ones in `frames` count too.
        image_size, fps: where the file says.
        normalised: coordinates are shares of width and height; None: to be told from their range.
        joints: names of the K joints where the file gives them.
        notes: what was assumed.
    """

    layout: str
    frames: list = dataclasses.field(default_factory=list)
    people: list | np.ndarray = dataclasses.field(default_factory=list)
    ids: list = dataclasses.field(default_factory=list)
    num_frames: int = 0
    image_size: tuple | None = None
    fps: float | None = None
    normalised: bool | None = False
    joints: tuple[str, ...] | None = None
    notes: list = dataclasses.field(default_factory=list)

    def add(self, frame, person, track_id=-1):
        """One person in one frame."""
        self.frames.append(frame)
        self.people.append(person)
        self.ids.append(track_id)


def to_detections(path, found: Found, convention=None, image_size=None, fps=None) -> Detections:
    """Checks what was found in a file and gives it the form that all layouts share.

    Args:
        path: names the file in errors.
        found: what its reader gathered.
        convention: name of the joint convention, or None to tell it from the file.
        image_size, fps: what the caller knows; it goes before what the file says.
    """
    frames = _frame_numbers(path, found)
    values = _stack(path, found, frames)
    skeleton, order = _convention(path, found, values.shape[1], convention)
    values = values[:, order]
    size = check_image_size(path, image_size if image_size is not None else found.image_size)
    rate = check_fps(path, fps if fps is not None else found.fps)
    notes = list(found.notes)
    points, scores = _points_and_scores(path, values, notes)
    points = _in_pixels(path, found, points, size)
    ids = np.asarray(found.ids, np.int64) if len(found.ids) else np.full(len(frames), -1, np.int64)
    seen = (scores > 0).any(axis=1)
    if not seen.any():
        raise InputError(f"{path}: expected people, found none in any frame of this {found.layout} file")
    _note_outside(points, scores, size, notes)
    order = np.flatnonzero(seen)[np.argsort(frames[seen], kind="stable")]
    frames, ids = frames[order], ids[order]
    return Detections(
        skeleton=skeleton,
        num_frames=max(found.num_frames, int(frames[-1]) + 1),
        frame=frames,
        points=points[order].astype(np.float32),
        scores=scores[order].astype(np.float32),
        track_ids=_unique_ids(frames, ids, notes),
        image_size=size,
        fps=rate,
        layout=found.layout,
        notes=tuple(notes),
    )


def integer(path, value, what: str) -> int:
    """A whole number as files write it (12, 12.0), or `InputError`."""
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return int(value)
    raise InputError(f"{path}: expected a whole number as {what}, found {str(value)[:40]!r}")


def track_id(path, value) -> int:
    """A person's number, -1 for none; negative numbers mean none in every tool."""
    if value is None:
        return -1
    number = integer(path, value, "a person's id")
    return number if 0 <= number < 2**62 else -1


def check_image_size(path, size) -> tuple[int, int] | None:
    """(width, height) as integers, None for None, or `InputError`."""
    if size is None:
        return None
    expected = f"{path}: expected an image size of two positive whole numbers, found {str(size)[:60]}"
    try:
        width, height = (float(v) for v in size)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(expected) from error
    if not (width.is_integer() and height.is_integer() and min(width, height) >= 1 and max(width, height) <= 1e5):
        raise InputError(expected)
    return int(width), int(height)


def check_fps(path, fps) -> float | None:
    """A frame rate, None for None, or `InputError`."""
    if fps is None:
        return None
    expected = f"{path}: expected a positive number of frames a second, found {str(fps)[:60]}"
    try:
        rate = float(fps)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(expected) from error
    if not 0 < rate <= 10_000:
        raise InputError(expected)
    return rate


def _frame_numbers(path, found):
    if not len(found.frames) or not len(found.people):
        raise InputError(f"{path}: expected people, found none in any frame of this {found.layout} file")
    last = max(max(found.frames), found.num_frames - 1)
    if min(found.frames) < 0 or last >= MAX_FRAMES:
        bad = min(found.frames) if min(found.frames) < 0 else last
        raise InputError(f"{path}: expected frame numbers from 0 to {MAX_FRAMES - 1}, found {str(bad)[:40]}")
    frames = np.asarray(found.frames, np.int64)
    if (most := int(np.bincount(frames).max())) > MAX_PEOPLE:
        raise InputError(f"{path}: expected up to {MAX_PEOPLE} people in a frame, found {most}")
    return frames


def _stack(path, found, frames):
    """(N, K, 2 or 3) float64 of all people; names the frame of the first that does not fit."""
    try:
        values = np.asarray(found.people, np.float64)
    except (TypeError, ValueError, OverflowError):
        values = None
    if values is not None and values.ndim == 3 and values.shape[2] in (2, 3):
        return values
    shapes = {}
    for frame, person in zip(frames, found.people, strict=True):
        try:
            shape = np.asarray(person, np.float64).shape
        except (TypeError, ValueError, OverflowError):
            raise InputError(f"{path}: frame {frame}: expected numbers as keypoints of a person") from None
        if len(shape) != 2 or shape[1] not in (2, 3):
            raise InputError(f"{path}: frame {frame}: expected keypoints of shape (K, 2) or (K, 3), found {shape}")
        shapes.setdefault(shape, frame)
    told = ", ".join(f"{shape} in frame {frame}" for shape, frame in list(shapes.items())[:3])
    raise InputError(f"{path}: expected as many joints for everybody, found {told}")


def _convention(path, found, count, wanted) -> tuple[Skeleton, list]:
    """The skeleton and where its joints stand in the file."""
    if wanted is not None and count != CONVENTIONS[wanted].num_joints and count not in JOINT_COUNTS:
        raise InputError(f"{path}: expected {CONVENTIONS[wanted].num_joints} joints ({wanted}), found {count}")
    if found.joints is not None and wanted is None:
        return _by_name(path, found.joints)
    if wanted is not None:
        skeleton, order = CONVENTIONS[wanted], range(CONVENTIONS[wanted].num_joints)
        by_count = _BY_COUNT.get(count)
        if by_count and by_count[0] is skeleton:
            order = by_count[1]
        elif count != skeleton.num_joints:
            raise InputError(f"{path}: expected {skeleton.num_joints} joints ({wanted}), found {count}")
        return skeleton, list(order)
    if count not in _BY_COUNT:
        known = ", ".join(map(str, JOINT_COUNTS))
        raise InputError(f"{path}: expected people of {known} joints, found {count}")
    skeleton, order = _BY_COUNT[count]
    return skeleton, list(order)


def _by_name(path, joints):
    """The largest convention all of whose joints the file names."""
    place = {}
    for i, joint in enumerate(joints):
        place.setdefault(plain_name(joint), i)
    fits = [s for s in CONVENTIONS.values() if all(plain_name(joint) in place for joint in s.joints)]
    if not fits:
        missing = [joint for joint in COCO_17.joints if plain_name(joint) not in place]
        raise InputError(
            f"{path}: expected joints of one of {', '.join(CONVENTIONS)}; for coco17 it lacks {', '.join(missing[:4])}"
        )
    skeleton = max(fits, key=lambda s: s.num_joints)
    return skeleton, [place[plain_name(joint)] for joint in skeleton.joints]


def plain_name(joint) -> str:
    """A joint's name without what tools spell differently: "Left Eye (inner)" and "left_eye_inner" are one."""
    name = "".join(c for c in str(joint).lower() if c.isalnum())
    return {"mouthleft": "leftmouth", "mouthright": "rightmouth"}.get(name, name)


def _points_and_scores(path, values, notes):
    """(N, K, 2) and (N, K): not found is NaN and 0."""
    points = values[..., :2].copy()
    scores = values[..., 2].copy() if values.shape[2] == 3 else np.ones(values.shape[:2])
    scores[~np.isfinite(scores)] = 0.0
    if (scores > 1).any():
        notes.append(f"scores up to {scores.max():.3g} are taken as 1")
    np.clip(scores, 0.0, 1.0, out=scores)
    far = np.abs(points).max(axis=-1) > _FARTHEST  # also of NaN: False
    if far.any():
        notes.append(f"{int(far.sum())} joints millions of pixels away are taken as not found")
    lost = far | ~np.isfinite(points).all(axis=-1) | (points == 0).all(axis=-1) | (scores < 1e-6)
    points[lost], scores[lost] = np.nan, 0.0
    return points, scores


def _in_pixels(path, found, points, size):
    normalised = found.normalised
    if normalised is None:
        known = points[np.isfinite(points)]
        normalised = bool(known.size) and np.abs(known).max() <= _NORMALISED
        if normalised and (known < 0).mean() > 0.2:
            raise InputError(
                f"{path}: expected pixels, or shares of width and height from 0 to 1; "
                f"found {known.min():.3g} to {known.max():.3g}"
            )
    if not normalised:
        return points
    if size is None:
        raise InputError(f"{path}: its coordinates are shares of the picture; expected an image size to go with them")
    return points * np.asarray(size, np.float64)


def _note_outside(points, scores, size, notes):
    """Says where many joints lie outside the picture: the size is then hardly that of the video."""
    if size is not None:
        known = points[scores > 0]
        share = ((known < -0.1 * np.array(size)) | (known > 1.1 * np.array(size))).any(axis=-1).mean()
        if share > 0.05:
            notes.append(f"{share:.0%} of the joints lie outside a picture of {size[0]} x {size[1]} pixels")


def _unique_ids(frames, ids, notes):
    """The ids, -1 for those that several people of one frame bear."""
    ids = ids.copy()
    pairs = np.stack([frames, ids], axis=1)
    _, inverse, counts = np.unique(pairs, axis=0, return_inverse=True, return_counts=True)
    twice = (counts[inverse.reshape(-1)] > 1) & (ids >= 0)
    if twice.any():
        notes.append(f"{len(np.unique(frames[twice]))} frames give one id to several people; those ids are not used")
    ids[twice] = -1
    return ids


def rate_of_times(frames, times) -> float | None:
    """Frames a second from the times of frames, in seconds; None where they do not tell."""
    order = np.argsort(frames)
    frames, times = np.asarray(frames, np.float64)[order], np.asarray(times, np.float64)[order]
    known = np.isfinite(times)
    frames, times = frames[known], times[known]
    if len(frames) < 2 or times[-1] <= times[0] or frames[-1] <= frames[0]:
        return None
    rate = (frames[-1] - frames[0]) / (times[-1] - times[0])
    if not (math.isfinite(rate) and 0 < rate <= 10_000):
        return None
    return round(rate) if abs(rate - round(rate)) < 0.005 * rate else float(rate)
