"""The conditions of the table by noise, occlusion, film and camera: one thing differs at a time."""

from dataclasses import replace

from mpm_keras.data.cameras import CameraRanges
from mpm_keras.data.detector import EXACT, WIDE_RANGES, DetectorNoise
from mpm_keras.inference.robustness import USUAL, Condition

_LEVELS = (0.5, 1.0, 2.0, 4.0)
_LIMBS = {
    "left arm": ("left_arm",), "both arms": ("left_arm", "right_arm"), "right leg": ("right_leg",),
    "both legs": ("left_leg", "right_leg"), "left arm and leg": ("left_arm", "left_leg"),
}  # fmt: skip
_CAMERAS = {
    "level, 1 to 1.6 m high": (WIDE_RANGES, {"height": (1.0, 1.6), "roll": 3.0}, 0.0),
    "3 to 4.5 m high, looking down": (WIDE_RANGES, {"height": (3.0, 4.5), "distance": (1.5, 4.0), "roll": 3.0}, 0.0),
    "on the floor, up to 0.3 m": (WIDE_RANGES, {"height": (0.0, 0.3), "roll": 3.0}, 0.0),
    "rolled by 20 degrees": (WIDE_RANGES, {"height": (1.0, 1.6), "roll": 0.0}, 20.0),
    "rolled by 45 degrees": (WIDE_RANGES, {"height": (1.0, 1.6), "roll": 0.0}, 45.0),
    "near, 1.5 to 2.5 m": (WIDE_RANGES, {"distance": (1.5, 2.5)}, 0.0),
    "far, 6 to 10 m": (WIDE_RANGES, {"distance": (6.0, 10.0)}, 0.0),
}
# What a film of several cameras may hold, all at once; the focal length is unknown.
_AT_ONCE = {
    "level camera, all kinds of errors": ("level, 1 to 1.6 m high", 0.0, 0.0),
    "3 to 4.5 m high, looking down, all kinds of errors": ("3 to 4.5 m high, looking down", 0.0, 0.0),
    "the same, rolled by 30 degrees, 33% exchanged": ("3 to 4.5 m high, looking down", 30.0, 0.33),
}
_LIFTING = {
    "by default": {}, "not fitted to keypoints": {"fit": False}, "gaps left to the network": {"fill_seconds": 0.0},
    "without either": {"fit": False, "fill_seconds": 0.0}, "without the mirrored half": {"flip": False},
    "centre mode": {"mode": "center"}, "trusting every score": {"threshold": 0.0},
    "scores from 0.5": {"threshold": 0.5},
}  # fmt: skip


def conditions() -> list[Condition]:
    """All rows of the table, group by group."""
    rows = [Condition("Detector", "no errors", noise=EXACT)]
    rows += [Condition("Detector", f"noise {v:g} times the usual", noise=replace(USUAL, level=(v, v))) for v in _LEVELS]
    rows.append(Condition("Detector", "all kinds of errors", noise=DetectorNoise()))
    rows += [Condition("Never found", name, limbs=limbs) for name, limbs in _LIMBS.items()]
    rows += [Condition("Joints not found", f"{v:.0%}", missing=v) for v in (0.1, 0.3, 0.5)]
    rows += [Condition("Nobody found for", f"{v:g} s (errors within)", gap=v) for v in (0.2, 0.5, 1.0, 2.0)]
    for share in (0.1, 0.33):
        for mend in (False, True):
            name = f"{share:.0%} of the frames, {'put right' if mend else 'left so'}"
            rows.append(Condition("Left and right exchanged", name, exchanged=share, mend=mend))
    rows.append(Condition("Left and right exchanged", "never, left so", mend=False))
    rows += [Condition("Frames a second", f"{v:g}", fps=v) for v in (10.0, 15.0, 24.0, 30.0, 60.0)]
    rows += [Condition("Camera", name, cameras=camera, roll=roll) for name, camera, roll in cameras()]
    rows += [Condition("Focal length", f"assumed {v:g} times the true one", focal=v) for v in (0.7, 0.85, 1.2, 1.4)]
    rows.append(Condition("Focal length", "not given (lift.py assumes one)", focal=None))
    for name, (camera, roll, exchanged) in _AT_ONCE.items():
        ranges = {known: found for known, found, _ in cameras()}[camera]
        more = {"cameras": ranges, "roll": roll, "exchanged": exchanged, "focal": None}
        rows.append(Condition("Several at once", name, noise=DetectorNoise(), **more))
    for name, options in _LIFTING.items():
        rows.append(Condition("All kinds of errors, lifted", name, noise=DetectorNoise(), options=options))
    rows += [
        Condition(
            "Gaps left to the network", "30% of the joints not found", missing=0.3, options={"fill_seconds": 0.0}
        ),
        Condition(
            "Gaps left to the network", "nobody found for 0.5 s (errors within)", gap=0.5, options={"fill_seconds": 0.0}
        ),
    ]
    return rows


def cameras() -> list[tuple[str, CameraRanges, float]]:
    """(name, ranges, roll in degrees)."""
    return [(name, replace(ranges, **changes), roll) for name, (ranges, changes, roll) in _CAMERAS.items()]
