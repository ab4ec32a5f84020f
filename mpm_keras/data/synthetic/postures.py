"""Activities that change the posture: sitting, squatting, bending, lunging, crawling, lying, gestures."""

import numpy as np

from mpm_keras.data.synthetic.activities import Scene, _gait, other_side
from mpm_keras.data.synthetic.channels import dwell, ease, keyframes, noise, repeats

_ARM = ("flex", "abduct", "rotate", "elbow", "shrug")

# Arm poses between which gestures go: flexion, abduction, inward rotation, elbow, shrug.
ARM_POSES = {
    "hang": (0.0, 0.1, 0.0, 0.2, 0.0), "hip": (-0.3, 0.7, 0.9, 1.5, 0.1), "forwards": (1.4, 0.1, 0.2, 0.2, 0.0),
    "up": (2.7, 0.2, 0.0, 0.3, 0.2), "out": (0.2, 1.5, 0.0, 0.2, 0.1), "chest": (0.5, 0.2, 0.9, 1.9, 0.0),
    "face": (1.0, 0.2, 0.4, 2.2, 0.0), "head": (1.9, 0.6, 0.3, 2.1, 0.2), "telephone": (0.6, 0.6, 0.2, 2.35, 0.0),
    "offer": (0.4, 0.1, -0.2, 1.3, 0.0), "explain": (0.5, 0.3, 0.3, 1.5, 0.0), "crossed": (0.6, 0.1, 1.2, 1.6, 0.0),
    "back": (-0.7, 0.2, 0.9, 0.9, 0.0), "point": (1.3, 0.5, 0.0, 0.1, 0.0), "stop": (1.1, 0.2, 0.0, 1.2, 0.0),
    "high out": (0.5, 2.3, 0.0, 0.3, 0.2),
}  # fmt: skip
_POSES = np.array(list(ARM_POSES.values()))


def _set_arm(scene, side, values, weight=1.0):
    """Adds (n, 5) or (5,) arm angles."""
    scene.ch.on(side, weight, **{k: values[..., i] for i, k in enumerate(_ARM)})


def _random_arm(scene, spread=0.2):
    return _POSES[scene.rng.integers(len(_POSES))] + spread * scene.rng.normal(size=5) * (1, 1, 1, 1, 0.2)


def stand(scene: Scene):
    """Standing and waiting: weight on one leg, hands anywhere."""
    u, rng, weight = scene.uniform, scene.rng, scene.hold(0.8)
    shift = dwell(scene.t, rng, lambda: rng.uniform(-0.08, 0.08, 2), move=(0.6, 1.2), stay=(0.5, 3.0))
    scene.ch.set(weight, dy=shift[:, 0], lean=-1.1 * shift[:, 0], side=1.3 * shift[:, 0], twist=2.0 * shift[:, 1])
    scene.ch.set(weight, look=0.5 * noise(scene.t, rng, 0.1, 0.5), nod=u(-0.1, 0.3))
    pose = _random_arm(scene, 0.1)
    for s in "LR":
        _set_arm(scene, s, pose if rng.random() < 0.6 else _random_arm(scene, 0.1), weight)


def gesture(scene: Scene):
    """Talking with the hands, pointing, telephoning, scratching one's head, hands on hips."""
    rng, weight = scene.rng, scene.hold(0.7)
    both = dwell(scene.t, rng, lambda: _random_arm(scene), move=(0.3, 0.9), stay=(0.0, 1.5))
    for s in "LR":
        alone = dwell(scene.t, rng, lambda: _random_arm(scene), move=(0.3, 0.9), stay=(0.0, 1.5))
        mine = rng.uniform(0.0, 1.0)
        _set_arm(scene, s, mine * alone + (1 - mine) * both, weight)
    curves = noise(scene.t, rng, 0.1, 0.9, 4) * weight[:, None]
    scene.ch.set(look=0.3 * curves[:, 0], nod=0.15 * curves[:, 1], twist=0.12 * curves[:, 2], bend=0.06 * curves[:, 3])


def wave(scene: Scene):
    """Waving with one hand or both, small or with the whole arm."""
    u, weight, s = scene.uniform, scene.hold(0.7), scene.side()
    rate, width = u(0.9, 2.2), u(0.15, 0.6)
    swing = width * np.sin(2 * np.pi * rate * scene.t + u(0, 6)) * (1 + 0.2 * noise(scene.t, scene.rng, 0.2, 0.8))
    height, out = u(0.9, 1.7), u(0.2, 1.0)
    for side in s if scene.rng.random() < 0.75 else "LR":
        angles = {
            "flex": height,
            "abduct": out + 0.3 * swing,
            "rotate": -0.3 + swing,
            "elbow": u(1.0, 1.7) - 0.4 * swing,
        }
        scene.ch.on(side, weight, **angles)
    scene.ch.set(weight, look=u(-0.4, 0.4), nod=-u(0.0, 0.2), side=u(-0.1, 0.1))


def reach(scene: Scene):
    """Reaching for things: high, low, across, far away, and back; washing a window."""
    u, rng, t = scene.uniform, scene.rng, scene.t
    wipe = rng.random() < 0.25
    for begin, length in repeats(t, scene.start, scene.end, rng, u(1.6, 3.0), 0.4):
        s, both = scene.side(0.6), rng.random() < 0.3
        sign = 1.0 if s == "L" else -1.0
        weight = keyframes(t, begin + length * np.array([0.0, u(0.3, 0.45), u(0.55, 0.7), 1.0]), [0.0, 1.0, 1.0, 0.0])
        height, across = u(0.4, 2.6), u(-0.3, 1.0)
        circle = 0.35 * wipe * np.stack([np.sin(7 * t), np.cos(7 * t)])
        for side in "LR" if both else s:
            angles = {"flex": height + circle[0], "abduct": across * 0.7 + circle[1], "rotate": u(-0.2, 0.4)}
            scene.ch.on(side, weight, **angles, elbow=u(-0.1, 0.8))
        lean = u(0.0, 0.45) * (height < 2.0)
        scene.ch.set(
            weight,
            bend=lean,
            twist=-sign * across * 0.4,
            side=-sign * u(-0.1, 0.25),
            dx=0.15 * lean,
            nod=-0.25 * (height - 1.2),
        )
        scene.ch.set(weight, dz=-u(0.0, 0.25) * (height < 1.0), look=sign * across * 0.3)
        scene.ch.on(s, weight, fx=u(0.0, 0.3) * (rng.random() < 0.5))


def stretch(scene: Scene):
    """Gymnastics for the trunk: arms overhead, side bends, twists, arm circles."""
    u, rng, t, weight = scene.uniform, scene.rng, scene.t, scene.hold(1.0)
    rate = u(0.15, 0.5)
    wave_ = np.sin(2 * np.pi * rate * t + u(0, 6))
    kind = rng.integers(3)
    scene.ch.set(ease(2 * weight), fy_L=0.1)
    scene.ch.set(ease(2 * weight - 1), fy_R=0.1)
    if kind == 0:
        scene.ch.set(
            weight, side=0.45 * wave_, lean=0.12 * wave_, dy=-0.06 * wave_, flex_L=u(1.5, 2.7), flex_R=u(1.5, 2.7)
        )
    elif kind == 1:
        scene.ch.set(
            weight,
            twist=0.7 * wave_,
            yaw=0.3 * wave_,
            abduct_L=1.3,
            abduct_R=1.3,
            look=0.4 * wave_,
            elbow_L=u(0, 1.5),
            elbow_R=u(0, 1.5),
        )
    else:
        circle = 2 * np.pi * u(0.3, 0.8) * t
        for s, lag in (("L", 0.0), ("R", rng.choice([0.0, np.pi]))):
            scene.ch.on(s, weight, flex=1.1 + 1.3 * np.sin(circle + lag), abduct=0.6 + 0.5 * np.cos(circle + lag))
        scene.ch.set(weight, bend=0.08 * np.sin(circle), twist=0.1 * np.cos(circle))


def sit(scene: Scene):
    """Sitting down on a chair, stool or low bench, sitting for a while, standing up."""
    u, rng = scene.uniform, scene.rng
    down = scene.hold(u(1.2, 1.8))
    height = u(0.38, 0.56)  # of the leg, from the ankle to the hip joints
    effort = 4.0 * down * (1.0 - down)  # only while going down or up
    scene.ch.set(down, dz=height - 0.99, dx=-u(0.4, 0.5), pitch=-u(0.0, 0.25), bend=u(0.0, 0.35))
    scene.ch.set(effort, bend=u(0.35, 0.7), nod=-0.25, flex_L=u(0.0, 0.6), flex_R=u(0.0, 0.6))
    for s in "LR":
        scene.ch.on(s, down, fx=u(-0.12, 0.2), fy=u(-0.04, 0.12), toe=u(-0.1, 0.4))
        if rng.random() < 0.6:  # hands on the thighs
            scene.ch.on(s, down, flex=u(0.3, 0.6), elbow=u(0.5, 0.9), rotate=u(0.0, 0.4))
        else:
            _set_arm(scene, s, dwell(scene.t, rng, lambda: _random_arm(scene), stay=(0.3, 3.0)), down * u(0.4, 1.0))
    lean = dwell(scene.t, rng, lambda: rng.normal(size=4) * (0.14, 0.08, 0.15, 0.3), move=(0.7, 1.5), stay=(0.5, 3.0))
    scene.ch.set(down, bend=lean[:, 0], side=lean[:, 1], twist=lean[:, 2], look=lean[:, 3])


def squat(scene: Scene):
    """Knee bends, shallow to deep, arms forwards for balance or hanging."""
    u, t, wide = scene.uniform, scene.t, scene.hold(0.8)
    depth, arms = u(0.2, 0.62), u(0.0, 1.5)
    (
        scene.ch.set(ease(2 * wide), fy_L=u(0.0, 0.15), toe_L=0.25),
        scene.ch.set(ease(2 * wide - 1), fy_R=u(0.0, 0.15), toe_R=0.25),
    )
    for begin, length in repeats(t, scene.start + 0.4, scene.end - 0.4, scene.rng, u(1.4, 3.0), u(0.0, 0.8)):
        down = keyframes(t, begin + length * np.array([0.0, 0.42, 0.55, 1.0]), [0.0, 1.0, 1.0, 0.0])
        scene.ch.set(
            down,
            dz=-depth,
            dx=-0.3 * depth,
            bend=1.1 * depth,
            pitch=0.25 * depth,
            nod=-0.5 * depth,
            toe_L=0.3,
            toe_R=0.3,
        )
        scene.ch.on("LR", down, flex=arms, elbow=0.1)


def crouch(scene: Scene):
    """Down on the haunches for a while, doing something with the hands near the floor."""
    u, rng, down = scene.uniform, scene.rng, scene.hold(1.3)
    depth = u(0.3, 0.7)
    scene.ch.set(
        down,
        dz=-depth,
        dx=-0.2 * depth,
        pitch=0.2,
        bend=u(0.3, 0.8),
        nod=-u(0.0, 0.4),
        toe_L=u(0, 0.5),
        toe_R=u(0, 0.5),
    )
    scene.ch.set(ease(2 * down), fx_L=u(-0.15, 0.25))
    scene.ch.set(ease(2 * down - 1), fx_R=u(-0.25, 0.15))
    for s in "LR":
        hands = dwell(scene.t, rng, lambda: np.array([u(0.5, 1.5), u(0.0, 0.5), u(-0.2, 0.6), u(0.2, 1.5), 0.0]))
        _set_arm(scene, s, hands, down)
    scene.ch.set(
        down, twist=0.15 * noise(scene.t, rng), side=0.08 * noise(scene.t, rng), look=0.3 * noise(scene.t, rng)
    )


def pick_up(scene: Scene):
    """Bending and picking things up, from the back or from the knees, with one hand or both."""
    u, rng, t = scene.uniform, scene.rng, scene.t
    for begin, length in repeats(t, scene.start, scene.end, rng, u(2.0, 3.2), 0.4):
        knees, s = u(0.05, 0.5), scene.side()
        sign = 1.0 if s == "L" else -1.0
        when = begin + length * np.array([0.0, 0.4, 0.52, 1.0])
        down = keyframes(t, when, [0.0, 1.0, 1.0, 0.0])
        bend, pitch = 1.25 - 1.1 * knees, 0.6 - 0.5 * knees
        carry = keyframes(t, when + [0.0, 0.0, 0.0, -0.1 * length], [0.0, 0.0, 0.3, 1.0]) * (
            1 - ease((t - begin - length) / 0.6)
        )
        scene.ch.set(
            down,
            dz=-knees,
            dx=-0.08,
            bend=bend,
            pitch=pitch,
            nod=-0.3,
            twist=-sign * u(0.0, 0.35),
            side=sign * u(-0.1, 0.2),
        )
        scene.ch.on(other_side(s), down, fx=u(0.0, 0.25))
        used = "LR" if rng.random() < 0.55 else s
        for side in "LR":  # the free arm hangs too, or rests on the knee
            lag = u(0.0, 0.4) if side in used else u(0.2, 0.8)
            scene.ch.on(side, down, flex=bend + pitch - lag, rotate=0.2)
        for side in used:
            scene.ch.on(side, carry, flex=u(0.2, 0.5), elbow=u(0.8, 1.4), rotate=0.3)


def lunge(scene: Scene):
    """Long steps forwards or sideways into a bent knee and back."""
    u, rng, t = scene.uniform, scene.rng, scene.t
    arms = u(0.0, 1.0)
    for begin, length in repeats(t, scene.start, scene.end, rng, u(2.0, 3.2), 0.3):
        s, far, sideways = scene.side(0.5), u(0.45, 0.95), rng.random() < 0.3
        when = begin + length * np.array([0.0, 0.36, 0.6, 1.0])
        out = keyframes(t, when, [0.0, 1.0, 1.0, 0.0])
        low = keyframes(t, when + length * np.array([0.0, 0.1, 0.0, 0.0]), [0.0, 1.0, 1.0, 0.0])
        sign = 1.0 if s == "L" else -1.0
        place = {f"fy_{s}": far, "dy": sign * 0.6 * far} if sideways else {f"fx_{s}": far, "dx": 0.5 * far}
        scene.ch.set(out, **place)
        scene.ch.set(
            low, dz=-u(0.1, 0.4), bend=u(0.0, 0.3), flex_L=arms, flex_R=arms, abduct_L=0.3 * arms, abduct_R=0.3 * arms
        )


def balance(scene: Scene):
    """Standing on one leg, the other knee up or the leg behind, arms out."""
    u, s, up = scene.uniform, scene.side(0.5), scene.hold(1.2)
    sign = 1.0 if s == "L" else -1.0
    behind = scene.rng.random() < 0.4
    wobble = noise(scene.t, scene.rng, 0.3, 1.2, 4) * up[:, None]
    scene.ch.set(up, dy=-sign * 0.1, lean=sign * 0.03, abduct_L=u(0.2, 1.4), abduct_R=u(0.2, 1.4))
    if behind:
        tilt = u(0.2, 1.1)
        scene.ch.set(up, pitch=tilt, nod=-0.4 * tilt)
        scene.ch.on(s, up, fx=-0.95 * np.sin(tilt), fz=1 - 0.95 * np.cos(tilt))
    else:
        scene.ch.on(s, up, fx=u(0.0, 0.35), fz=u(0.2, 0.6), toe=u(0.0, 0.9))
    scene.ch.set(
        side=0.05 * wobble[:, 0], bend=0.04 * wobble[:, 1], abduct_L=0.2 * wobble[:, 2], abduct_R=0.2 * wobble[:, 3]
    )


def crawl(scene: Scene):
    """Down on hands and knees, crawling or waiting there, and up again."""
    u, body, down = scene.uniform, scene.body, scene.hold(2.0)
    thigh, shank = body.thigh / body.leg, body.shank / body.leg
    trunk, arm = body.spine + body.chest, body.upper_arm + body.forearm
    lift = float(np.clip((0.96 * arm + 0.05 - body.thigh) / trunk, 0.0, 0.6))  # shoulders above the hips
    total = float(np.arccos(lift))
    bend = u(0.2, 0.5)
    low = body.ankle / body.leg
    scene.ch.set(
        down, dz=thigh * 0.99 + 0.05 - low - 0.99, dx=shank * 0.95, pitch=total - bend, bend=bend, nod=-u(0.2, 0.6)
    )
    for s in "LR":
        scene.ch.on(s, down, flex=total + u(-0.05, 0.1), elbow=0.05, fz=0.03)
    # Nobody falls on their hands: they go down first, the trunk afterwards.
    scene.ch.set(4 * down * (1 - down), dx=-0.12, bend=0.3)
    if scene.rng.random() < 0.75 and scene.end - scene.start > 5.5:
        inner = Scene(scene.ch, scene.t, scene.start + 1.9, scene.end - 1.9, scene.rng, body, scene.handedness)
        _gait(inner, speed=u(0.25, 0.6), cadence=u(0.5, 0.8), airborne=0.0, lift=0.02, rise=0.6, arm_swing=u(0.15, 0.3),
              turn=0.2 * noise(scene.t, scene.rng), pelvis_drop=0.05, sway=0.02)  # fmt: skip


def sit_on_floor(scene: Scene):
    """Down to sit on the floor, knees up or legs stretched; sometimes lying down on the back."""
    u, body, t = scene.uniform, scene.body, scene.t
    down = scene.hold(2.2)
    low = (0.11 - body.ankle) / body.leg
    lies = scene.rng.random() < 0.6 and scene.end - scene.start > 6.0
    rest = np.minimum(ease((t - scene.start - 1.8) / 1.6), ease((scene.end - 1.8 - t) / 1.6))
    bend = u(0.1, 0.4)
    scene.ch.set(down, dz=low - 0.99, dx=-u(0.5, 0.65), bend=bend)
    scene.ch.set(4 * down * (1 - down), bend=0.5, nod=-0.3, flex_L=0.7, flex_R=0.7)
    for s in "LR":
        scene.ch.on(s, rest, fx=u(0.0, 0.35), fy=u(-0.02, 0.1), toe=u(0.0, 0.4))
    if lies:
        scene.ch.set(rest, pitch=-1.42, bend=-bend - u(0.0, 0.15), nod=u(0.0, 0.2), yaw=u(-0.1, 0.1))
        for s in "LR":
            scene.ch.on(s, rest, abduct=u(0.1, 1.4), flex=u(0.1, 0.4), elbow=u(0.0, 1.2))
    else:
        behind = scene.rng.random() < 0.4
        scene.ch.set(rest, bend=-0.35 if behind else 0.15)
        for s in "LR":
            angles = (
                {"flex": -0.75, "abduct": 0.3, "elbow": -0.1} if behind else {"flex": 0.9, "rotate": 0.3, "elbow": 0.5}
            )
            scene.ch.on(s, rest, **angles)
