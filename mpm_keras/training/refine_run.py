"""The second phase of stage II: trains the refine module on what a finished lifter predicts."""

from types import SimpleNamespace

import numpy as np
from keras import ops

from mpm_keras.data.arrays import ArrayBatches
from mpm_keras.data.sources import load_splits, make_batches
from mpm_keras.errors import InputError
from mpm_keras.geometry import denormalize_screen, estimate_root, on_rays, undistort
from mpm_keras.inference.clips import predict_flipped
from mpm_keras.metrics import mpjpe_mm
from mpm_keras.models.lifter import MPMLifter
from mpm_keras.models.presets import load_network, load_preset, network_folder, read_preset
from mpm_keras.models.refiner import MPMRefiner
from mpm_keras.replicas import wait_for_all
from mpm_keras.training.distribution import start
from mpm_keras.training.finetune_run import best_network
from mpm_keras.training.finetuning import root_relative_error_mm
from mpm_keras.training.job import Job, source_options
from mpm_keras.training.losses import pose_loss
from mpm_keras.training.trainer import Trainer, Update
from mpm_keras.training.validation import FixedBatches, unshuffled

SELECTED_BY = "val_center_mpjpe_mm"


class RefineTrainer(Trainer):
    """Trains an `MPMRefiner` on batches of `center`, `back_projected` and `pose_3d`, (B, 1, J, 3) each."""

    def __init__(self, network, root=0, **kwargs):
        super().__init__(network, ("center_mpjpe_mm",), **kwargs)
        self.root = root

    def updates(self, batch):
        return [Update(self.refine_loss, lambda: self.network.trainable_variables)]

    def refine_loss(self, batch, training):
        predicted = self.network(batch, training=training)["center"]
        error = root_relative_error_mm(predicted, batch["pose_3d"], self.root)
        count = ops.cast(ops.shape(error)[0], "float32")
        return pose_loss(predicted, batch["pose_3d"]), {"center_mpjpe_mm": (ops.mean(error), count)}


def refine(config: dict) -> dict:
    """Runs or resumes the training of a refine module.

    Args:
        config: the flags of `experiments/refine.py`.

    Returns:
        What `metrics.json` holds, with the error before and after on the split to evaluate.

    Raises:
        InputError: the lifter, the data or a setting makes no sense, or a camera's intrinsics or
            the truth about the root's depth are missing.
    """
    start(config["devices"], config["processes"])  # before anything is computed
    lifter = load_network(config["network"], MPMLifter)
    facts = read_preset(network_folder(config["network"]))["facts"]
    config = {
        **config,
        "frames": lifter.frames,
        "normalization": lifter.normalization,
        "detector": "none",
        **{name: facts[name] for name in ("stride", "fps", "skeleton", "detector") if name in facts},
    }
    c = SimpleNamespace(**config)
    job = Job(config, modalities=("2d", "3d"))
    job.training = poses_of(lifter, job.training, job.skeleton, c, shuffle=True)
    held_out = poses_of(lifter, job.held_out, job.skeleton, c)
    validation = job.devices.share(FixedBatches(held_out.batch(0, step) for step in range(held_out.num_steps)))
    with job.devices.scope():
        trainer = RefineTrainer(MPMRefiner(joints=job.skeleton.num_joints), job.skeleton.root)
        job.compile(trainer)
        best = best_network(job, trainer, "refine", SELECTED_BY)
        run = job.run(trainer, validation, [best])
        best.settle(trainer, validation)
        wait_for_all()

    views = load_splits(c.data, source_options(c), (c.split,))[c.split]
    split = unshuffled(make_batches, views, c.frames, c.stride, c.batch_size, c.val_windows)
    poses = poses_of(lifter, split, job.skeleton, c).arrays
    refined = load_preset(job.workdir.path / "network").predict(poses, batch_size=c.batch_size, verbose=0)["center"]
    options = {"root": job.skeleton.root, "reduce": True}
    metrics = {
        f"{c.split}_center_mpjpe_mm_before": float(mpjpe_mm(poses["center"], poses["pose_3d"], **options)),
        f"{c.split}_center_mpjpe_mm_after": float(mpjpe_mm(refined, poses["pose_3d"], **options)),
        "root_depth": c.root_depth,
        **run,
    }
    job.workdir.write_metrics(metrics)
    return metrics


def poses_of(lifter, batches, skeleton, c, shuffle=False) -> ArrayBatches:
    """Centre poses of all windows: as predicted, on the rays of their keypoints, and true."""
    if len(batches.parts) > 1:
        raise InputError("refining needs 2D and 3D of the same windows, but no source has both")
    part = batches.parts[0]
    windows = np.arange(part.index.num_windows)
    center = np.concatenate(
        [
            predict_flipped(
                lifter, {"pose_2d": part.views.pose_2d[part.index.frame_indices(some)]}, "center", skeleton, True,
                c.batch_size,
            )
            for some in np.array_split(windows, range(c.batch_size, len(windows), c.batch_size))
        ]
    )  # fmt: skip
    rows = part.index.frame_indices(windows)[:, lifter.frames // 2]
    rays = rays_of(part.views)[rows][:, None]
    if c.root_depth == "truth":
        if part.views.root_3d is None:
            raise InputError(
                f"{part.views.names[0]}: the source does not hold the root's depth; use --root_depth=estimated"
            )
        depth = part.views.root_3d[rows, 2][:, None]
    else:
        depth = estimate_root(center, rays)[..., 2]
    arrays = {
        "center": center,
        "back_projected": on_rays(center, rays, depth, skeleton.root).astype(np.float32),
        "pose_3d": part.views.pose_3d[rows][:, None],
    }
    return ArrayBatches(arrays, skeleton, c.batch_size, c.seed, shuffle=shuffle, flip=shuffle and c.flip)


def rays_of(views) -> np.ndarray:
    """(F, J, 2) ideal image points of all keypoints. Raises `InputError` where intrinsics are missing."""
    found = np.empty_like(views.pose_2d)
    for i in range(views.num_views):
        try:
            camera = views.camera(i)
        except ValueError as error:
            raise InputError(f"refining needs camera intrinsics: {error}") from error
        frames = slice(views.offsets[i], views.offsets[i + 1])
        found[frames] = undistort(denormalize_screen(views.pose_2d[frames], *camera.image_size), camera)
    return found
