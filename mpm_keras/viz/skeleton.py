"""Pictures of skeletons: single poses, contact sheets, animations and what pre-training reconstructs.

Figures are made with `matplotlib.figure.Figure` and its Agg canvas: no window, no global state.
matplotlib is imported when a picture is asked for, not before.
"""

import os
import shutil

import numpy as np

from mpm_keras.data.motion import Motion
from mpm_keras.errors import InputError
from mpm_keras.skeletons import H36M_17, Skeleton

LEFT, RIGHT, MIDDLE = "#2f6f9f", "#c2623f", "#4a4f57"  # blue is the person's left, rust the right
_INK, _FAINT, _PALE, _PAPER, _SHADE = "#2b2f36", "#9aa1ab", "#c9ced6", "#ffffff", "#f3f4f6"
_MARGIN, _CELL, _TITLE, _BLOCK = 1.35, 1.55, 0.35, 5.825  # of the reconstruction figure, inches


def side_colours(skeleton: Skeleton) -> list[str]:
    """J colours: one for the person's left, one for the right, one for the middle."""
    left, right = ({pair[k] for pair in skeleton.pairs} for k in (0, 1))
    return [LEFT if j in left else RIGHT if j in right else MIDDLE for j in range(skeleton.num_joints)]


def draw_pose_2d(
    ax, pose, skeleton: Skeleton = H36M_17, *, hidden=None, show_hidden: bool = True, colour: str | None = None,
    alpha: float = 1.0, linewidth: float = 1.6,
):  # fmt: skip
    """Draws a pose on 2D axes whose y axis points down, as on a screen.

    Args:
        ax: matplotlib axes.
        pose: (J, 2) positions, in any unit.
        skeleton: the joint convention.
        hidden: (J,) bool, True for joints to be marked: drawn hollow and without bones.
        show_hidden: whether hidden joints are drawn at all.
        colour: one colour for everything (default: by side).
        alpha: opacity.
        linewidth: of the bones, in points.

    Raises:
        ValueError: if the pose is not (J, 2) or `hidden` not (J,).
    """
    pose, hidden = _checked(pose, skeleton, 2, hidden)
    _draw(ax, pose, skeleton, hidden, show_hidden, colour, alpha, linewidth)
    if not ax.yaxis_inverted():
        ax.invert_yaxis()
    ax.set_aspect("equal", adjustable="datalim")


def draw_pose_3d(
    ax, pose, skeleton: Skeleton = H36M_17, *, frame: str = "world", hidden=None, show_hidden: bool = True,
    colour: str | None = None, alpha: float = 1.0, linewidth: float = 1.6,
):  # fmt: skip
    """Draws a pose on 3D axes (`projection="3d"`), always upright on the page.

    Args:
        ax: matplotlib 3D axes.
        pose: (J, 3) positions in metres.
        skeleton: the joint convention.
        frame: "world" (z up) or "camera" (x right, y down, z forward).
        hidden, show_hidden, colour, alpha, linewidth: as in `draw_pose_2d`.

    Raises:
        ValueError: if the pose is not (J, 3), `hidden` not (J,), or the frame unknown.
    """
    pose, hidden = _checked(pose, skeleton, 3, hidden)
    _draw(ax, _upright(pose, frame), skeleton, hidden, show_hidden, colour, alpha, linewidth)


def _draw(ax, pose, skeleton, hidden, show_hidden, colour, alpha, linewidth):
    colours = [colour] * skeleton.num_joints if colour else side_colours(skeleton)
    for a, b in skeleton.bones:
        if not (hidden[a] or hidden[b]):
            ax.plot(*pose[[a, b]].T, color=colours[b], lw=linewidth, alpha=alpha, solid_capstyle="round")
    for j in range(skeleton.num_joints):
        if not hidden[j]:
            ax.plot(*pose[[j]].T, "o", color=colours[j], ms=1.6 * linewidth, alpha=alpha)
        elif show_hidden:
            ax.plot(*pose[[j]].T, "o", mfc=_PAPER, mec=_FAINT, mew=0.8, ms=2.4 * linewidth, alpha=alpha)


def _checked(pose, skeleton, channels, hidden):
    pose = np.asarray(pose, float)
    if pose.shape != (skeleton.num_joints, channels):
        raise ValueError(f"expected a pose of shape ({skeleton.num_joints}, {channels}), found {pose.shape}")
    hidden = np.zeros(skeleton.num_joints, bool) if hidden is None else np.asarray(hidden, bool)
    if hidden.shape != (skeleton.num_joints,):
        raise ValueError(f"expected a mask of shape ({skeleton.num_joints},), found {hidden.shape}")
    return pose, hidden


def _upright(pose, frame):
    """(..., 3) positions with z up: a camera frame is turned so that its y axis points down the page."""
    if frame == "world":
        return pose
    if frame == "camera":
        return np.stack([pose[..., 0], pose[..., 2], -pose[..., 1]], -1)
    raise ValueError(f"unknown frame {frame!r}; known: world, camera")


def _box(ax, points, elevation=12.0, azimuth=-70.0, zoom=1.35):
    """Fits equal-aspect 3D axes around upright points (..., 3)."""
    points = points.reshape(-1, 3)
    low, high = points.min(0), points.max(0)
    middle, half = (low + high) / 2, max(float((high - low).max()) / 2, 0.1) * 1.03
    for set_limits, m in zip((ax.set_xlim, ax.set_ylim, ax.set_zlim), middle, strict=True):
        set_limits(m - half, m + half)
    ax.set_box_aspect((1, 1, 1), zoom=zoom)
    ax.view_init(elevation, azimuth)
    ax.set_axis_off()


def _figure(width, height):
    """A figure with its Agg canvas; width and height in inches at 100 dots per inch."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=100, facecolor=_PAPER)
    FigureCanvasAgg(figure)
    return figure


def contact_sheet(poses, path: str | os.PathLike, frames: int = 8, clips: int = 6, skeleton: Skeleton | None = None):
    """Writes a grid of poses: one row per clip, `frames` moments spread evenly over it.

    Args:
        poses: a `Motion`, or a sequence of (frames, J, 3) arrays, world frame, metres.
        path: the picture to write, such as `sheet.png`.
        frames: moments of each clip.
        clips: the first so many clips are shown.
        skeleton: the joint convention of arrays (default H36M-17); a `Motion` brings its own.

    Raises:
        ValueError: if there is no clip, or `frames` or `clips` is below 1.
    """
    if isinstance(poses, Motion):
        skeleton = poses.skeleton
        titles = [f"{poses.names[i]}\n{poses.actions[i]}" for i in range(poses.num_clips)][:clips]
        poses = [poses.clip(i) for i in range(min(clips, poses.num_clips))]
    else:
        poses = [np.asarray(p, float) for p in poses][:clips]
        titles = [f"clip {i}" for i in range(len(poses))]
    if not poses or frames < 1:
        raise ValueError(f"a contact sheet needs clips and frames; found {len(poses)} clips and frames={frames}")
    skeleton = skeleton or H36M_17
    figure = _figure(1.5 + 1.3 * frames, 1.7 * len(poses))
    left, bottom, high = 1.5 / (1.5 + 1.3 * frames), 1.0 / len(poses), 1.0 / len(poses)
    wide = (1.0 - left) / frames
    for row, (clip, title) in enumerate(zip(poses, titles, strict=True)):
        base = 1.0 - (row + 1) * bottom
        figure.text(0.01, base + high / 2, _wrap(title), fontsize=7, color=_INK, va="center")
        chosen = np.linspace(0, len(clip) - 1, frames).round().astype(int)
        radius = _radius(clip, skeleton)
        for column, k in enumerate(chosen):
            ax = figure.add_axes((left + column * wide, base, wide, high), projection="3d")
            ax.computed_zorder = False
            _floor(ax, clip[k, skeleton.root], radius)
            draw_pose_3d(ax, clip[k], skeleton)
            centre = clip[k, skeleton.root] * (1, 1, 0) + (0, 0, radius * 0.95)
            _box(ax, centre + radius * np.array([[-1, -1, -1], [1, 1, 1]]), 14.0, zoom=1.6)
            ax.text2D(0.5, 0.02, f"frame {k}", transform=ax.transAxes, ha="center", fontsize=6, color=_FAINT)
    figure.savefig(path)


def _radius(clip, skeleton):
    """Half the edge of a cube that holds every pose of a clip when it is centred on the root."""
    across = np.abs(clip[..., :2] - clip[:, skeleton.root, None, :2]).max()
    return float(max(across, clip[..., 2].max() / 1.9, 0.5))


def _floor(ax, root, radius):
    """A faint square under the feet, so that one sees what is on the floor."""
    x, y, r = root[0], root[1], 0.6 * radius
    square = np.array([[x - r, y - r], [x + r, y - r], [x + r, y + r], [x - r, y + r], [x - r, y - r]])
    ax.plot(square[:, 0], square[:, 1], np.zeros(5), color=_FAINT, lw=0.5)


def _wrap(text, width=20):
    import textwrap

    return "\n".join(line for part in text.split("\n") for line in textwrap.wrap(part, width))


def animate(
    poses, path: str | os.PathLike, skeleton: Skeleton = H36M_17, fps: float = 25.0, *, frame: str = "world",
    title: str = "",
):  # fmt: skip
    """Writes an animation of a pose sequence; the axes stand still and hold the whole motion.

    Args:
        poses: (frames, J, 3) metres.
        path: a `.gif`, or an `.mp4` where ffmpeg or imageio-ffmpeg is installed.
        skeleton: the joint convention.
        fps: frames a second (a GIF rounds the time of a frame to 1/100 s).
        frame: "world" (z up) or "camera" (x right, y down, z forward).
        title: shown above.

    Raises:
        InputError: for another ending, or an mp4 without ffmpeg.
        ValueError: if the poses are not (frames, J, 3).
    """
    poses = np.asarray(poses, float)
    if poses.ndim != 3 or poses.shape[1:] != (skeleton.num_joints, 3) or not len(poses):
        raise ValueError(f"expected poses of shape (frames, {skeleton.num_joints}, 3), found {poses.shape}")
    writer = _writer(path, fps)
    figure = _figure(4.8, 4.8)
    ax = figure.add_axes((0, 0, 1, 0.93), projection="3d")
    figure.suptitle(title, fontsize=10, color=_INK)
    upright = _upright(poses, frame)
    with writer.saving(figure, os.fspath(path), dpi=100):
        for k, pose in enumerate(poses):
            ax.clear()
            draw_pose_3d(ax, pose, skeleton, frame=frame, linewidth=2.2)
            _box(ax, upright)
            ax.text2D(0.03, 0.03, f"{k / fps:.2f} s", transform=ax.transAxes, fontsize=9, color=_FAINT)
            writer.grab_frame()


def _writer(path, fps):
    from matplotlib.animation import FFMpegWriter, PillowWriter

    kind = os.path.splitext(os.fspath(path))[1].lower()
    if kind == ".gif":
        return PillowWriter(fps=fps)
    if kind != ".mp4":
        raise InputError(f"{os.fspath(path)}: expected an animation's name to end in .gif or .mp4, found {kind!r}")

    class Writer(FFMpegWriter):
        @classmethod
        def bin_path(cls):
            return _ffmpeg()

    if not Writer.isAvailable():
        raise InputError(
            f"{os.fspath(path)}: mp4 needs the ffmpeg program, which is not installed "
            "(`pip install imageio-ffmpeg` brings one); or write a .gif"
        )
    return Writer(fps=fps)


def _ffmpeg() -> str:
    """The ffmpeg program of the system, else the one in the package imageio-ffmpeg."""
    if program := shutil.which("ffmpeg"):
        return program
    try:
        import imageio_ffmpeg

        return imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError):  # there is no such package, or none of its programs is for this machine
        return "ffmpeg"


def reconstruction_figure(
    path: str | os.PathLike, *, true_2d=None, masked_2d=None, predicted_2d=None, true_3d=None, masked_3d=None,
    predicted_3d=None, skeleton: Skeleton = H36M_17, frames=None, title: str = "Masked pose modeling",
):  # fmt: skip
    """Writes the picture that pre-training leaves: masked input, reconstruction and truth, in 2D, 3D or both.

    A column is a frame of the window. In the masked rows hidden joints are hollow rings at their true
    places, and a frame whose joints are all masked is empty and named so. Behind each reconstruction
    the truth is drawn in pale grey, and below it stands its mean error over all joints.

    Args:
        path: the picture to write, such as `reconstruction.png`.
        true_2d, predicted_2d: (F, J, 2), normalised screen, y down.
        true_3d, predicted_3d: (F, J, 3), camera frame, root-relative, metres.
        masked_2d, masked_3d: (F, J) bool, True where the model did not see the joint.
        skeleton: the joint convention.
        frames: indices of the frames to show (default: six, evenly spread).
        title: of the picture.

    Raises:
        ValueError: if shapes disagree, neither modality is given or a frame is outside the window.
    """
    rows = [("2D", 2, true_2d, masked_2d, predicted_2d), ("3D", 3, true_3d, masked_3d, predicted_3d)]
    rows = [(name, _window(name, size, *arrays, skeleton)) for name, size, *arrays in rows if arrays[0] is not None]
    if not rows:
        raise ValueError("a reconstruction figure needs 2D poses, 3D poses or both")
    count = len(rows[0][1][0])
    if len(rows[-1][1][0]) != count:
        raise ValueError(f"2D has {count} frames, 3D has {len(rows[-1][1][0])}")
    frames = np.linspace(0, count - 1, min(6, count)).round().astype(int) if frames is None else np.asarray(frames, int)
    if not len(frames) or frames.min() < 0 or frames.max() >= count:
        raise ValueError(f"frames must be some of 0..{count - 1}, found {frames.tolist()}")
    height = _TITLE + _BLOCK * len(rows)
    figure = _figure(_MARGIN + _CELL * len(frames), height)
    figure.text(0.5, 1 - 0.2 / height, title, ha="center", va="center", fontsize=13, color=_INK)
    for k, (name, arrays) in enumerate(rows):
        _block(figure, height - _TITLE - k * _BLOCK, name, *arrays, skeleton, frames)
    _legend(figure, height)
    figure.savefig(path)


def _block(figure, top, name, true, masked, predicted, skeleton, frames):
    """One modality's three rows, below the height `top` in inches."""
    inches = figure.get_size_inches()
    unit = {"2D": "normalised screen, y down", "3D": "camera frame, relative to the root, metres"}[name]
    figure.text(*(0.12, top - 0.28) / inches, f"{name}: {unit}", fontsize=10, color=_INK, weight="bold")
    high = (_BLOCK - 0.75) / 3
    for column, f in enumerate(frames):
        left = _MARGIN + _CELL * column
        figure.text(*(left + _CELL / 2, top - 0.56) / inches, f"frame {f}", ha="center", fontsize=8, color=_FAINT)
        for row, label in enumerate(("masked input", "reconstruction", "truth")):
            bottom = top - 0.75 - (row + 1) * high
            if column == 0:
                figure.text(*(0.12, bottom + high / 2) / inches, label, fontsize=9, color=_INK, va="center")
            place = (*(left + 0.03, bottom + 0.04) / inches, *(_CELL - 0.06, high - 0.08) / inches)
            ax = figure.add_axes(place, projection="3d" if name == "3D" else None)
            _cell(ax, label, true[f], masked[f], predicted[f], skeleton, true[frames], scale=column == 0)


def _window(name, size, true, masked, predicted, skeleton):
    """Checks one modality's (true, masked, predicted) and returns it as arrays."""
    true, predicted, masked = np.asarray(true, float), np.asarray(predicted, float), np.asarray(masked, bool)
    shape = (len(true), skeleton.num_joints, size)
    if true.shape != shape or predicted.shape != shape or masked.shape != shape[:2]:
        found = f"{true.shape}, {masked.shape} and {predicted.shape}"
        raise ValueError(
            f"{name}: expected truth, mask and prediction of shapes {shape}, {shape[:2]}, {shape}, found {found}"
        )
    return true, masked, predicted


def _cell(ax, label, true, masked, predicted, skeleton, shown, scale):
    """One pose of the reconstruction figure; `shown` (K, J, 2 or 3) sets the common scale."""
    flat = true.shape[-1] == 2
    draw = draw_pose_2d if flat else _draw_camera
    write = ax.text if flat else ax.text2D
    if label == "masked input" and masked.all():
        write(0.5, 0.5, "hidden frame", transform=ax.transAxes, ha="center", va="center", fontsize=8, color=_FAINT)
    elif label == "reconstruction":
        draw(ax, true, skeleton, colour=_PALE, linewidth=2.6)
        draw(ax, predicted, skeleton)
        error = np.linalg.norm(predicted - true, axis=-1).mean()
        text = f"error {error:.3f}" if flat else f"error {1000 * error:.0f} mm"
        write(0.5, 0.01, text, transform=ax.transAxes, ha="center", fontsize=7, color=_FAINT)
    else:
        draw(ax, true, skeleton, hidden=masked if label == "masked input" else None)
    if flat:
        _box_2d(ax, shown, scale)
    else:
        _box(ax, _upright(shown, "camera"), azimuth=-80.0)


def _draw_camera(ax, pose, skeleton, **options):
    ax.computed_zorder = False
    draw_pose_3d(ax, pose, skeleton, frame="camera", **options)


def _box_2d(ax, points, scale):
    """Square limits around (..., 2) points, y down, on a shaded square; the first one has its ticks."""
    points = points.reshape(-1, 2)
    low, high = points.min(0), points.max(0)
    (x, y), half = (low + high) / 2, max(float((high - low).max()) / 2, 0.01) * 1.3
    ax.set_xlim(x - half, x + half)
    ax.set_ylim(y + half, y - half)
    ax.set_aspect("equal", adjustable="box")
    ax.set_facecolor(_SHADE)
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.locator_params(nbins=3)
    ax.tick_params(labelsize=6, colors=_FAINT, length=2, labelleft=scale, labelbottom=False, left=scale, bottom=False)


def _legend(figure, height):
    from matplotlib.lines import Line2D

    entries = {"left": (LEFT, "-"), "right": (RIGHT, "-"), "hidden": (_FAINT, "none"), "truth": (_PALE, "-")}
    handles = [Line2D([], [], color=c, linestyle=l, marker="o", ms=4, label=n) for n, (c, l) in entries.items()]
    handles[2].set_markerfacecolor(_PAPER)
    place = (1.0, 1 - _TITLE / height)
    figure.legend(handles=handles, loc="upper right", ncols=4, fontsize=7, frameon=False, bbox_to_anchor=place)
