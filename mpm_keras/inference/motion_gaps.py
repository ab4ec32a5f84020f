"""What completion is worth: motion capture that loses joints for a while, filled by a network and by interpolation."""

import dataclasses

import numpy as np

from mpm_keras.data.baselines import interpolate_hidden
from mpm_keras.data.cameras import camera_rng
from mpm_keras.inference.sightings import interpolated
from mpm_keras.masking import BROKEN_3D
from mpm_keras.metrics import mpjpe_mm

_BETWEEN = 2.0  # seconds of a clip that are observed for each gap, at least


@dataclasses.dataclass(frozen=True)
class Gap:
    """What is lacking.

    Attributes:
        parts: a row of `BROKEN_3D`.
        seconds: for how long; None for the whole clip.
    """

    parts: str
    seconds: float | None

    @property
    def name(self) -> str:
        return "all along" if self.seconds is None else f"{self.seconds:g} s"


def gaps() -> list[Gap]:
    """The rows of the table."""
    for_a_while = (0.1, 0.2, 0.5, 1.0, 2.0)
    some = [Gap(parts, s) for parts in ("1 joint", "left arm", "two legs") for s in (*for_a_while, None)]
    return [*some, *(Gap("whole frames", s) for s in for_a_while)]


def hidden_by(gap: Gap, frames: int, fps: float, skeleton, name: str, seed: int = 0) -> np.ndarray | None:
    """(frames, J) bool, True where a clip lacks joints; None where it is too short for the gap.

    A clip has as many gaps as leave two seconds observed for each, one at least, anywhere in equal parts of it
    but with half a second observed on either side. Joints and places are a function of the name and the seed. The
    root joint, where poses are put together, always stays.
    """
    rng = camera_rng(seed, f"{name} {gap.parts}", 0)
    choice, others = BROKEN_3D[gap.parts], np.delete(np.arange(skeleton.num_joints), skeleton.root)
    joints = skeleton.limb(*choice) if isinstance(choice, tuple) else rng.permutation(others)[:choice]
    drawn = np.isin(np.arange(skeleton.num_joints), joints)
    if gap.seconds is None:
        return np.repeat(drawn[None], frames, axis=0)
    length, margin = max(1, round(gap.seconds * fps)), round(fps / 2)
    count = max(1, int(frames / (length + _BETWEEN * fps)))
    part = frames // count
    if part < length + 2 * margin:
        return None
    hidden = np.zeros((frames, skeleton.num_joints), bool)
    for start in range(0, count * part, part):
        first = start + int(rng.integers(margin, part - length - margin + 1))
        hidden[first : first + length] = drawn
    return hidden


def fillers(lifter, mean) -> dict:
    """{name: (poses (F, J, 3), hidden (F, J), fps) -> filled poses}: the lifter, its network alone, and others.

    The others are interpolation in time, linear and by a spline, with the mean pose where there is nothing to
    interpolate.
    """
    return {
        "completed": lambda poses, hidden, fps: lifter.complete(poses, hidden, fps=fps),
        "network_alone": lambda poses, hidden, fps: lifter.complete(poses, hidden, fps=fps, interpolate=False),
        "linear": lambda poses, hidden, fps: interpolate_hidden(poses[None], hidden[None], mean)[0],
        "spline": lambda poses, hidden, fps: interpolated(np.where(hidden[..., None], mean, poses), hidden),
    }


def measure_gap(gap: Gap, views, lifter, ways: dict, seed: int = 0) -> dict:
    """A row of the table: what hidden joints are off, mm, averaged over all of them.

    Args:
        gap: what is lacking.
        views: one of each clip.
        lifter: whose skeleton it is.
        ways: as of `fillers`.

    Returns:
        `parts`, `gap`, `clips`, `frames` and `{way}_hidden_mpjpe_mm`; no errors where no clip is long enough.
    """
    errors, frames, clips = {way: [] for way in ways}, 0, 0
    for view in views:
        poses, fps = view.pose_3d, float(view.fps[0])
        hidden = hidden_by(gap, len(poses), fps, lifter.skeleton, view.names[0], seed)
        if hidden is None:
            continue
        clips, frames = clips + 1, frames + int(hidden.any(axis=1).sum())
        given = np.where(hidden[..., None], np.float32(0), poses)
        for way, fill in ways.items():
            found = fill(given, hidden, fps)
            errors[way].append(mpjpe_mm(found[hidden][:, None], poses[hidden][:, None], root=None))
    row = {"parts": gap.parts, "gap": gap.name, "clips": clips, "frames": frames}
    return row | {f"{way}_hidden_mpjpe_mm": float(np.mean(np.concatenate(e))) for way, e in errors.items() if e}
