"""From channels to positions: the path, the steps along it, the pelvis above the feet, the limbs."""

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from mpm_keras.data.synthetic import body as kinematics
from mpm_keras.data.synthetic.body import JOINT, Body
from mpm_keras.data.synthetic.channels import Channels

_SIDES = {"L": (1.0, 0.0), "R": (-1.0, 0.5)}  # sign of y, offset in the gait cycle
_PATIENCE = 0.3  # seconds after a landing by which the foot's place must be known


def positions(ch: Channels, body: Body, t: np.ndarray, heading: float, stance: float) -> np.ndarray:
    """(n, 17, 3) positions of a performance.

    Args:
        ch: the channels; changed in place by the gait's swings and the joint limits.
        body: the person.
        t: (n,) times in seconds, evenly spaced.
        heading: the first heading, radians.
        stance: half the distance between the feet, metres.
    """
    phase = np.concatenate([[0.0], np.cumsum(np.maximum(ch["cadence"], 0.0))[:-1]]) * (t[1] - t[0]) + 1e-3
    _swing(ch, phase)
    ch.limit()
    path, yaw, hop = _path(ch, t, heading)
    feet = {s: _foot(ch, body, t, phase, path, yaw, hop, stance, s) for s in "LR"}
    forward = np.stack([np.cos(yaw), np.sin(yaw), 0 * yaw], -1)
    left = np.stack([-np.sin(yaw), np.cos(yaw), 0 * yaw], -1)
    pelvis = kinematics.rot_z(yaw + ch["yaw"]) @ kinematics.rot_y(ch["pitch"]) @ kinematics.rot_x(-ch["lean"])
    back = 0.16 * np.sin(np.clip(ch["bend"], 0.0, None)) * np.cos(ch["pitch"])  # the hips balance a bent trunk
    hip = path + hop + (ch["dx"] - back)[:, None] * body.leg * forward + ch["dy"][:, None] * body.leg * left
    hip[:, 2] = _height(ch, body, hip, pelvis, feet)
    joints = _limbs(ch, body, hip, pelvis, feet, yaw)
    pose = np.stack([joints[name] for name in JOINT], 1)
    return _above_floor(pose)


def _swing(ch, phase):
    """Adds what the gait moves in time with the legs. The left foot lands where phase is whole."""
    c, s = np.cos(2 * np.pi * phase), np.sin(2 * np.pi * phase)
    for side, sign in (("L", -1.0), ("R", 1.0)):
        ch[f"flex_{side}"] += sign * c * ch["arm_swing"]
        ch[f"elbow_{side}"] += sign * c * ch["elbow_swing"]
    ch["yaw"] -= c * ch["pelvis_turn"]
    ch["twist"] += 1.7 * c * ch["pelvis_turn"]
    ch["look"] -= 0.7 * c * ch["pelvis_turn"]
    ch["lean"] -= s * ch["pelvis_drop"]
    ch["side"] += s * ch["pelvis_drop"]
    ch["dy"] += s * ch["sway"]
    ch["dz"] -= np.cos(4 * np.pi * phase) * ch["bounce_walk"]
    ch["dz"] += np.cos(4 * np.pi * (phase - 0.4)) * ch["bounce_run"]
    ch["lean"] += np.clip(0.5 * ch["speed"] * ch["turn"] / 9.81, -0.3, 0.3)  # into the curve


def _path(ch, t, heading):
    """(n, 3) path on the floor without hops, (n,) heading, (n, 3) what hops add."""
    step = t[1] - t[0]
    yaw = heading + np.cumsum(ch["turn"]) * step
    c, s = np.cos(yaw), np.sin(yaw)
    path = np.stack([c * ch["speed"] - s * ch["strafe"], s * ch["speed"] + c * ch["strafe"], 0 * yaw], -1)
    hop = np.stack([c, s, 0 * yaw], -1) * ch["hop"][:, None]
    return np.cumsum(path, 0) * step, yaw, np.cumsum(hop, 0) * step


def _foot(ch, body, t, phase, path, yaw, hop, stance, side):
    """(n, 3) ankle targets: planted between steps, carried from place to place within them.

    The second value, (n,) metres, is how far a foot in the air may stay out of the leg's reach.
    """
    sign, offset = _SIDES[side]
    local = phase + offset
    swing = np.clip(0.5 + ch["airborne"], 0.2, 0.85)
    whole = np.floor(local).astype(int)
    u = np.clip((local - whole - (1.0 - swing)) / swing, 0.0, 1.0)
    places = _places(t, local, path, yaw, swing, np.maximum(stance + ch["width"], 0.03) * sign)
    first, then = places[whole - whole[0]], places[whole - whole[0] + 1]
    smooth = u * u * (3.0 - 2.0 * u)
    foot = first + (then - first) * smooth[:, None] + hop
    # The heel leaves first: the ankle is highest early in the step, and comes down toes up.
    foot[:, 2] = body.ankle + ch["lift"] * np.sin(np.pi * u**0.75) ** 1.4 + body.leg * ch[f"fz_{side}"]
    shift = body.leg * np.stack([ch[f"fx_{side}"], ch[f"fy_{side}"] * sign], -1)
    speed = np.linalg.norm(np.gradient(shift, t, axis=0), axis=-1)
    foot[:, 2] += 0.09 * np.tanh(1.5 * speed)  # a foot that changes its place is lifted there
    foot[:, 0] += np.cos(yaw) * shift[:, 0] - np.sin(yaw) * shift[:, 1]
    foot[:, 1] += np.sin(yaw) * shift[:, 0] + np.cos(yaw) * shift[:, 1]
    return foot, 0.25 * np.sin(np.pi * u) ** 2


def _places(t, local, path, yaw, swing, side):
    """(steps, 3) floor positions of a foot, for every whole number of cycles the clip touches.

    A foot lands where the hip will be half way through the stance; somebody who stops has no such
    moment, and stands where the path has come to rest.
    """
    whole = np.arange(int(np.floor(local[0])), int(np.floor(local[-1])) + 2)
    landing = t[np.minimum(np.searchsorted(local, whole), len(t) - 1)]
    duty = 1.0 - np.interp(landing, t, swing)
    middle = t[np.minimum(np.searchsorted(local, whole + duty / 2), len(t) - 1)]
    moment = np.minimum(middle, landing + _PATIENCE)
    x, y, heading, out = (np.interp(moment, t, v) for v in (path[:, 0], path[:, 1], yaw, side))
    return np.stack([x - np.sin(heading) * out, y + np.cos(heading) * out, 0 * x], -1)


def _height(ch, body, hip, pelvis, feet):
    """(n,) pelvis height: as wanted, or as low as the legs need to reach the feet that stand."""
    wanted = body.ankle + body.leg * (0.99 + ch["dz"])
    far = kinematics.reach(body)[1] * 0.995
    options = [wanted]
    for side, (foot, slack) in feet.items():
        joint = hip + pelvis[..., 1] * (body.hip * _SIDES[side][0])
        level = np.sum((foot - joint)[:, :2] ** 2, -1)
        up = np.sqrt(np.maximum(far**2 - level, (0.35 * far) ** 2))
        options.append(foot[:, 2] + up + slack - pelvis[:, 2, 1] * body.hip * _SIDES[side][0])
    options = np.stack(options)
    lowest = options.min(0)
    height = lowest - np.log(np.exp(-80.0 * (options - lowest)).sum(0)) / 80.0  # a smooth minimum
    return gaussian_filter1d(height, 1.5, mode="nearest")


def _limbs(ch, body, hip, pelvis, feet, yaw):
    joints, chest = kinematics.trunk(body, hip, pelvis, ch)
    joints["Hip"] = hip
    for side, (sign, _) in _SIDES.items():
        joints.update(kinematics.arm(body, joints["Thorax"], chest, ch, side))
        joint = hip + pelvis[..., 1] * (body.hip * sign)
        toe = yaw + sign * ch[f"toe_{side}"]
        lateral = pelvis[..., 1] + np.stack([-np.sin(toe), np.cos(toe), 0 * toe], -1)
        lateral /= np.linalg.norm(lateral, axis=-1, keepdims=True)
        knee, ankle = kinematics.leg(body, joint, feet[side][0], lateral)
        joints.update({f"{side}Hip": joint, f"{side}Knee": knee, f"{side}Foot": ankle})
    return joints


def _above_floor(pose, lowest=0.03):
    """Lifts the whole body where a joint would be in the floor."""
    need = np.maximum(lowest - pose[..., 2].min(1), 0.0)
    if need.any():
        # The running maximum covers what the smoothing takes off the peaks.
        need = gaussian_filter1d(maximum_filter1d(need, 9), 2.0, mode="nearest")
        pose[..., 2] += need[:, None]
    return pose
