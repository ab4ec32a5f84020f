"""Random bodies and the forward and inverse kinematics that turn joint angles into H36M-17 positions.

Body frame: x forwards, y to the person's left, z up. Angles are radians, lengths metres. Arms and
trunk go forwards from angles; legs go backwards from ankle targets (a hinge knee has one solution
per side, and the forward one is taken), so that a foot that is planted stays planted.
"""

import dataclasses

import numpy as np

from mpm_keras.skeletons import H36M_17

JOINT = {name: i for i, name in enumerate(H36M_17.joints)}

# Hard limits of single joint angles; activities stay inside them, sums of activities might not.
LIMITS = {
    "bend": (-0.45, 1.5), "side": (-0.6, 0.6), "twist": (-0.8, 0.8),
    "nod": (-0.9, 0.9), "tilt": (-0.6, 0.6), "look": (-1.2, 1.2),
    "flex": (-0.9, 3.0), "abduct": (-0.35, 2.7), "rotate": (-1.3, 1.4), "elbow": (0.06, 2.5),
    "shrug": (-0.2, 0.5),
}  # fmt: skip
KNEE_LIMIT = (0.08, 2.55)  # flexion: the leg never locks and the heel never enters the thigh

# Lengths as fractions of stature: mean and standard deviation between people (optical motion
# capture of some 35 adults on the H36M joints; the sum is scaled to the stature afterwards).
_PROPORTIONS = {
    "thigh": (0.236, 0.009), "shank": (0.250, 0.008), "ankle": (0.049, 0.004),
    "spine": (0.130, 0.008), "chest": (0.143, 0.012), "neck": (0.080, 0.007), "head": (0.086, 0.009),
    "hip": (0.052, 0.005), "shoulder": (0.112, 0.008), "upper_arm": (0.168, 0.008), "forearm": (0.139, 0.009),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Body:
    """One person's measures in metres.

    `stature` is the height of the crown; the Head joint lies `crown` below it, since "top of the
    head" is anything from the headband to the crown. `hip` and `shoulder` are half widths;
    `nose_angle` is the forward tilt of Thorax to Neck/Nose, `shoulder_drop` how far the shoulders
    lie below the base of the neck, as an angle; `lordosis` is how far the lumbar part of the trunk
    leans back and the chest forwards, since Spine lies behind the line from Hip to Thorax.
    """

    stature: float
    crown: float
    thigh: float
    shank: float
    ankle: float
    spine: float
    chest: float
    neck: float
    head: float
    hip: float
    shoulder: float
    upper_arm: float
    forearm: float
    nose_angle: float
    shoulder_drop: float
    lordosis: float

    @property
    def leg(self) -> float:
        """Hip joint to ankle, straight: the unit of the pelvis and foot channels."""
        return self.thigh + self.shank


def sample_body(rng: np.random.Generator) -> Body:
    """A random adult, 1.5 to 2.0 m tall."""
    stature = float(np.clip(rng.normal(rng.choice([1.64, 1.78]), 0.075), 1.5, 2.0))
    ratio = {k: m + s * float(np.clip(rng.normal(), -2.5, 2.5)) for k, (m, s) in _PROPORTIONS.items()}
    crown, nose = float(rng.uniform(0.0, 0.07)), float(rng.uniform(0.15, 0.6))
    curve = float(np.clip(rng.normal(0.14, 0.06), 0.0, 0.3))
    height = sum(ratio[k] for k in ("thigh", "shank", "ankle", "head")) + ratio["neck"] * np.cos(nose)
    height += (ratio["spine"] + ratio["chest"]) * np.cos(curve)
    scale = (stature - crown) / height
    lengths = {k: v * float(scale) for k, v in ratio.items()}
    return Body(
        stature, crown, **lengths, nose_angle=nose, shoulder_drop=float(rng.uniform(-0.12, 0.2)), lordosis=curve
    )


def rot_x(a):
    """(n,) angles to (n, 3, 3) rotations about x."""
    return _rotation(a, 1, 2)


def rot_y(a):
    """(n,) angles to (n, 3, 3) rotations about y; positive turns up towards forwards."""
    return _rotation(a, 2, 0)


def rot_z(a):
    """(n,) angles to (n, 3, 3) rotations about z; positive turns forwards towards left."""
    return _rotation(a, 0, 1)


def _rotation(a, i, j):
    r = np.zeros((len(a), 3, 3))
    r[:, 0, 0] = r[:, 1, 1] = r[:, 2, 2] = 1.0
    c, s = np.cos(a), np.sin(a)
    r[:, i, i] = r[:, j, j] = c
    r[:, i, j], r[:, j, i] = -s, s
    return r


def trunk(body: Body, hip: np.ndarray, pelvis: np.ndarray, ch) -> tuple[dict, np.ndarray]:
    """Spine, neck and head from the channels `bend`, `side`, `twist`, `nod`, `tilt`, `look`.

    Args:
        body: the person.
        hip: (n, 3) pelvis position.
        pelvis: (n, 3, 3) pelvis rotation.
        ch: mapping from channel name to (n,) values.

    Returns:
        Joint name -> (n, 3) positions, and the (n, 3, 3) chest rotation.
    """

    def bend(part):
        return rot_z(part * ch["twist"]) @ rot_y(part * ch["bend"]) @ rot_x(-part * ch["side"])

    def turn(part):
        return rot_z(part * ch["look"]) @ rot_y(part * ch["nod"]) @ rot_x(-part * ch["tilt"])

    chest = pelvis @ bend(1.0)
    nose = np.array([np.sin(body.nose_angle), 0.0, np.cos(body.nose_angle)])
    back, forth = (np.array([np.sin(a), 0.0, np.cos(a)]) for a in (-body.lordosis, body.lordosis))
    spine = hip + (pelvis @ bend(0.3)) @ back * body.spine
    thorax = spine + chest @ forth * body.chest
    neck = thorax + (chest @ turn(0.5)) @ nose * body.neck
    head = neck + (chest @ turn(1.0))[..., 2] * body.head
    return {"Spine": spine, "Thorax": thorax, "Neck/Nose": neck, "Head": head}, chest


def arm(body: Body, thorax: np.ndarray, chest: np.ndarray, ch, side: str) -> dict:
    """One arm from the channels `flex`, `abduct`, `rotate`, `elbow`, `shrug` of `side` ("L", "R").

    Flexion raises the arm forwards, abduction outwards, rotation turns the bent forearm inwards;
    the shoulder girdle follows an arm that is raised. Returns joint name -> (n, 3) positions.
    """
    s = 1.0 if side == "L" else -1.0
    flex, abduct, rotate, elbow = (ch[f"{k}_{side}"] for k in ("flex", "abduct", "rotate", "elbow"))
    upper = rot_y(-flex) @ rot_x(s * abduct) @ rot_z(-s * rotate)
    raised = 0.5 * (1.0 - upper[:, 2, 2])  # 0 hanging, 1 overhead
    girdle = rot_x(s * (ch[f"shrug_{side}"] + 0.45 * raised - body.shoulder_drop))
    upper, fore = chest @ upper, chest @ upper @ rot_y(-elbow)
    shoulder = thorax + (chest @ girdle)[..., 1] * (s * body.shoulder)
    elbow_at = shoulder - upper[..., 2] * body.upper_arm
    wrist = elbow_at - fore[..., 2] * body.forearm
    return {f"{side}Shoulder": shoulder, f"{side}Elbow": elbow_at, f"{side}Wrist": wrist}


def leg(body: Body, hip_joint: np.ndarray, target: np.ndarray, lateral: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Knee and ankle (n, 3) of a leg that reaches for an ankle target as far as it can.

    Args:
        body: the person.
        hip_joint: (n, 3) position of the hip joint.
        target: (n, 3) wanted ankle position.
        lateral: (n, 3) unit axis of the knee hinge, to the person's left.
    """
    along = target - hip_joint
    distance = np.linalg.norm(along, axis=-1, keepdims=True)
    along = along / np.maximum(distance, 1e-6)
    near, far = reach(body)
    distance = np.clip(distance, near, far)
    forward = np.cross(along, lateral)
    forward /= np.maximum(np.linalg.norm(forward, axis=-1, keepdims=True), 1e-6)
    shift = (body.thigh**2 - body.shank**2 + distance**2) / (2.0 * distance)
    height = np.sqrt(np.maximum(body.thigh**2 - shift**2, 0.0))
    return hip_joint + along * shift + forward * height, hip_joint + along * distance


def reach(body: Body) -> tuple[float, float]:
    """Smallest and largest distance between hip joint and ankle that the knee's limits allow."""
    a, b = body.thigh, body.shank
    straight, bent = (float(np.sqrt(a * a + b * b + 2.0 * a * b * np.cos(k))) for k in KNEE_LIMIT)
    return bent, straight
