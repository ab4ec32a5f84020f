"""A lifted person on one page: moments of the clip, seen by the camera and from the side."""

import os

import numpy as np

from mpm_keras.viz.skeleton import _FAINT, _INK, _PAPER, _box, _box_2d, _figure, _upright, draw_pose_2d, draw_pose_3d

_CELL, _LEFT, _TOP = 1.25, 0.9, 0.75  # inches


def strip_figure(path: str | os.PathLike, motion, rows=None, moments: int = 12, title: str = ""):
    """Writes moments of a clip, spread evenly: keypoints, and each 3D as the camera sees it and from its side.

    Args:
        path: the picture to write, such as `person1.png`.
        motion: `LiftedMotion`.
        rows: {name: (F, J, 3)} 3D to draw, camera frame; the motion's own by default.
        moments: columns.
        title: of the picture.

    Joints that the detector did not give are rings.
    """
    rows = rows or {"lifted": motion.positions_3d}
    frames = np.linspace(0, len(motion.filled) - 1, moments).round().astype(int)
    lines = 1 + 2 * len(rows)
    size = np.array([_LEFT + _CELL * moments, _TOP + _CELL * lines])
    figure = _figure(*size)
    figure.text(0.15 / size[0], 1 - 0.25 / size[1], title or motion.name, fontsize=12, color=_INK, va="center")
    names = ["keypoints", *(f"{name},\n{side}" for name in rows for side in ("from the\ncamera", "from its\nright"))]
    for line, name in enumerate(names):
        y = size[1] - _TOP - _CELL * (line + 0.5)
        figure.text(0.1 / size[0], y / size[1], name, fontsize=8, color=_FAINT, va="center")
    for column, frame in enumerate(frames):
        x = _LEFT + _CELL * column
        place = ((x + _CELL / 2) / size[0], 1 - 0.58 / size[1])
        figure.text(*place, f"{frame / motion.fps:.2f} s", fontsize=8, color=_FAINT, ha="center")

        def axes(line, left=x, **options):
            place = np.array([left, size[1] - _TOP - _CELL * (line + 1)]) / size
            return figure.add_axes((*place, *(np.array([_CELL, _CELL]) / size)), **options)

        _keypoints(axes(0), motion, frame)
        for k, poses in enumerate(rows.values()):
            for side, azimuth in enumerate((-90.0, 0.0)):
                ax = axes(1 + 2 * k + side, projection="3d")
                draw_pose_3d(ax, poses[frame], motion.skeleton, frame="camera")
                filled = _upright(poses[frame], "camera")[motion.filled[frame]]
                ax.plot(*filled.T, "o", mfc=_PAPER, mec=_FAINT, mew=0.8, ms=4)
                _box(ax, np.array([[-0.9, -0.9, -0.9], [0.9, 0.9, 0.9]]), elevation=0.0, azimuth=azimuth, zoom=1.5)
    figure.savefig(path)


def _keypoints(ax, motion, frame):
    """The detector's keypoints of a frame in a square around the person."""
    ax.set_axis_off()
    seen = np.isfinite(motion.keypoints_2d[frame]).all(axis=-1)
    if seen.any():
        points = np.where(seen[:, None], motion.keypoints_2d[frame], motion.keypoints_2d[frame][seen].mean(axis=0))
        draw_pose_2d(ax, points, motion.skeleton, hidden=motion.filled[frame] | ~seen, show_hidden=False)
        _box_2d(ax, points[seen][None], scale=False)
