"""Draws an attribution map: on the skeleton, frame by frame, and as a heat map with its sums."""

import os

import numpy as np

from mpm_keras.skeletons import Skeleton
from mpm_keras.viz.skeleton import _FAINT, _INK, _PALE, _SHADE, _figure, draw_pose_2d

_MAP = "magma_r"
_COLUMNS = 7  # skeletons
_CELL, _LEFT, _RIGHT, _HEAD, _GAP, _PROFILE, _ROW = 1.45, 1.25, 1.5, 0.75, 0.3, 0.75, 0.19  # inches


def attribution_figure(
    path: str | os.PathLike, values, pose_2d, skeleton: Skeleton, joint: int, *, hidden=None, seconds=None,
    title: str = "", unit: str = "",
):  # fmt: skip
    """Writes a map as a picture: above, poses of the window with a disc per joint; below, joints by frames.

    Args:
        path: the picture to write, such as `attribution.png`.
        values: (F, J), not negative.
        pose_2d: (F, J, 2) that the network took, y down.
        skeleton: the joint convention.
        joint: the predicted joint, ringed in the centre pose.
        hidden: (F, J) bool, joints that the network did not see: hollow, and grey in the heat map.
        seconds: (F,) times of the frames relative to the centre; None counts frames.
        title: of the picture.
        unit: of the values.

    Raises:
        ValueError: shapes do not fit, or there is nothing to draw.
    """
    values, pose_2d, hidden = _checked(values, pose_2d, skeleton, hidden)
    width, heat = _LEFT + _CELL * _COLUMNS + _RIGHT, _ROW * values.shape[1]
    top = _HEAD + _CELL + _GAP + _PROFILE + 0.12  # of the heat map
    height = top + heat + 0.65
    figure = _figure(width, height)
    figure.text(0.15 / width, 1 - 0.28 / height, title, fontsize=13, color=_INK, va="center")

    def axes(left, top, wide, high, **options):
        return figure.add_axes((left / width, 1 - (top + high) / height, wide / width, high / height), **options)

    norm = _norm(values)
    _draw_poses(axes, values, pose_2d, skeleton, joint, hidden, seconds, norm)
    main = axes(_LEFT, top, _CELL * _COLUMNS, heat)
    image = _draw_heat(main, values, skeleton, joint, hidden, seconds, norm)
    above = axes(_LEFT, top - 0.12 - _PROFILE, _CELL * _COLUMNS, _PROFILE, sharex=main)
    _draw_profile(above, values.sum(axis=1))
    _draw_sums(axes(_LEFT + _CELL * _COLUMNS + 0.12, top, 0.7, heat, sharey=main), values.sum(axis=0))
    bar = figure.colorbar(image, cax=axes(width - 0.55, top, 0.12, heat), extend="max")
    bar.ax.tick_params(labelsize=7, colors=_FAINT)
    bar.outline.set_visible(False)
    figure.text(1 - 0.15 / width, 1 - (top - 0.15) / height, unit, fontsize=8, color=_INK, ha="right")
    figure.savefig(path)


def _checked(values, pose_2d, skeleton, hidden):
    values, pose_2d = np.asarray(values, float), np.asarray(pose_2d, float)
    shape = (len(values), skeleton.num_joints)
    hidden = np.zeros(shape, bool) if hidden is None else np.asarray(hidden, bool)
    if not len(values) or values.shape != shape or pose_2d.shape != (*shape, 2) or hidden.shape != shape:
        raise ValueError(
            f"expected a map, poses and a mask of shapes (F, {shape[1]}), (F, {shape[1]}, 2), (F, {shape[1]}), "
            f"found {values.shape}, {pose_2d.shape}, {hidden.shape}"
        )
    if not (np.isfinite(values).all() and (values >= 0).all()):
        raise ValueError("a map holds no negative number, NaN or infinity")
    return values, pose_2d, hidden


def _norm(values):
    """Value -> share of the colours: by the square root, and few are beyond, so that one bleaches no others."""
    from matplotlib.colors import PowerNorm

    return PowerNorm(0.5, vmin=0, vmax=max(float(np.quantile(values, 0.995)), 1e-12), clip=True)


def _draw_poses(axes, values, pose_2d, skeleton, joint, hidden, seconds, norm):
    """Poses spread evenly over the window, its centre among them."""
    frames, centre = len(values), len(values) // 2
    half = min(_COLUMNS // 2, centre)
    shown = centre + np.round(np.arange(-half, half + 1) * (centre / max(half, 1))).astype(int)
    shown = np.unique(np.clip(shown, 0, frames - 1))
    points = pose_2d[~hidden] if (~hidden).any() else pose_2d.reshape(-1, 2)
    low, high = points.min(axis=0), points.max(axis=0)
    (x, y), reach = (low + high) / 2, max(float((high - low).max()) / 2, 1e-6) * 1.12
    start = _LEFT + (_COLUMNS - len(shown)) * _CELL / 2
    for column, f in enumerate(shown):
        ax = axes(start + column * _CELL, _HEAD, _CELL - 0.08, _CELL - 0.08)
        draw_pose_2d(ax, np.where(hidden[f, :, None], np.nan, pose_2d[f]), skeleton, colour=_PALE, hidden=hidden[f])
        seen = ~hidden[f]
        share = np.asarray(norm(values[f]))
        ax.scatter(
            *pose_2d[f, seen].T, s=6 + 90 * share[seen] ** 2, c=share[seen], cmap=_MAP, vmin=0, vmax=1, zorder=3,
            edgecolors=_INK, linewidths=0.3,
        )  # fmt: skip
        if f == centre and seen[joint]:
            ax.plot(*pose_2d[f, joint], "o", mfc="none", mec=_INK, mew=1.1, ms=14, zorder=4)
        ax.set(xlim=(x - reach, x + reach), ylim=(y + reach, y - reach), xticks=[], yticks=[], facecolor=_SHADE)
        ax.set_aspect("equal", adjustable="box")
        for spine in ax.spines.values():
            spine.set_visible(f == centre)
            spine.set_color(_FAINT)
        ax.set_title(_label(f, centre, seconds), fontsize=8, color=_INK if f == centre else _FAINT, pad=3)


def _label(frame, centre, seconds) -> str:
    if frame == centre:
        return "predicted frame"
    return f"{frame - centre:+d} frames" if seconds is None else f"{seconds[frame]:+.2f} s"


def _draw_heat(ax, values, skeleton, joint, hidden, seconds, norm):
    frames, joints = values.shape
    ax.set_facecolor(_PALE)
    shown = np.ma.masked_array(values.T, hidden.T)
    image = ax.imshow(shown, aspect="auto", cmap=_MAP, norm=norm, interpolation="nearest")
    ax.axvline(frames // 2, color=_INK, lw=0.6, ls=":")
    ax.set_yticks(range(joints), skeleton.joints, fontsize=7, color=_INK)
    ax.get_yticklabels()[joint].set_fontweight("bold")
    ticks = np.unique(np.linspace(0, frames - 1, min(frames, 9)).round().astype(int))
    ax.set_xticks(ticks, [_label(t, -1, None if seconds is None else seconds) for t in ticks], fontsize=7)
    if seconds is None:
        ax.set_xticklabels([f"{t - frames // 2:+d}" for t in ticks])
    ax.set_xlabel("frame of the window" if seconds is None else "time from the predicted frame", fontsize=8, color=_INK)
    _plain(ax)
    return image


def _draw_profile(ax, sums):
    ax.bar(range(len(sums)), sums, width=0.9, color=_FAINT)
    ax.set_ylabel("all joints", fontsize=7, color=_INK, rotation=0, ha="right", va="center")
    ax.tick_params(labelbottom=False, labelsize=6)
    ax.locator_params(axis="y", nbins=2)
    _plain(ax)


def _draw_sums(ax, sums):
    ax.barh(range(len(sums)), sums, height=0.8, color=_FAINT)
    ax.tick_params(labelleft=False, labelsize=6)
    ax.locator_params(axis="x", nbins=2)
    ax.set_xlabel("all frames", fontsize=8, color=_INK)
    _plain(ax)


def _plain(ax):
    ax.tick_params(length=2, colors=_INK)
    for spine in ax.spines.values():
        spine.set_visible(False)
