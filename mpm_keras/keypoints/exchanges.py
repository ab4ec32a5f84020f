"""Frames in which a detector took left for right, found by continuity and put right."""

import dataclasses

import numpy as np
from scipy.ndimage import percentile_filter

from mpm_keras.keypoints.detections import Track
from mpm_keras.skeletons import Skeleton

# Lengths are in units of the body's extent in the picture, times in seconds. Costs are negative log
# likelihoods, up to a constant.
_USUAL_FPS = 30.0
_RATE = 75.0  # frames a second above which only some frames are decided on jointly, the others after them
# Cost of parts (bits: legs, arms, head) becoming exchanged, or as they were, at once. Eyes and ears
# are so close together that they alone would tell of noise.
_SWITCH = (0.0, 4.0, 4.0, 4.5, 10.0, 10.0, 4.5, 4.0)
# Cost of a second with an exchanged part, at most, and of all of a track: of explanations that fit
# alike, the rarer exchange.
_EXCHANGED, _ALL_EXCHANGED = 5.0, 40.0
_TWIST, _TWISTED = 10.0, 0.01  # cost of a second with shoulders facing against hips, if by so much (a product)
_TAIL = 1.0  # beyond so much a pair's cost grows as a logarithm: single joints may leap
_DAMPING = 0.8  # share of the last step that is expected again
_ACCELERATION, _SPEED = 8.0, 0.5  # of one side against the other: what bodies do
_JITTER = (0.01, 0.03)  # least and most that is taken for the detector's noise
_MEMORY = 0.5  # over longer gaps one frame says nothing of the next
_STEADY = 0.15  # over longer ones the place says more than the speed
_MARGIN = 2.0  # by how much a frame between those decided on must fit better the other way
_PARTS = 3  # legs, arms with shoulders, head
_STATES = 1 << _PARTS  # a bit for each part that is exchanged


def mend_exchanges(track: Track, *, fps: float | None = None) -> Track:
    """The track with left and right put right in frames where the detector had exchanged them.

    The difference of a left and a right joint changes sign where they are exchanged, and their sum
    does not change at all. So the signs are sought, of legs, arms and head in every frame, with which
    the differences move most steadily: a Viterbi search over the eight combinations in two
    successive frames, which compares each frame with what the two before it make expect. Somebody
    who turns around passes through zero and goes on; limbs that pass each other keep their speed; an
    exchange makes them leap, or turn on the spot.

    What continuity cannot tell is left as the detector has it: a person exchanged in all frames, or
    all the time between two absences of more than half a second.

    Args:
        track: one person.
        fps: frames a second; 30 where unknown.

    Returns:
        The track with `exchanged` set in the frames that were changed, and a note with their number;
        scores go with the joints.
    """
    seen = np.flatnonzero((track.scores > 0).any(axis=1))
    parts = _parts(track.skeleton)
    if len(seen) < 3 or not any(parts):
        return track
    rate = fps or _USUAL_FPS
    differences, weights = _differences(track, seen, parts)
    states = _decide(seen / rate, differences, weights, parts, max(1, round(rate / _USUAL_FPS) if rate > _RATE else 1))
    if not states.any():
        return track
    points, scores = track.points.copy(), track.scores.copy()
    for bit, pairs in enumerate(_all_pairs(track.skeleton, parts)):
        frames = seen[(states >> bit & 1).astype(bool)][:, None]
        left, right = pairs.T
        for values in (points, scores):
            values[frames, left], values[frames, right] = values[frames, right], values[frames, left]
    exchanged = track.exchanged.copy()
    exchanged[seen] |= states > 0
    note = f"left and right were exchanged in {int((states > 0).sum())} of {len(seen)} frames and are put right"
    only = [f"{int((states == 1 << bit).sum())} of the {part} only" for bit, part in ((0, "legs"), (1, "arms"))]
    only = [text for text in only if not text.startswith("0 ")]
    note += f" ({', '.join(only)})" if only else ""
    return dataclasses.replace(track, points=points, scores=scores, exchanged=exchanged, notes=(*track.notes, note))


def _parts(skeleton: Skeleton):
    """Three lists of (left, right) that are looked at: hip, knee, ankle; shoulder, elbow, wrist; what the head has."""
    other = dict(skeleton.pairs)
    legs, arms = skeleton.limbs["left_leg"], skeleton.limbs["left_arm"]
    head = [j for j, _ in skeleton.pairs if j not in legs and j not in arms]
    return [[(j, other[j]) for j in joints] for joints in (legs[:3], arms[:3], head)]


def _all_pairs(skeleton: Skeleton, parts):
    """Three (n, 2) arrays of pairs that are exchanged with a part."""
    other = dict(skeleton.pairs)
    lists = [[(j, other[j]) for j in skeleton.limbs[limb]] for limb in ("left_leg", "left_arm")]
    return [np.array(pairs, np.int64).reshape(-1, 2) for pairs in (*lists, parts[2])]


def _differences(track, seen, parts):
    """(F, P, 2) left minus right in body extents, and (F, P) how much each counts, 0 where not found."""
    pairs = np.array([pair for part in parts for pair in part])
    most = (3, 3, 2)  # many joints of a face say no more than two
    share = np.concatenate([np.full(len(p), min(1.0, m / max(len(p), 1))) for p, m in zip(parts, most, strict=True)])
    points, scores = track.points[seen].astype(np.float64), track.scores[seen].astype(np.float64)
    extent = (np.nanmax(points, axis=1) - np.nanmin(points, axis=1)).max(axis=1)
    extent = np.maximum(percentile_filter(extent, 80, size=61, mode="nearest"), 1.0)
    both = np.minimum(scores[:, pairs[:, 0]], scores[:, pairs[:, 1]])
    weights = share * np.minimum(both / np.median(scores[scores > 0]), 1.0)
    return np.nan_to_num((points[:, pairs[:, 0]] - points[:, pairs[:, 1]]) / extent[:, None, None]), weights


def _decide(times, differences, weights, parts, stride):
    """(F,) states of all frames: of one in `stride` jointly, of the others by what those make expect."""
    starts = np.cumsum([0] + [len(part) for part in parts])
    slices = [slice(a, b) for a, b in zip(starts[:-1], starts[1:], strict=True)]
    block = np.floor((times - times[0]) / max(np.diff(times).min(), 1e-9) / stride + 0.5 / stride).astype(np.int64)
    keys = np.flatnonzero(np.diff(block, prepend=-1))
    keys = keys if len(keys) > 2 else np.arange(len(times))
    costs, jitter = _costs(times[keys], differences[keys], weights[keys], slices)
    states = np.zeros(len(times), np.int64)
    steps = np.minimum(np.diff(times[keys], prepend=times[0]), 3 / _USUAL_FPS)
    twist = _TWIST * steps[:, None] * _against(differences[keys], weights[keys], slices)
    exchanged = min(_EXCHANGED, _ALL_EXCHANGED / max(steps.sum(), 1e-9)) * steps
    states[:] = _viterbi(costs, exchanged, twist)[np.searchsorted(keys, np.arange(len(times)), side="right") - 1]
    return states if len(keys) == len(times) else _between(times, differences, weights, slices, keys, states, jitter)


def _costs(times, differences, weights, slices):
    """(F, parts, 2, 2) cost of a frame whose sign is another than the last one's, than the last but one's.

    And the (P,) noise of each pair.
    """
    d0, d1, w0, w1 = differences[2:], differences[1:-1], weights[2:], weights[1:-1]
    # The frame before the last one, or the nearest before that with both joints: taken to have the state
    # of the one before the last.
    found = np.maximum.accumulate(np.where(weights > 0, np.arange(len(times))[:, None], -1))[:-2]
    d2, w2 = np.take_along_axis(differences, found[..., None], 0), np.take_along_axis(weights, found, 0)
    step = (times[2:] - times[1:-1])[:, None]
    before = np.maximum(times[1:-1, None] - times[found], 1e-9)
    recent, recenter = step <= _MEMORY, (step + before <= _MEMORY) & (found >= 0)
    three = (w0 > 0) & (w1 > 0) & recenter & (step <= _STEADY)
    last = (w0 > 0) & (w1 > 0) & recent & ~three
    earlier = (w0 > 0) & (w1 <= 0) & recenter
    slope = np.where(three, _DAMPING * np.minimum(step / before, 1.5), 0.0)
    a = np.where(three, 1.0 + slope, last)[..., None]
    b = np.where(three, -slope, earlier)[..., None]
    signs = [(one, two) for one in (1, -1) for two in (1, -1)]
    rest = np.stack([np.linalg.norm(d0 - one * a * d1 - two * b * d2, axis=-1) for one, two in signs], axis=-1)
    jitter = np.array([_noise(rest[three[:, p], p].min(axis=-1)) for p in range(rest.shape[1])])
    alone = _SPEED * (step + np.where(earlier, before, 0.0))
    bodily = np.where(three, _ACCELERATION * step * (step + before) / 2, alone)
    scale = jitter**2 + bodily**2
    weight = np.where(three | last, np.minimum(w0, w1), np.where(earlier, np.minimum(w0, w2), 0.0))
    each = weight[..., None] * _TAIL * np.log1p(rest**2 / (2 * _TAIL * scale[..., None]))
    costs = np.zeros((len(times), _PARTS, 2, 2))
    for i, part in enumerate(slices):
        costs[2:, i] = each[:, part].sum(axis=1).reshape(-1, 2, 2)
    return costs, jitter


def _noise(rest) -> float:
    """Standard deviation along an axis of distances whose median, in a plane, is 1.18 times as large."""
    return float(np.clip(np.median(rest) / 1.18 if len(rest) else _JITTER[1], *_JITTER))


def _against(differences, weights, slices):
    """(F, 2) from 0 to 1: how much hips and shoulders face apart, as they are and with one of them exchanged."""
    hips, shoulders = slices[0].start, slices[1].start
    if slices[0].stop == hips or slices[1].stop == shoulders:
        return np.zeros((len(differences), 2))
    along = (differences[:, hips] * differences[:, shoulders]).sum(axis=-1)
    both = np.minimum(weights[:, hips], weights[:, shoulders])
    return both[:, None] * np.clip(np.stack([-along, along], axis=-1) / _TWISTED, 0.0, 1.0)


def _viterbi(costs, exchanged, twist):
    """(F,) the cheapest states: bit p is set where part p is exchanged.

    `exchanged` (F,) is the cost of any part exchanged, `twist` (F, 2) that of legs and arms being alike
    or not.
    """
    state = np.arange(_STATES)
    changed = state[:, None] ^ state[None]  # [s0, s1]
    bits = (changed[..., None] >> np.arange(_PARTS)) & 1
    switch = np.array(_SWITCH)[changed]
    alone = exchanged[:, None] * (state > 0) + twist[:, (state ^ state >> 1) & 1]  # [f, s]
    last, earlier = bits[:, :, None], bits[:, None, :]  # of [s0, s1, s2]: against s1, against s2
    index = [(last[..., p] * 2 + earlier[..., p]) for p in range(_PARTS)]
    flat = costs.reshape(len(costs), _PARTS, 4)
    value = switch + alone[1][:, None] + alone[0][None]  # [s0, s1], later of frames f and f - 1
    best = np.zeros((len(costs), _STATES, _STATES), np.int8)
    for f in range(2, len(costs)):
        total = value[None] + sum(flat[f, p][index[p]] for p in range(_PARTS))  # [s0, s1, s2]
        best[f] = total.argmin(axis=2)
        value = total.min(axis=2) + switch + alone[f][:, None]
    path = np.zeros(len(costs), np.int64)
    path[-1], path[-2] = np.unravel_index(value.argmin(), value.shape)
    for f in range(len(costs) - 1, 1, -1):
        path[f - 2] = best[f, path[f], path[f - 1]]
    return path


def _between(times, differences, weights, slices, keys, states, jitter):
    """States of the frames between those decided on: as those, unless they fit much better the other way."""
    states = states.copy()
    for bit, part in enumerate(slices):
        sign = 1.0 - 2.0 * (states[keys] >> bit & 1)
        gain = np.zeros(len(times))
        for p in range(part.start, part.stop):
            known = keys[weights[keys, p] > 0]
            if len(known) < 2:
                continue
            right = sign[weights[keys, p] > 0, None] * differences[known, p]
            expected = np.stack([np.interp(times, times[known], right[:, axis]) for axis in (0, 1)], axis=-1)
            now = differences[:, p] * (1.0 - 2.0 * (states >> bit & 1))[:, None]
            scale = 2 * _TAIL * (jitter[p] ** 2 + (_SPEED / _USUAL_FPS / 2) ** 2)
            as_is, other = (((s * now - expected) ** 2).sum(axis=-1) / scale for s in (1, -1))
            gain += weights[:, p] * _TAIL * (np.log1p(as_is) - np.log1p(other))
        gain[keys] = 0.0
        states ^= (gain > _MARGIN).astype(np.int64) << bit
    return states
