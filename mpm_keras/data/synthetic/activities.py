"""Activities on the feet: walking, running, jumping, fighting, dancing. Each adds to the channels.

An activity is a function of a `Scene`; it starts and ends in the person's own standing posture, so
that any activity can follow any other. Amplitudes are random in ranges that people show; lengths
are in leg lengths and angles in radians.
"""

import dataclasses

import numpy as np

from mpm_keras.data.synthetic.body import Body
from mpm_keras.data.synthetic.channels import Channels, dwell, ease, hold, keyframes, noise, repeats


@dataclasses.dataclass(frozen=True)
class Scene:
    """What an activity gets: channels to add to, (n,) times, when to start and end, chance, the person."""

    ch: Channels
    t: np.ndarray
    start: float
    end: float
    rng: np.random.Generator
    body: Body
    handedness: str  # "L" or "R": the preferred side

    def hold(self, rise=0.8, margin=0.0):
        """(n,) weight: 0 outside [start + margin, end - margin], 1 inside, minimum-jerk ramps."""
        return hold(self.t, self.start + margin, self.end - margin, rise)

    def uniform(self, low, high):
        return float(self.rng.uniform(low, high))

    def side(self, preference=0.7):
        """The preferred side more often than the other one."""
        other = "R" if self.handedness == "L" else "L"
        return self.handedness if self.rng.random() < preference else other


def other_side(side: str) -> str:
    return "L" if side == "R" else "R"


def _gait(scene, *, cadence, airborne, lift, rise, speed=0.0, strafe=0.0, turn=0.0, **swings):
    """Steps at `cadence` cycles/s; the body moves only while the feet do, and both feet end side by side."""
    step = scene.t[1] - scene.t[0]
    stepping, moving = scene.hold(rise), scene.hold(rise, margin=0.45)
    cycles = cadence * stepping.sum() * step
    rate = cadence * stepping * (max(round(2 * cycles), 2) / 2) / cycles
    scene.ch.set(cadence=rate, airborne=airborne * stepping, lift=lift * np.minimum(1.0, 2.0 * stepping))
    scene.ch.set(moving, speed=speed, strafe=strafe, turn=turn, **swings)


def _curve(scene, most):
    """(n,) turning rate of a path: mostly straight, sometimes a circle, rad/s."""
    constant = scene.rng.choice([0.0, 1.0]) * scene.uniform(-most, most)
    return constant + 0.3 * most * noise(scene.t, scene.rng, 0.05, 0.3)


def walk(scene):
    """Strolling to brisk walking, straight or in curves, upright or crouched, tired or lively."""
    v = scene.uniform(0.5, 1.8)
    u = scene.uniform
    mood = u(0.4, 1.4)
    pace = v * (1.0 + 0.1 * noise(scene.t, scene.rng, 0.05, 0.3))
    _gait(
        scene, speed=pace, turn=_curve(scene, 0.7), cadence=0.95 * (v / 1.3) ** 0.45 / np.sqrt(scene.body.leg / 0.85),
        airborne=u(0.04, 0.1), lift=u(0.1, 0.17), rise=1.0, arm_swing=mood * (0.12 + 0.25 * v), width=u(-0.05, 0.0),
        elbow_swing=u(0.0, 0.25) * v, pelvis_turn=u(0.04, 0.14), pelvis_drop=u(0.02, 0.08), sway=u(0.01, 0.045),
        bounce_walk=u(0.0, 0.015) * mood, bend=u(-0.03, 0.15), elbow_L=u(0.0, 0.4), elbow_R=u(0.0, 0.4),
    )  # fmt: skip
    if scene.rng.random() < 0.15:  # sneaking, or a bad back
        scene.ch.set(scene.hold(1.2), dz=-u(0.05, 0.2), bend=u(0.1, 0.6), nod=-u(0.0, 0.4), flex_L=0.3, flex_R=0.3)


def walk_sideways(scene):
    """Backwards or sideways steps."""
    u = scene.uniform
    back = scene.rng.random() < 0.5
    drift = {"speed": -u(0.3, 0.9)} if back else {"strafe": scene.rng.choice([-1, 1]) * u(0.2, 0.6)}
    _gait(scene, cadence=u(0.6, 0.95), airborne=0.0, lift=u(0.07, 0.14), rise=1.0, turn=_curve(scene, 0.3), width=0.02,
          arm_swing=u(-0.05, 0.2), pelvis_drop=0.03, sway=0.02, bend=u(0.0, 0.15), dz=-u(0.0, 0.06),
          look=0.4 * noise(scene.t, scene.rng, 0.1, 0.4), **drift)  # fmt: skip


def run(scene):
    """Jogging to running, 1.8 to 5 m/s, elbows bent."""
    u = scene.uniform
    v = u(1.8, 5.0)
    _gait(
        scene, speed=v * (1.0 + 0.06 * noise(scene.t, scene.rng, 0.05, 0.3)), turn=_curve(scene, 0.5), rise=1.2,
        cadence=1.35 * (v / 3.0) ** 0.2 / np.sqrt(scene.body.leg / 0.85), airborne=0.14 + 0.032 * v,
        lift=0.16 + 0.07 * v,
        arm_swing=0.25 + 0.09 * v, elbow_swing=u(0.0, 0.3), elbow_L=u(0.9, 1.4), elbow_R=u(0.9, 1.4), abduct_L=0.12,
        abduct_R=0.12, rotate_L=u(0.0, 0.4), rotate_R=u(0.0, 0.4), pelvis_turn=u(0.08, 0.18), pelvis_drop=0.05,
        bounce_run=u(0.015, 0.035), dz=-u(0.015, 0.05), bend=u(0.05, 0.2), pitch=u(0.0, 0.12), width=-0.07, nod=-0.1,
    )  # fmt: skip


def turn(scene):
    """Stepping around on the spot, looking ahead into the turn."""
    u = scene.uniform
    rate = scene.rng.choice([-1, 1]) * u(0.5, 1.8)
    direction = rate * np.sign(np.sin(2 * np.pi * u(0.1, 0.25) * scene.t + u(0, 6)) + u(-0.2, 1.2))
    direction = np.convolve(direction, np.full(41, 1 / 41), "same")
    _gait(scene, cadence=u(0.8, 1.2), airborne=0.0, lift=u(0.06, 0.14), rise=0.7, turn=direction, look=0.35 * direction,
          twist=0.12 * direction, arm_swing=u(0.0, 0.2), sway=0.02, pelvis_drop=0.03)  # fmt: skip


def jump(scene):
    """Jumps on the spot or forwards, with a swing of the arms."""
    u, t = scene.uniform, scene.t
    v = u(1.4, 3.0)  # m/s at take-off
    flight, depth, far = 2 * v / 9.81, u(0.12, 0.38), scene.rng.choice([0.0, 1.0]) * u(0.1, 1.5)
    spread, tuck, swing = scene.rng.choice([0.0, 0.0, 1.0]) * u(0.1, 0.3), u(0.0, 0.18), u(0.2, 1.0)
    crouch, push, land = u(0.35, 0.7), u(0.22, 0.3), u(0.25, 0.5)
    for begin, _ in repeats(t, scene.start + 0.2, scene.end, scene.rng, crouch + push + flight + 2 * land, u(0.0, 0.8)):
        off = begin + crouch + push
        times = [begin, begin + crouch, off, off + flight, off + flight + land * 0.6, off + flight + 2 * land]
        down = keyframes(t, times, [0.0, 1.0, -0.1, 0.05, 0.75, 0.0]) * depth
        air = np.clip(t - off, 0.0, flight)
        rise = (v * air - 4.905 * air**2) / scene.body.leg
        folded = np.sin(np.pi * air / flight) ** 2 * np.minimum(tuck, rise)
        arms = keyframes(t, times, [0.0, -0.6, 2.0, 1.5, 0.4, 0.0]) * swing
        out = keyframes(t, times, [0.0, 0.0, 0.6, 0.6, 0.3, 0.0]) * spread
        scene.ch.set(
            dz=rise - down, fz_L=rise + folded, fz_R=rise + folded, hop=far / flight * ((t > off) & (t < off + flight))
        )
        scene.ch.set(bend=1.6 * np.maximum(down, 0.0), nod=-0.6 * np.maximum(down, 0.0), fy_L=out, fy_R=out)
        scene.ch.on("LR", flex=arms, elbow=0.5 * np.abs(arms))


def guard(scene, weight):
    """A fighter's stance: hands up, knees soft, one foot back."""
    u, lead = scene.uniform, other_side(scene.handedness)
    high = u(0.5, 1.0)
    for s in "LR":
        scene.ch.on(s, weight, flex=high + u(-0.1, 0.1), elbow=u(1.6, 1.9), rotate=u(0.1, 0.5))
    scene.ch.set(weight, dz=-u(0.03, 0.12), bend=u(0.05, 0.2), nod=-0.1, yaw=u(0.1, 0.5) * (1 if lead == "R" else -1))
    scene.ch.set(weight, dx=0.02 * noise(scene.t, scene.rng, 0.5, 1.5), dy=0.02 * noise(scene.t, scene.rng, 0.5, 1.5))
    scene.ch.on(lead, ease(2 * weight), fx=u(0.1, 0.28))
    scene.ch.on(scene.handedness, ease(2 * weight - 1), fx=-u(0.1, 0.28))


def punch(scene):
    """Straight punches, hooks and uppercuts out of a guard."""
    u, t, weight = scene.uniform, scene.t, scene.hold(1.0)
    guard(scene, weight)
    for begin, length in repeats(t, scene.start + 1.0, scene.end - 1.0, scene.rng, u(0.5, 0.9), u(0.0, 0.8)):
        s = scene.side(0.55)
        sign = 1.0 if s == "L" else -1.0
        hit = keyframes(t, begin + length * np.array([0.0, 0.45, 0.55, 1.0]), [0.0, 1.0, 1.0, 0.0])
        hook = scene.rng.random() < 0.35
        reach = {
            "flex": u(0.3, 0.7),
            "elbow": -0.4 if hook else -u(1.4, 1.75),
            "rotate": u(0.2, 0.5),
            "abduct": hook * 0.7,
        }
        scene.ch.set(
            hit, **{f"{k}_{s}": v for k, v in reach.items()}, twist=-sign * u(0.3, 0.6), yaw=-sign * u(0.1, 0.3)
        )
        scene.ch.set(hit, dx=u(0.02, 0.08), look=sign * u(0.2, 0.5), bend=u(0.0, 0.15))


def kick(scene):
    """Kicks forwards and to the side, low to head high, leaning away."""
    u, t, weight = scene.uniform, scene.t, scene.hold(0.9)
    guard(scene, weight * u(0.0, 1.0))
    for begin, length in repeats(t, scene.start + 0.9, scene.end - 0.7, scene.rng, u(1.0, 1.8), u(0.2, 0.8)):
        s = scene.side()
        sign = 1.0 if s == "L" else -1.0
        out, high = scene.rng.choice([0.0, 1.0]) * u(0.2, 0.7), u(0.25, 1.1)
        when = begin + length * np.array([0.0, 0.35, 0.52, 0.58, 0.75, 1.0])
        far = 0.9 * np.sqrt(max(1.0 - (0.95 - high) ** 2, 0.2))
        forth = keyframes(t, when, [0.0, 0.15, far, far, 0.2, 0.0])
        up = keyframes(t, when, [0.0, min(0.5, high), high, high, 0.4 * high, 0.0])
        raised = keyframes(t, when, [0.0, 0.9, 1.0, 1.0, 0.7, 0.0])
        scene.ch.on(s, fx=forth * (1 - 0.4 * out), fy=forth * out, fz=up, toe=raised * out)
        scene.ch.set(
            raised, dy=-sign * 0.09, dz=-0.02, pitch=-0.45 * high * (1 - out), lean=-sign * out * 0.5 * high, bend=0.15
        )
        scene.ch.set(
            raised,
            yaw=-sign * u(0.1, 0.5),
            flex_L=u(-0.2, 0.5),
            flex_R=u(-0.2, 0.5),
            abduct_L=u(0, 0.6),
            abduct_R=u(0, 0.6),
        )


def throw(scene):
    """Throws and swings of a bat or racket: reach back, whip through."""
    u, t = scene.uniform, scene.t
    for begin, length in repeats(t, scene.start + 0.2, scene.end, scene.rng, u(1.6, 2.4), 0.6):
        s = scene.side(0.9)
        sign = 1.0 if s == "L" else -1.0
        when = begin + length * np.array([0.0, 0.45, 0.62, 0.72, 1.0])
        over = scene.rng.random() < 0.6
        flex = keyframes(t, when, [0.0, 0.3, 1.5, 0.8, 0.0] if over else [0.0, -0.7, 1.3, 1.7, 0.0])
        abduct = keyframes(t, when, [0.0, 1.5, 1.2, 0.2, 0.0] if over else [0.0, 0.3, 0.2, 0.1, 0.0])
        elbow = keyframes(t, when, [0.0, 1.4, 0.4, 0.3, 0.0] if over else [0.0, 0.2, 0.1, 0.6, 0.0])
        rotate = keyframes(t, when, [0.0, -1.1, 0.2, 0.8, 0.0]) * over
        wind = keyframes(t, when, [0.0, 1.0, -0.7, -0.9, 0.0]) * u(0.7, 1.2)
        scene.ch.on(s, flex=flex, abduct=abduct, elbow=elbow, rotate=rotate)
        scene.ch.set(
            twist=sign * 0.5 * wind, yaw=sign * 0.4 * wind, look=-sign * 0.7 * wind, bend=0.25 * np.maximum(-wind, 0)
        )
        scene.ch.set(dx=-0.1 * wind, dz=-0.06 * np.abs(wind))
        step = keyframes(t, when, [0.0, 0.1, 1.0, 1.0, 0.0]) * u(0.1, 0.4)
        scene.ch.on(other_side(s), fx=step, flex=0.6 * np.maximum(wind, 0.0))


def dance(scene):
    """Swaying and stepping to a beat, arms and trunk in phase with it."""
    u, t, rng = scene.uniform, scene.t, scene.rng
    beat, weight = u(0.7, 1.25), scene.hold(0.8)  # bars per second; two steps each

    def beats(amplitude, harmonic=1):
        return (
            amplitude * np.sin(2 * np.pi * harmonic * beat * t + u(0, 2 * np.pi)) * (1 + 0.3 * noise(t, rng, 0.05, 0.3))
        )

    drift = {"speed": beats(u(0.0, 0.5), 0.25), "strafe": beats(u(0.0, 0.5), 0.25), "turn": beats(u(0.0, 1.5), 0.25)}
    if rng.random() < 0.75:
        _gait(scene, cadence=beat, airborne=0.0, lift=u(0.04, 0.15), rise=0.8, sway=u(0.0, 0.05), **drift)
    scene.ch.set(
        weight, dy=beats(u(0.0, 0.06)), lean=beats(u(0.0, 0.15)), yaw=beats(u(0.0, 0.3)), side=beats(u(0.0, 0.25))
    )
    scene.ch.set(
        weight,
        dz=beats(u(0.0, 0.05), 2) - u(0.04, 0.12),
        bend=beats(u(0.0, 0.2)) + u(0.0, 0.2),
        nod=beats(u(0, 0.2), 2),
    )
    scene.ch.set(weight, twist=beats(u(0.0, 0.3)), look=beats(u(0.0, 0.4)), tilt=beats(u(0.0, 0.2)))
    tempo = {"move": (0.45 / beat, 0.55 / beat), "stay": (0.0, 0.5 / beat)}
    both = dwell(t, rng, lambda: np.array([u(-0.3, 1.8), u(0.0, 1.5), u(-0.5, 1.0), u(0.2, 1.9), 0.0]), **tempo)
    alone = dwell(
        t, rng, lambda: np.array([u(-0.6, 1.2), u(-0.2, 1.0), u(-0.5, 0.7), u(-0.5, 0.8), u(0, 0.2)]), **tempo
    )
    strength, apart = u(0.3, 1.0), u(0.0, 0.8)
    for s, sign in (("L", 1.0), ("R", -1.0)):
        for k, name in enumerate(("flex", "abduct", "rotate", "elbow", "shrug")):
            scene.ch.set(weight * strength, **{f"{name}_{s}": both[:, k] + sign * apart * alone[:, k] + beats(0.08, 2)})
