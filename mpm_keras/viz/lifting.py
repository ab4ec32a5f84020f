"""Pictures of lifting: 2D input, predicted 3D and truth side by side, and the error of each joint.

As in `viz.skeleton`, figures know no window and no global state.
"""

import itertools
import os

import numpy as np

from mpm_keras.skeletons import Skeleton
from mpm_keras.viz.skeleton import (
    _FAINT,
    _INK,
    _PALE,
    _box,
    _box_2d,
    _draw_camera,
    _figure,
    _upright,
    _writer,
    draw_pose_2d,
    side_colours,
)

_CELL, _GAP, _HEAD = 1.9, 0.35, 0.62  # inches
_PANELS = ("2D input", "predicted 3D", "truth")
_VIEW = {"elevation": 12.0, "azimuth": -62.0, "zoom": 1.42}  # from the side, so that errors of depth are seen


def lifting_figure(
    path: str | os.PathLike, input_2d, predicted_3d, true_3d, skeleton: Skeleton, labels=None, hidden=None,
    title: str = "", columns: int = 2,
):  # fmt: skip
    """Writes examples of lifting: for each the 2D input, the prediction over the truth, and the truth.

    Args:
        path: the picture to write, such as `examples.png`.
        input_2d: (K, J, 2) normalised screen, y down.
        predicted_3d, true_3d: (K, J, 3) camera frame, root-relative, metres. Both are drawn from the
            same side, turned away from the camera's view, and to the same scale.
        skeleton: the joint convention.
        labels: K texts, such as the clip and the frame.
        hidden: (K, J) bool, input joints that the network did not see.
        title: of the picture.
        columns: examples in a row.

    Raises:
        ValueError: if there is no example or shapes disagree.
    """
    input_2d, predicted_3d, true_3d, hidden = _checked(input_2d, predicted_3d, true_3d, skeleton, hidden)
    labels = [f"frame {k}" for k in range(len(input_2d))] if labels is None else list(labels)
    if len(labels) != len(input_2d):
        raise ValueError(f"expected {len(input_2d)} labels, found {len(labels)}")
    columns = min(columns, len(input_2d))
    wide, high = 3 * _CELL + _GAP, _CELL + _HEAD
    size = np.array([columns * wide + _GAP, -(-len(input_2d) // columns) * high + 0.75])
    figure = _figure(*size)
    figure.text(_GAP / size[0], 1 - 0.28 / size[1], title, fontsize=13, color=_INK, va="center")
    for k, label in enumerate(labels):
        row, column = divmod(k, columns)
        left, top = _GAP + column * wide, size[1] - 0.6 - row * high
        _example(figure, size, left, top, label, input_2d[k], predicted_3d[k], true_3d[k], hidden[k], skeleton)
    _legend(figure, size, hidden.any())
    figure.savefig(path)


def _example(figure, size, left, top, label, input_2d, predicted_3d, true_3d, hidden, skeleton):
    """One example: a line of text, then its three panels."""
    error = _error_mm(predicted_3d, true_3d)
    end = left + 3 * _CELL
    figure.text(*(left, top - 0.14) / size, label, fontsize=8.5, color=_INK, va="center", weight="bold")
    figure.text(*(end, top - 0.14) / size, f"{error:.0f} mm", fontsize=8.5, color=_INK, va="center", ha="right")
    figure.add_artist(_line(np.array([left, end]) / size[0], np.array([top - 0.3] * 2) / size[1]))
    axes = []
    for i, panel in enumerate(_PANELS):
        place = (*(left + i * _CELL, top - _HEAD - _CELL + 0.15) / size, *(_CELL, _CELL) / size)
        axes.append(figure.add_axes(place, projection="3d" if i else None))
        x, y = (left + (i + 0.5) * _CELL, top - 0.42) / size
        figure.text(x, y, panel, fontsize=7.5, color=_FAINT, ha="center", va="center")
    _panels(axes, input_2d, predicted_3d, true_3d, hidden, skeleton, [predicted_3d, true_3d], input_2d[None])


def _panels(axes, input_2d, predicted_3d, true_3d, hidden, skeleton, shown_3d, shown_2d):
    """Draws input, prediction over pale truth, and truth; `shown` are the poses that limits go by."""
    flat, predicted, true = axes
    draw_pose_2d(flat, input_2d, skeleton, hidden=hidden)
    _box_2d(flat, shown_2d, scale=False)
    flat.set_position([p + d for p, d in zip(flat.get_position().bounds, _inset(flat), strict=True)])
    flat.set_xticks([])
    flat.set_yticks([])
    _draw_camera(predicted, true_3d, skeleton, colour=_PALE, linewidth=2.6)
    _draw_camera(predicted, predicted_3d, skeleton)
    _draw_camera(true, true_3d, skeleton)
    for ax in (predicted, true):
        _box(ax, _upright(np.stack(shown_3d), "camera"), **_VIEW)


def _inset(ax, share=0.06):
    """Changes of left, bottom, width and height that take a share of the axes away on every side."""
    _, _, width, height = ax.get_position().bounds
    return share * width, share * height, -2 * share * width, -2 * share * height


def joint_error_figure(path: str | os.PathLike, errors: dict, skeleton: Skeleton, title: str = "Error per joint"):
    """Writes a bar chart of the error of each joint, from the root outwards, in the colours of the sides.

    Args:
        path: the picture to write, such as `joint_errors.png`.
        errors: {name: (J,) mm}; the first is drawn as bars, up to three others as marks on them.
        skeleton: the joint convention. The root, whose error is zero by definition, is left out.
        title: of the picture.

    Raises:
        ValueError: if there is nothing to draw, too much, or an error is not (J,).
    """
    errors = {name: np.asarray(values, float) for name, values in errors.items()}
    if not 1 <= len(errors) <= 4:
        raise ValueError(f"expected one to four series of errors, found {len(errors)}")
    for name, values in errors.items():
        if values.shape != (skeleton.num_joints,):
            raise ValueError(f"{name}: expected errors of shape ({skeleton.num_joints},), found {values.shape}")
    order = [j for limb in ("torso", "head", "left_arm", "right_arm", "left_leg", "right_leg")
             for j in skeleton.limbs[limb] if j != skeleton.root]  # fmt: skip
    colours = [side_colours(skeleton)[j] for j in order]
    figure = _figure(7.2, 1.35 + 0.29 * len(order))
    high = figure.get_size_inches()[1]
    ax = figure.add_axes((0.15, 0.62 / high, 0.79, 1 - 1.35 / high))
    (first, bars), *others = errors.items()
    rows = _rows(order, skeleton)
    ax.barh(rows, bars[order], height=0.66, color=colours, label=first)
    top = max(float(np.max(values[order])) for values in errors.values())
    for (name, values), marker in zip(others, ("D", "o", "^"), strict=False):
        ax.plot(values[order], rows, marker, color=_INK, mfc="white", mew=1.1, ms=5, ls="none", label=name)
    for y, j in zip(rows, order, strict=True):
        inside = others and bars[j] > 0.08 * top  # beside the bar there may be marks
        x, colour = (0.012 * top, "white") if inside else (bars[j] + 0.01 * top, _INK)
        ax.text(x, y, f"{bars[j]:.0f}", va="center", fontsize=8, color=colour)
    ax.set_yticks(rows, [skeleton.joints[j] for j in order], fontsize=9, color=_INK)
    _style_bars(ax, top)
    figure.text(0.02, 1 - 0.3 / high, title, fontsize=12, color=_INK, va="center")
    means = ",  ".join(f"{name} {values.mean():.1f} mm" for name, values in errors.items())
    note = f"mean over joints, root included: {means}"
    figure.text(0.02, 1 - 0.56 / high, note, fontsize=8.5, color=_FAINT, va="center")
    if others:
        handles, names = ax.get_legend_handles_labels()
        figure.legend(
            handles[-1:] + handles[:-1], names[-1:] + names[:-1], loc="upper right", ncols=4, fontsize=8, frameon=False
        )
    figure.savefig(path)


def _rows(order, skeleton):
    """Heights of the bars, from the top, with a little room between limbs."""
    limb = {j: name for name, joints in skeleton.limbs.items() for j in joints}
    steps = [0.0] + [1.0 if limb[a] == limb[b] else 1.45 for a, b in itertools.pairwise(order)]
    return -np.cumsum(steps)


def _style_bars(ax, top):
    ax.set_xlim(0, 1.08 * max(top, 1e-6))
    ax.margins(y=0.02)
    ax.set_xlabel("mean error, mm", fontsize=9, color=_INK)
    ax.tick_params(axis="x", labelsize=8, colors=_FAINT, length=0)
    ax.tick_params(axis="y", length=0)
    ax.xaxis.grid(color=_PALE, lw=0.5)
    ax.set_axisbelow(True)
    for spine in ax.spines.values():
        spine.set_visible(False)


def animate_lifting(
    path: str | os.PathLike, input_2d, predicted_3d, true_3d, skeleton: Skeleton, fps: float = 12.5, hidden=None,
    title: str = "",
):  # fmt: skip
    """Writes an animation of a clip: 2D input, prediction over the truth, and truth, side by side.

    Args:
        path: a `.gif`, or an `.mp4` where ffmpeg or imageio-ffmpeg is installed.
        input_2d: (F, J, 2) normalised screen.
        predicted_3d, true_3d: (F, J, 3) camera frame, root-relative, metres.
        skeleton: the joint convention.
        fps: frames a second.
        hidden: (F, J) bool, input joints that the network did not see.
        title: shown above.

    Raises:
        InputError: for another ending, or an mp4 without ffmpeg.
        ValueError: if there is no frame or shapes disagree.
    """
    input_2d, predicted_3d, true_3d, hidden = _checked(input_2d, predicted_3d, true_3d, skeleton, hidden)
    writer, cell = _writer(path, fps), 2.9
    size = np.array([3 * cell, cell + 0.85])
    figure = _figure(*size)
    figure.text(0.02, 1 - 0.22 / size[1], title, fontsize=10, color=_INK, va="center")
    note = figure.text(0.98, 1 - 0.22 / size[1], "", fontsize=10, color=_INK, va="center", ha="right")
    for i, panel in enumerate(_PANELS):
        figure.text((i + 0.5) / 3, 1 - 0.55 / size[1], panel, fontsize=9, color=_FAINT, ha="center", va="center")
    places = [(i / 3, 0.1 / size[1], 1 / 3, cell / size[1]) for i in range(3)]
    axes = [figure.add_axes(place, projection="3d" if i else None) for i, place in enumerate(places)]
    with writer.saving(figure, os.fspath(path), dpi=100):
        for k in range(len(input_2d)):
            for ax, place in zip(axes, places, strict=True):
                ax.clear()
                ax.set_position(place)
            now = input_2d[k], predicted_3d[k], true_3d[k], hidden[k]
            _panels(axes, *now, skeleton, [*predicted_3d, *true_3d], input_2d)
            note.set_text(f"{k / fps:5.2f} s    error {_error_mm(predicted_3d[k], true_3d[k]):3.0f} mm")
            writer.grab_frame()


def _checked(input_2d, predicted_3d, true_3d, skeleton, hidden):
    arrays = [np.asarray(a, float) for a in (input_2d, predicted_3d, true_3d)]
    count, joints = len(arrays[0]), skeleton.num_joints
    hidden = np.zeros((count, joints), bool) if hidden is None else np.asarray(hidden, bool)
    expected = [(count, joints, 2), (count, joints, 3), (count, joints, 3), (count, joints)]
    found = [a.shape for a in (*arrays, hidden)]
    if not count or found != expected:
        raise ValueError(f"expected input, prediction, truth and mask of shapes {expected}, found {found}")
    return *arrays, hidden


def _error_mm(predicted, true) -> float:
    from mpm_keras.metrics import mpjpe_mm

    return float(mpjpe_mm(predicted, true, root=None))


def _line(x, y):
    from matplotlib.lines import Line2D

    return Line2D(x, y, color=_PALE, lw=0.7)


def _legend(figure, size, hidden):
    from matplotlib.lines import Line2D

    from mpm_keras.viz.skeleton import LEFT, RIGHT

    entries = {"left": (LEFT, "-"), "right": (RIGHT, "-"), "truth under the prediction": (_PALE, "-")}
    handles = [Line2D([], [], color=c, linestyle=s, marker="o", ms=4, label=n) for n, (c, s) in entries.items()]
    if hidden:
        handles.append(Line2D([], [], color=_FAINT, ls="none", marker="o", mfc="white", ms=5, label="not seen"))
    place = (1 - 0.2 / size[0], 1 - 0.08 / size[1])
    figure.legend(handles=handles, loc="upper right", ncols=4, fontsize=7.5, frameon=False, bbox_to_anchor=place)
