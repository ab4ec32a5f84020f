"""Views whose numbers tell where they come from, for the tests of windows and pipelines."""

import numpy as np

from mpm_keras.data.views import Views


def make_views(lengths=(7, 1, 12), prefix="clip", seed=0, modalities=("2d", "3d"), confidence=False, subjects=None):
    """Views of random poses; a frame's number in the flat arrays stands in its joint 1, coordinate 0."""
    rng = np.random.default_rng(seed)
    count, frames = len(lengths), sum(lengths)
    poses = {m: rng.normal(size=(frames, 17, int(m[0]))).astype(np.float32) for m in ("2d", "3d")}
    for pose in poses.values():
        pose[:, 1, 0] = np.arange(frames)
    return Views(
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        names=tuple(f"{prefix}/{i}@cam0" for i in range(count)),
        subjects=tuple(subjects or (f"{prefix}{i}" for i in range(count))),
        actions=("",) * count,
        cameras=("cam0",) * count,
        fps=np.full(count, 50, np.float32),
        intrinsics=np.full((count, 9), np.nan, np.float32),
        image_size=np.tile(np.array([1000, 1000], np.int32), (count, 1)),
        pose_2d=poses["2d"] if "2d" in modalities else None,
        pose_3d=poses["3d"] if "3d" in modalities else None,
        confidence=rng.uniform(size=(frames, 17)).astype(np.float32) if confidence else None,
    )


def make_batches(lengths=(7, 1, 12), frames=5, stride=2, batch_size=4, step=1, views=None, **options):
    """`WindowBatches` over such views."""
    from mpm_keras.data.windows import WindowBatches, WindowIndex

    views = views or make_views(lengths)
    return WindowBatches(views, WindowIndex(views.offsets, frames, stride, step), batch_size, **options)
