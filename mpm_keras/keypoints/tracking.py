"""Who is who from frame to frame: detections become one track for every person."""

import dataclasses

import numpy as np
from scipy.optimize import linear_sum_assignment

from mpm_keras.keypoints.detections import Detections, Track

# Distances are mean distances of joints in units of the body's extent in the picture; times in seconds.
_USUAL_FPS = 30.0  # where nothing says
_PATIENCE = 1.0  # how long somebody may be out of sight and still be the same
_NEAR, _NEAR_GROWTH, _NEAREST_CAP = 0.2, 0.8, 0.7  # how far a person may be from where one was expected
_FAR, _FAR_GROWTH = 0.6, 8.0  # the same where the file's id says that it is the same person
_OTHER_ID, _OTHER_ID_GROWTH, _NEW_ID = 0.35, 1.0, 0.1  # what it takes to go against the file's ids
_GAP, _GAP_GROWTH, _GAP_SIZE = 0.35, 1.3, 2.5  # how far, and by what factor in size, over a gap with nobody else
_SAME = 0.04  # two detections of one frame so close are one person found twice
_SHORT = 0.2  # a track shorter than this, and than this share of the longest one, is left out
_SMALLEST = 0.03  # body extent as a share of the picture, so that one joint alone has an extent
_IMPOSSIBLE = 1e6
_MOST_LIVE = 1000  # tracks that may go on; beyond, those that were seen last
_MOST_JOINTS = 1 << 26  # of all tracks in all frames, 12 bytes each


@dataclasses.dataclass
class _Open:
    """A track being made: the rows of its detections, and where it was last."""

    rows: list
    frame: int
    points: np.ndarray
    scores: np.ndarray
    extent: float
    track_id: int
    velocity: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(2))

    def expected(self, frame, patience):
        """(K, 2) where its joints should be: on at the same speed, but not for long."""
        return self.points + self.velocity * min(frame - self.frame, patience / 2)

    def move(self, row, frame, points, scores, extent, track_id):
        steps = points - self.points
        steps = steps[np.isfinite(steps[:, 0])]
        if len(steps):
            self.velocity = 0.5 * self.velocity + 0.5 * np.median(steps, axis=0) / (frame - self.frame)
        found = scores > 0
        # Joints not found stay where they were expected, so that the next frame has something to compare.
        self.points = np.where(found[:, None], points, self.points + self.velocity * (frame - self.frame))
        self.scores = np.where(found, scores, 0.5 * self.scores)
        self.extent = 0.8 * self.extent + 0.2 * extent
        self.rows.append(row)
        self.frame, self.track_id = frame, track_id if track_id >= 0 else self.track_id


def find_tracks(detections: Detections, *, image_size=None) -> list[Track]:
    """The people of a video, each as one track through all frames.

    In every frame the people found are assigned to the tracks so that the mean distance of their
    joints from where constant velocity would have them, in units of the body, is smallest in sum.
    Somebody may be out of sight for a second; who comes later is a new person, unless the file gives
    them an id from before. The file's ids decide where it has them, except where they would have
    people change places in a moment (a detector that exchanged two people), or leap.

    Args:
        detections: what a file holds.
        image_size: (width, height); the detections' own by default. Keeps people of whom few joints
            are found from having an extent of zero.

    Returns:
        Tracks named `person1`, ... in order of appearance; at least one. Very short ones beside a long
        one are left out, and the shortest of more than the memory should hold; notes say so.
    """
    rate = detections.fps or _USUAL_FPS
    size = image_size or detections.image_size
    rows, notes = _once(detections)
    least = _SMALLEST * max(size) if size else 1.0
    made = _join(detections, _assign(detections, rows, least, rate), least, rate)
    longest = max(len(t.rows) for t in made)
    kept = [t for t in made if len(t.rows) >= min(_SHORT * rate, _SHORT * longest)]
    if len(kept) < len(made):
        count = sum(len(t.rows) for t in made) - sum(len(t.rows) for t in kept)
        notes.append(f"{len(made) - len(kept)} people seen for a moment only, {count} frames in all, are left out")
    most = max(1, _MOST_JOINTS // (detections.num_frames * detections.skeleton.num_joints))
    if len(kept) > most:
        notes.append(f"of {len(kept)} people the {most} longest in view are kept")
        longest = sorted(range(len(kept)), key=lambda i: -len(kept[i].rows))[:most]
        kept = [kept[i] for i in sorted(longest)]
    return [_track(detections, t, f"person{i + 1}", notes) for i, t in enumerate(kept)]


def main_track(tracks) -> Track:
    """The person who is largest and longest in view: by the sum over frames of height and mean score."""
    if not tracks:
        raise ValueError("expected at least one track")

    def presence(track):
        seen = (track.scores > 0).any(axis=1)
        y = track.points[seen][..., 1]
        return float(((np.nanmax(y, axis=1) - np.nanmin(y, axis=1)) * track.scores[seen].mean(axis=1)).sum())

    return max(tracks, key=presence)


def _once(detections):
    """Rows to use: of two of one frame in the same place the surer one. And notes."""
    frame, scores = detections.frame, detections.scores
    starts = np.flatnonzero(np.diff(frame, prepend=-1))
    counts = np.diff(np.append(starts, len(frame)))
    dropped = np.zeros(len(frame), bool)
    for start, count in zip(starts[counts > 1], counts[counts > 1], strict=True):
        rows = np.arange(start, start + count)
        rows = rows[np.argsort(-scores[rows].sum(axis=1), kind="stable")]
        points, extent = detections.points[rows].astype(np.float64), _extents(detections.points[rows], 1.0)
        apart = _distances(points, scores[rows], points, scores[rows], extent[:, None], None)
        same = np.triu(apart < _SAME, 1)
        for i in np.flatnonzero(same.any(axis=0)):
            dropped[rows[i]] |= not dropped[rows[np.flatnonzero(same[:, i])]].all()
    notes = [f"{int(dropped.sum())} people found twice in a frame count once"] if dropped.any() else []
    return np.flatnonzero(~dropped), notes


def _assign(detections, rows, least, rate):
    """Tracks in order of appearance."""
    points, scores = detections.points[rows].astype(np.float64), detections.scores[rows].astype(np.float64)
    frame, ids = detections.frame[rows], detections.track_ids[rows]
    extents = _extents(points, least)
    order = detections.skeleton.flip_order
    patience = _PATIENCE * rate
    made, live, resting, known = [], [], {}, set()  # resting: tracks that only their id can bring back
    starts = np.flatnonzero(np.diff(frame, prepend=-1))
    for start, end in zip(starts, np.append(starts[1:], len(frame)), strict=True):
        now = int(frame[start])
        here = np.arange(start, end)
        resting |= {t.track_id: t for t in live if now - t.frame > patience and t.track_id >= 0}
        back = [resting.pop(i) for i in ids[here].tolist() if i in resting]
        live = [t for t in live if now - t.frame <= patience] + back
        if len(live) > _MOST_LIVE:
            live = sorted(live, key=lambda t: -t.frame)[:_MOST_LIVE]
        pairs = []
        if live:
            cost = _costs(live, now, points[here], scores[here], extents[here], ids[here], known, order, rate)
            pairs = [(a, b) for a, b in zip(*linear_sum_assignment(cost), strict=True) if cost[a, b] < _IMPOSSIBLE]
        for a, b in pairs:
            i = start + b
            live[a].move(int(rows[i]), now, points[i], scores[i], extents[i], int(ids[i]))
        taken = {b for _, b in pairs}
        new = [i for b, i in enumerate(here) if b not in taken]
        for i in sorted(new, key=lambda i: -extents[i]):
            track = _Open([int(rows[i])], now, points[i], scores[i], float(extents[i]), int(ids[i]))
            made.append(track)
            live.append(track)
        known.update(ids[here].tolist())
    return made


def _join(detections, made, least, rate):
    """Tracks of which one begins, within a second, about where the other has ended, are one person.

    That is looser than the assignment from frame to frame: people crouch, fall and jump unseen. The
    nearest ends are joined first, and half a second of waiting counts as much as all the way allowed.
    """
    span = round(_PATIENCE * rate)
    first = np.array([detections.frame[t.rows[0]] for t in made])
    last = np.array([t.frame for t in made])
    candidates = []
    for a, end in enumerate(last):
        for b in np.flatnonzero((first > end) & (first <= end + span)):
            if made[a].track_id < 0 or detections.track_ids[made[b].rows[0]] < 0:
                apart = _apart_over_gap(detections, made[a].rows[-span:], made[b].rows[:span], least, rate)
                wait = 2.0 * (first[b] - end) / rate
                candidates += [(apart + wait, a, int(b))] if apart < 1 else []
    follower, led = {}, set()
    for _, a, b in sorted(candidates):
        if a not in follower and b not in led:
            follower[a] = b
            led.add(b)
    joined = []
    for i, track in enumerate(made):
        if i in led:
            continue
        while i in follower:
            i = follower[i]
            track.rows += made[i].rows
            track.frame, track.track_id = made[i].frame, made[i].track_id
        joined.append(track)
    return joined


def _apart_over_gap(detections, before, after, least, rate):
    """Distance between the ends of two tracks as a share of what is allowed."""
    sizes = [_extents(detections.points[rows].astype(np.float64), least).max() for rows in (before, after)]
    if max(sizes) > _GAP_SIZE * min(sizes):
        return np.inf
    ends = [np.nanmedian(detections.points[row], axis=0) for row in (before[-1], after[0])]
    gap = (detections.frame[after[0]] - detections.frame[before[-1]]) / rate
    return float(np.linalg.norm(ends[1] - ends[0]) / max(sizes) / (_GAP + _GAP_GROWTH * gap))


def _costs(live, now, points, scores, extents, ids, known, order, rate):
    """(T, D) what it costs that a detection is the next of a track."""
    waited = np.array([now - t.frame for t in live])[:, None] / rate
    where = np.stack([t.expected(now, _PATIENCE * rate) for t in live])
    sure = np.stack([t.scores for t in live])
    extent = np.maximum(np.array([t.extent for t in live])[:, None], extents[None])
    apart = _distances(where, sure, points, scores, extent, order)
    near = np.minimum(_NEAR + _NEAR_GROWTH * waited, _NEAREST_CAP)
    before = np.array([t.track_id for t in live])[:, None]
    same = (before == ids) & (ids >= 0)
    other = (before != ids) & (before >= 0) & (ids >= 0)
    new = other & np.array([i not in known for i in ids.tolist()])
    cost = apart + np.where(new, _NEW_ID, np.where(other, _OTHER_ID + _OTHER_ID_GROWTH * waited, 0.0))
    late = waited > _PATIENCE
    possible = np.where(same, late | (apart < _FAR + _FAR_GROWTH * waited), ~late & (apart < near))
    return np.where(possible, np.where(same & late, 0.0, cost), _IMPOSSIBLE)


def _distances(where, sure, points, scores, extent, order):
    """(T, D) mean distance of joints, by their scores; of the smaller, left and right exchanged or not."""
    apart = _one_way(where, sure, points, scores, extent)
    if order is not None:
        apart = np.minimum(apart, _one_way(where, sure, points[:, order], scores[:, order], extent))
    return apart


def _one_way(where, sure, points, scores, extent):
    apart = np.hypot(*np.moveaxis(where[:, None] - points[None], -1, 0)) / extent[..., None]
    known = np.isfinite(apart)
    weight = np.where(known, sure[:, None] * scores[None], 0.0)
    apart = np.where(known, np.minimum(apart, 20.0), 0.0)
    total = weight.sum(axis=-1)
    return np.where(total > 0, (weight * apart).sum(axis=-1) / np.maximum(total, 1e-12), 20.0)


def _extents(points, least):
    """(N,) the larger of width and height of the joints found, at least `least`."""
    low, high = np.nanmin(points, axis=1), np.nanmax(points, axis=1)
    return np.maximum((high - low).max(axis=1), least)


def _track(detections, made, name, notes):
    shape = (detections.num_frames, detections.skeleton.num_joints)
    points, scores = np.full((*shape, 2), np.nan, np.float32), np.zeros(shape, np.float32)
    frames = detections.frame[made.rows]
    points[frames], scores[frames] = detections.points[made.rows], detections.scores[made.rows]
    ids = detections.track_ids[made.rows]
    changes = np.flatnonzero((np.diff(ids) != 0) & (ids[1:] >= 0) & (ids[:-1] >= 0))
    own = [f"the file's id changes from {ids[i]} to {ids[i + 1]} at frame {frames[i + 1]}" for i in changes[:5]]
    if len(changes) > 5:
        own.append(f"the file's id changes {len(changes) - 5} times more")
    return Track(name, detections.skeleton, points, scores, np.zeros(shape[0], bool), (*notes, *own))
