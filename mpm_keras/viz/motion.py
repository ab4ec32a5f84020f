"""Animations of lifted motion: the keypoints in the picture and the skeleton in 3D, side by side."""

import math
import os

import numpy as np

from mpm_keras.errors import InputError
from mpm_keras.inference.lifted import LiftedMotion
from mpm_keras.viz.people import FILLED, PEOPLE, check_people, place_filled
from mpm_keras.viz.skeleton import (
    _FAINT,
    _INK,
    _PALE,
    _PAPER,
    _SHADE,
    LEFT,
    MIDDLE,
    RIGHT,
    _box,
    _figure,
    _upright,
    _writer,
    side_colours,
)

_SIZE, _HEAD = (9.6, 5.2), 0.6  # inches: the picture and what stands above it
_RATE = {".gif": 12.5, ".mp4": 30.0}  # most frames a second, unless asked for more
_GIF_FRAMES = 400  # more would take gigabytes of memory while it is written
_REACH = 1.5  # metres from the root joint; joints beyond it do not widen the scene
_BESIDE = 1.4  # metres between people, who stand in a row


def animate_motion(
    motions: list[LiftedMotion], path: str | os.PathLike, *, first: int = 0, last: int | None = None,
    every: int | None = None, title: str = "",
):  # fmt: skip
    """Writes an animation of one or several people, in the time that the clip takes.

    Joints that the network filled in are hollow and their bones dotted. In 3D people stand in a row, in
    place; `viewer.write_viewer` also shows confidences and paths.

    Args:
        motions: people of one clip: the same frames, frame rate, image size and skeleton.
        path: a `.gif`, or an `.mp4` where ffmpeg or imageio-ffmpeg is installed.
        first, last: the frames to show, both included (default: all).
        every: shows each so-manieth frame (default: such that a GIF has at most 12.5 frames a second
            and an MP4 30).
        title: shown above.

    Raises:
        InputError: for another ending, an mp4 without ffmpeg, or a GIF of more than 400 frames.
        ValueError: if there is nobody, the people are not of one clip, or no such frames exist.
    """
    check_people(motions)
    count, fps = len(motions[0].positions_3d), float(motions[0].fps)
    last = count - 1 if last is None else last
    kind = os.path.splitext(os.fspath(path))[1].lower()
    every = max(math.ceil(fps / _RATE.get(kind, fps) - 0.01), 1) if every is None else every
    if not (0 <= first <= last < count and every >= 1):
        raise ValueError(f"expected frames of 0..{count - 1} and every >= 1; found {first}..{last}, every {every}")
    shown = range(first, last + 1, every)
    writer = _writer(path, fps / every)
    if kind == ".gif" and len(shown) > _GIF_FRAMES:
        raise InputError(
            f"{os.fspath(path)}: a GIF has at most {_GIF_FRAMES} frames, this one would have {len(shown)}: "
            "choose fewer by first, last or every, or write an .mp4"
        )
    figure, flat, scene, note = _axes(motions, title)
    people = _people(motions, flat, scene, shown)
    with writer.saving(figure, os.path.abspath(path), dpi=100):
        for frame in shown:
            for person in people:
                person.show(frame)
            note.set_text(f"frame {frame}   {frame / fps:.2f} s")
            writer.grab_frame()


def _axes(motions, title):
    """The figure, its picture and scene, and the text that tells the time."""
    from matplotlib.lines import Line2D

    figure, high = _figure(*_SIZE), _SIZE[1]
    figure.text(0.02, 1 - 0.3 / high, title, fontsize=11, color=_INK, va="center", parse_math=False)
    note = figure.text(0.98, 1 - 0.3 / high, "", fontsize=9.5, color=_INK, va="center", ha="right")
    flat = figure.add_axes((0.02, 0.35 / high, 0.47, 1 - (_HEAD + 0.35) / high))
    width, height = motions[0].image_size
    flat.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[], facecolor=_SHADE)
    flat.set_aspect("equal", adjustable="box")
    for spine in flat.spines.values():
        spine.set_color(_FAINT)
    scene = figure.add_axes((0.5, 0.25 / high, 0.49, 1 - (_HEAD + 0.25) / high), projection="3d")
    scene.computed_zorder = False
    handles = [Line2D([], [], color=c, lw=2, label=n) for n, c in (("left", LEFT), ("right", RIGHT))]
    handles.append(Line2D([], [], color=FILLED, ls="none", marker="o", mfc=_PAPER, mew=1.5, label="filled in"))
    figure.legend(handles=handles, loc="lower right", ncols=3, fontsize=8, frameon=False)
    return figure, flat, scene, note


def _people(motions, flat, scene, shown):
    """Everybody's lines in both axes; the scene's limits hold all frames that are shown."""
    keypoints = [place_filled(motion) for motion in motions]
    seen = [pixels[np.isfinite(pixels).all(-1), 0] for pixels in keypoints]
    middles = [np.median(columns) if len(columns) else np.inf for columns in seen]
    places = np.argsort(np.argsort(middles, kind="stable")) - (len(motions) - 1) / 2  # in the picture's order
    upright = [
        _upright(np.asarray(motion.positions_3d, float), "camera") + [_BESIDE * place, 0.0, 0.0]
        for motion, place in zip(motions, places, strict=True)
    ]
    near = [np.abs(np.nan_to_num(motion.positions_3d, nan=np.inf)).max(-1) <= _REACH for motion in motions]
    inside = slice(shown.start, shown.stop)
    corners = np.concatenate([points[inside][keep[inside]] for points, keep in zip(upright, near, strict=True)])
    corners = corners if len(corners) else np.zeros((1, 3))
    _box(scene, corners, azimuth=-62.0, zoom=1.3)
    _floor(scene, corners.min(0), corners.max(0))
    return [
        _Person(
            motion, keypoints[k], upright[k], PEOPLE[k % len(PEOPLE)], motion.name * (len(motions) > 1), flat, scene
        )
        for k, motion in enumerate(motions)
    ]


def _floor(scene, low, high):
    """Squares of half a metre under the lowest joint, level as the camera is."""
    (left, near), (right, far) = np.floor(2 * low[:2]) / 2, np.ceil(2 * high[:2]) / 2
    for x in np.arange(left, right + 0.25, 0.5):
        scene.plot([x, x], [near, far], low[2], color=_PALE, lw=0.5, clip_on=False)
    for y in np.arange(near, far + 0.25, 0.5):
        scene.plot([left, right], [y, y], low[2], color=_PALE, lw=0.5, clip_on=False)


class _Person:
    """One person's lines, moved from frame to frame."""

    def __init__(self, motion, keypoints, upright, colour, name, flat, scene):
        self.skeleton, self.filled = motion.skeleton, np.asarray(motion.filled, bool)
        self.views = [(keypoints, *self._lines(flat, 2, colour)), (upright, *self._lines(scene, 3, colour))]
        style = {"fontsize": 8, "color": colour, "ha": "center", "va": "bottom", "clip_on": True, "parse_math": False}
        self.label = flat.text(0, 0, name, **style)

    def _lines(self, ax, size, colour):
        """A line for each bone, one of dots for each colour of joints, and one of rings."""
        nowhere = [[np.nan]] * size
        colours = [colour if c == MIDDLE else c for c in side_colours(self.skeleton)]
        bones = [ax.plot(*nowhere, color=colours[b], lw=2, solid_capstyle="round")[0] for _, b in self.skeleton.bones]
        dots = {c: ax.plot(*nowhere, "o", color=c, ms=3.6)[0] for c in dict.fromkeys(colours)}
        rings = ax.plot(*nowhere, "o", mfc=_PAPER, mec=FILLED, mew=1.3, ms=5)[0]
        return bones, dots, rings, np.array(colours)

    def show(self, frame):
        """Moves everything to where it is at a frame; what is NaN is not drawn."""
        filled = self.filled[frame]
        for points, bones, dots, rings, colours in self.views:
            pose = points[frame]
            for line, (a, b) in zip(bones, self.skeleton.bones, strict=True):
                line.set_linestyle(":" if filled[a] or filled[b] else "-")
                _place(line, pose[[a, b]])
            for colour, line in dots.items():
                _place(line, np.where((~filled & (colours == colour))[:, None], pose, np.nan))
            _place(rings, np.where(filled[:, None], pose, np.nan))
        self._place_label(self.views[0][0][frame])

    def _place_label(self, pixels):
        known = pixels[np.isfinite(pixels).all(-1)]
        self.label.set_visible(len(known) > 0)
        if len(known):
            x, y = known[known[:, 1].argmin()]
            self.label.set_position((x, y - 0.02 * self.label.axes.get_ylim()[0]))


def _place(line, points):
    (line.set_data if points.shape[-1] == 2 else line.set_data_3d)(*points.T)
