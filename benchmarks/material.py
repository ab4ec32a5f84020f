"""What all contestants work on: the same random poses and batches, whoever computes."""

import dataclasses

import numpy as np

JOINTS, CLIP = 17, 1000  # frames of a clip


@dataclasses.dataclass(frozen=True)
class Case:
    """What is measured.

    Attributes:
        what: a key of `worker.JOBS`.
        frames: F of the window.
        batch_size: B.
        dtype: "float32" or "mixed_bfloat16".
        layers: shared temporal blocks.
        data_frames: frames of the training set.
        seconds: that a round aims at.
    """

    what: str
    frames: int = 27
    batch_size: int = 64
    dtype: str = "float32"
    layers: int = 4
    data_frames: int = 50_000
    seconds: float = 1.0

    @property
    def name(self) -> str:
        return f"{self.what} F{self.frames} B{self.batch_size} {self.dtype}"


def clips(frames: int) -> list:
    """Clips of `CLIP` frames and so many in all: [(2D (N, J, 2), 3D (N, J, 3)), ...] float32."""
    rng = np.random.default_rng(0)
    pose_3d = rng.standard_normal((frames, JOINTS, 3), dtype=np.float32) * np.float32(0.3)
    pose_3d -= pose_3d[:, :1]
    pose_2d = pose_3d[..., :2] / np.float32(2.0)
    cuts = range(0, frames, CLIP)
    return [(pose_2d[i : i + CLIP], pose_3d[i : i + CLIP]) for i in cuts]


def views(frames: int, weight: float = 1.0):
    """The same clips as `Views`, each window drawn `weight` times an epoch."""
    from mpm_keras.data.views import Views

    parts = clips(frames)
    count = len(parts)
    return Views(
        offsets=np.concatenate([[0], np.cumsum([len(part[0]) for part in parts])]).astype(np.int64),
        names=tuple(f"clip{i}@cam0" for i in range(count)),
        subjects=("someone",) * count,
        actions=("",) * count,
        cameras=("cam0",) * count,
        fps=np.full(count, 50, np.float32),
        intrinsics=np.full((count, 9), np.nan, np.float32),
        image_size=np.tile(np.array([1000, 1000], np.int32), (count, 1)),
        pose_2d=np.concatenate([part[0] for part in parts]),
        pose_3d=np.concatenate([part[1] for part in parts]),
        weights=np.full(count, weight, np.float32),
    )


def batches(case: Case):
    """`WindowBatches` of a case: shuffled, every other window mirrored at random."""
    from mpm_keras.data.windows import WindowBatches, WindowIndex

    seen = views(case.data_frames)
    return WindowBatches(seen, WindowIndex(seen.offsets, case.frames), case.batch_size, flip=True)


def windows(case: Case) -> np.ndarray:
    """(B, F, J, 2) float32 for inference."""
    return np.stack([clips(CLIP)[0][0][: case.frames]] * case.batch_size)
