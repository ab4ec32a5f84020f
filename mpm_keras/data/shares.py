"""A share of the training clips, for curves over the amount of data or labels."""

import dataclasses
import math
import zlib

import numpy as np

from mpm_keras.data.views import Views

SMALLEST_SHARE = 0.001  # the largest weight that windows may have is its inverse


def take_share(views: Views, share: float) -> Views:
    """The first clips in an order of their names' hashes, until they hold a share of all frames.

    Whole clips, as they would be recorded: neighbouring frames are nearly the same pose, so that every
    hundredth frame is far more than 1 % of what there is to see. The last clip is cut, and the share is exact to
    a frame per camera. All cameras of a clip stay together: they see the same 3D. A smaller share lies within a
    larger one, and nothing depends on a seed.

    Args:
        views: of one source; names are `clip@camera`.
        share: 0.001 to 1.

    Returns:
        Views whose weights are larger by the inverse of the share: an epoch has as many windows as
        with all clips, and takes them from more of the frames or more than once.

    Raises:
        ValueError: the share is out of range.
    """
    if not SMALLEST_SHARE <= share <= 1:
        raise ValueError(f"expected a share from {SMALLEST_SHARE} to 1, found {share}")
    if share == 1:
        return views
    clips = [name.rpartition("@")[0] or name for name in views.names]
    kept, room = [], share * views.num_frames
    for clip in sorted(set(clips), key=lambda name: (zlib.crc32(name.encode()), name)):
        members = [i for i, name in enumerate(clips) if name == clip]
        part = min(1.0, room / int(views.lengths[members].sum()))
        kept += [(i, math.ceil(part * int(views.lengths[i]) - 1e-9)) for i in members]
        room -= int(views.lengths[members].sum())
        if room <= 0:
            break
    found = Views.concatenate([views.view(i, frames) for i, frames in sorted(kept)])
    return dataclasses.replace(found, weights=found.weights * np.float32(views.num_frames / found.num_frames))
