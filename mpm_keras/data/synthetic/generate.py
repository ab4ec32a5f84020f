"""Synthetic motion: random bodies that walk, run, sit, reach, jump and crawl through random clips."""

from collections.abc import Sequence

import numpy as np

from mpm_keras.data.motion import Motion
from mpm_keras.data.synthetic import activities as feet
from mpm_keras.data.synthetic import postures
from mpm_keras.data.synthetic.body import sample_body
from mpm_keras.data.synthetic.channels import ARMS, Channels, noise
from mpm_keras.data.synthetic.gait import positions

LICENSE = "Apache-2.0"
CLIPS_PER_SUBJECT = 4
_LEAD = 1.5  # seconds generated before and after a clip, so that it may start in the middle of things

# Activity -> (function, weight in the draw, shortest duration in seconds).
_TABLE = {
    "walk": (feet.walk, 6, 3.0), "walk sideways or backwards": (feet.walk_sideways, 2, 3.0), "run": (feet.run, 3, 3.5),
    "turn": (feet.turn, 2, 2.5), "jump": (feet.jump, 1, 2.5), "punch": (feet.punch, 2, 3.5),
    "kick": (feet.kick, 1, 3.5),
    "throw": (feet.throw, 1, 2.8), "dance": (feet.dance, 3, 3.5), "stand": (postures.stand, 1, 2.5),
    "gesture": (postures.gesture, 2, 2.5), "wave": (postures.wave, 1, 2.5), "reach": (postures.reach, 2, 2.8),
    "stretch": (postures.stretch, 1, 3.5), "sit": (postures.sit, 3, 4.5), "squat": (postures.squat, 1, 3.0),
    "crouch": (postures.crouch, 1, 3.8), "pick up": (postures.pick_up, 2, 3.0), "lunge": (postures.lunge, 1, 2.8),
    "balance": (postures.balance, 1, 3.5), "crawl": (postures.crawl, 1, 6.0),
    "sit on floor": (postures.sit_on_floor, 1, 6.5),
}  # fmt: skip
ACTIVITIES = tuple(_TABLE)
_DECK = tuple(name for name, (_, weight, _) in _TABLE.items() for _ in range(weight))
_OVERLAYS = ("gesture", "wave", "reach")  # what arms do while the legs do something else
_UNDERLAYS = ("walk", "walk sideways or backwards", "turn", "sit", "crouch", "balance")


def synthetic_motion(
    clips: int = 400,
    seconds: float = 10.0,
    fps: float = 50.0,
    seed: int = 0,
    activities: Sequence[str] | None = None,
) -> Motion:
    """Random human motion on the H36M-17 joints, made by rule: no recorded data enters it.

    Every four clips share a subject (`synthetic000`, ...) with a body and a posture of its own. Clip i
    depends only on (seed, i), its subject only on (seed, subject); asking for more clips leaves the
    first ones as they were. A clip holds one to three activities, joined by `", "` in `actions`.

    Args:
        clips: number of clips.
        seconds: length of a clip; at least two frames.
        fps: frames a second.
        seed: any non-negative integer.
        activities: the activities to draw from (default: all of `ACTIVITIES`).

    Returns:
        A `Motion`: world frame, z up, floor near z = 0, metres; each clip starts with the hip above the
        origin, in a random heading.

    Raises:
        ValueError: for an unknown activity, or when there would be no clip or fewer than two frames.
    """
    frames = round(seconds * fps) if fps > 0 else 0
    if clips < 1 or frames < 2:
        raise ValueError(
            f"need at least 1 clip and 2 frames; found {clips} clips of {seconds} s at {fps} frames a second"
        )
    unknown = sorted(set(activities or ()) - set(ACTIVITIES))
    if unknown:
        raise ValueError(f"unknown activity {unknown[0]!r}; known: {', '.join(ACTIVITIES)}")
    deck = _DECK if not activities else tuple(name for name in _DECK if name in activities)
    made = [_clip(i, frames, fps, seed, deck) for i in range(clips)]
    return Motion.from_clips(
        [pose for pose, _ in made],
        names=[f"synthetic/{i:05d}" for i in range(clips)],
        subjects=[f"synthetic{i // CLIPS_PER_SUBJECT:03d}" for i in range(clips)],
        actions=[action for _, action in made],
        fps=[fps] * clips,
        licenses=[LICENSE] * clips,
    )


def _clip(i, frames, fps, seed, deck):
    """(frames, 17, 3) float32 positions of clip i, and its activities in words."""
    rng = np.random.default_rng([seed, 1, i])
    person = np.random.default_rng([seed, 0, i // CLIPS_PER_SUBJECT])
    body = sample_body(person)
    lead = round(_LEAD * fps)
    t = (np.arange(frames + 2 * lead) - lead) / fps
    ch = Channels(len(t))
    plan = _plan(i, seed, frames / fps, deck, rng)
    handedness = "R" if person.random() < 0.88 else "L"
    for name, start, end in plan:
        _perform(name, feet.Scene(ch, t, start, end, rng, body, handedness))
    stance = _posture(ch, t, person, rng)
    pose = positions(ch, body, t, rng.uniform(0.0, 2 * np.pi), stance)[lead : lead + frames]
    pose[..., :2] -= pose[0, 0, :2]
    return pose.astype(np.float32), ", ".join(dict.fromkeys(name for name, _, _ in plan))


def _plan(i, seed, seconds, deck, rng):
    """[(activity, start, end)]: the deck is dealt out clip by clip, so that every activity gets its share."""
    shuffled = np.random.default_rng([seed, 2, i // len(deck)]).permutation(len(deck))
    names = [deck[shuffled[i % len(deck)]]]
    start = -rng.uniform(0.0, _LEAD)
    total = -start + seconds + rng.uniform(0.0, _LEAD)
    wanted = rng.choice([1, 2, 3], p=[0.3, 0.4, 0.3])
    for name in rng.permutation(deck)[: wanted - 1]:
        if sum(_TABLE[n][2] for n in [*names, str(name)]) < total:
            names.append(str(name))
    rng.shuffle(names)
    spare = total - sum(_TABLE[n][2] for n in names)
    parts = rng.dirichlet([2.0] * len(names)) * max(spare, 0.0)
    plan = []
    for name, part in zip(names, parts, strict=True):
        length = _TABLE[name][2] + part
        plan.append((name, start, start + length))
        start += length - 0.2  # the next one begins before this one is quite over
    return plan


def _perform(name, scene):
    """One activity, and at times something else to do for the arms meanwhile."""
    if name in _UNDERLAYS and scene.rng.random() < 0.3:
        base = Channels(len(scene.t))
        _TABLE[name][0](_on(scene, base))
        busy = scene.hold(1.0)
        for arm in (*ARMS, "arm_swing"):
            base[arm] *= 1.0 - busy
        scene.ch.values += base.values
        name = str(scene.rng.choice(_OVERLAYS))
        layer = Channels(len(scene.t))
        _TABLE[name][0](_on(scene, layer))
        for column in (*ARMS, "twist", "look", "nod", "side"):
            scene.ch[column] += layer[column]
    else:
        _TABLE[name][0](scene)


def _on(scene, ch):
    return feet.Scene(ch, scene.t, scene.start, scene.end, scene.rng, scene.body, scene.handedness)


def _posture(ch, t, person, rng):
    """Adds the person's own way of standing and the small movements of the living; returns the half stance."""
    own = person.normal
    ch.set(bend=own(0.0, 0.06), pitch=own(0.02, 0.06), nod=own(0.0, 0.1), side=own(0.0, 0.02), twist=own(0.0, 0.03))
    for s in "LR":
        ch.on(s, flex=own(0.03, 0.08), abduct=own(0.14, 0.05), rotate=own(0.15, 0.15))
        ch.on(s, elbow=own(0.45, 0.15), shrug=own(0.0, 0.04), toe=own(0.12, 0.12))
        ch.on(s, fx=rng.normal(0.0, 0.03))
        arm = noise(t, rng, 0.1, 0.9, 4)
        for k, name in enumerate(("flex", "abduct", "rotate", "elbow")):
            ch.set(**{f"{name}_{s}": 0.08 * arm[:, k]})
    ch.set(dz=-abs(own(0.0, 0.012)))
    slow = noise(t, rng, 0.05, 0.8, 8) * (0.012, 0.016, 0.04, 0.05, 0.06, 0.08, 0.04, 0.15)
    for k, name in enumerate(("dx", "dy", "bend", "side", "twist", "nod", "tilt", "look")):
        ch.set(**{name: slow[:, k]})
    return person.uniform(0.06, 0.17)
