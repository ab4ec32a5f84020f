"""The stage II jobs from sources to metrics, in a form that takes seconds."""

import csv
import json

import numpy as np
import pytest
from harness import to_numpy

from mpm_keras.data.cameras import film
from mpm_keras.data.synthetic import synthetic_motion
from mpm_keras.errors import InputError
from mpm_keras.masking import PARTIAL_2D, PARTIAL_3D
from mpm_keras.models import MPMLifter, load_preset
from mpm_keras.models.presets import read_preset
from mpm_keras.training.complete_run import NOTHING, complete
from mpm_keras.training.finetune_run import finetune, load_pretrained
from mpm_keras.training.pretrain_run import pretrain
from mpm_keras.training.refine_run import refine

SMALL = dict(
    data=["synthetic"], config=None, frames=9, stride=2, layers=1, batch_size=16, epochs=0, steps=6, seed=0,
    fps=50.0, cameras=1, skeleton="h36m17", val_subjects=[], test_subjects=[], val_windows=32, data_seed=0,
    synthetic_clips=12, window_step=50, flip=True, learning_rate=1e-3, lr_decay=0.97, weight_decay=0.01,
    dtype="float32", pipeline="numpy", jit_compile="auto", keep=3, progress=False, width=16, encoder_width=16,
    dropout=0.1, detector="none", normalization="screen", without_licenses=[], checkpoint_seconds=300.0,
    skip_bad_batches=0, deterministic=False, train_share=None, lr_decay_steps=None, devices=1, processes="auto",
    heads=8,
)  # fmt: skip
STAGE_1 = dict(
    spatial_mask=5, temporal_mask=0.6, mask_strategy="spatiotemporal", schedule="alternate", weight_2d=2.0,
    weight_3d=3.0, weight_lift=0.0, loss="all",
)  # fmt: skip
STAGE_2 = dict(
    pretrained=None, freeze="none", occlusion="none", confidence_threshold=0.0, weight_center=1.0,
    weight_sequence=1.0, encoder_dropout=0.2, decoder="stage2",
)  # fmt: skip


def run_finetune(folder, **changes):
    return finetune({**SMALL, **STAGE_2, "workdir": str(folder), **changes})


def weights(folder):
    with np.load(folder / "network" / "weights.npz") as archive:
        return {name: archive[name] for name in archive.files}


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stage1") / "run"
    pretrain({**SMALL, **STAGE_1, "workdir": str(folder), "steps": 4})
    return folder


@pytest.mark.once
def test_finetune_from_pretrained(pretrained, tmp_path):
    metrics = run_finetune(tmp_path / "run", pretrained=str(pretrained))
    assert metrics["steps"] == 6 and metrics["val_center_mpjpe_mm"] > 0
    assert json.loads((tmp_path / "run" / "metrics.json").read_text()) == metrics
    facts = json.loads((tmp_path / "run" / "network" / "preset.json").read_text())["facts"]
    assert (facts["stride"], facts["skeleton"], facts["stage"]) == (2, "h36m17", "lift")
    assert np.shape(facts["mean_pose_3d"]) == (17, 3)


@pytest.mark.once
def test_best_epoch_on_validation_is_kept(tmp_path):
    metrics = run_finetune(tmp_path / "run", epochs=4, steps=0)
    best = min(epoch["val_center_mpjpe_mm"] for epoch in metrics["history"])
    assert metrics["val_center_mpjpe_mm"] == pytest.approx(best, rel=1e-4)


def test_interrupted_run_ends_like_an_uninterrupted_one(tmp_path):
    run_finetune(tmp_path / "straight", occlusion="partial", steps=7)
    for steps in (1, 4, 7):
        run_finetune(tmp_path / "resumed", occlusion="partial", steps=steps)
    assert_same_end(tmp_path / "straight", tmp_path / "resumed")


def assert_same_end(one, other):
    """The last checkpoints of two runs are the same bit for bit, metrics included."""
    a, b = (np.load(sorted((folder / "checkpoints").iterdir())[-1]) for folder in (one, other))
    assert a.files == b.files
    for name in a.files:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def test_mismatch_with_pretrained_names_the_tensor(pretrained, tmp_path):
    with pytest.raises(InputError, match="block_1: the pre-trained network has no such module"):
        run_finetune(tmp_path / "run", pretrained=str(pretrained), layers=2)
    with pytest.raises(InputError, match="expected the preset.json"):
        run_finetune(tmp_path / "run", pretrained=str(tmp_path))
    assert not (tmp_path / "run").exists()


def test_lifting_needs_pairs(tmp_path):
    film(synthetic_motion(clips=12, seconds=2)).without("2d").save(tmp_path / "only_3d.npz")
    with pytest.raises(InputError, match="holds no 2D poses"):
        run_finetune(tmp_path / "run", data=[str(tmp_path / "only_3d.npz")])


@pytest.mark.once
def test_complete_reports_every_row(pretrained, tmp_path):
    config = {**SMALL, **STAGE_2, "workdir": str(tmp_path), "pretrained": str(pretrained), "steps": 2}
    metrics = complete({**config, "tasks": ["2d", "3d"], "split": "test", "broken": True, "eval_windows": 32})
    assert set(metrics["table_3"]) == {NOTHING, *PARTIAL_2D}
    assert set(metrics["table_4"]) == set(metrics["table_4_without_training"]) == set(PARTIAL_3D)
    for row in metrics["table_4"].values():  # 14 of 17 joints are observed, and stay as observed
        assert row["mpjpe_mm"] == pytest.approx(row["hidden_mpjpe_mm"] * 3 / 17, rel=1e-3)
    with open(tmp_path / "metrics.csv") as file:
        assert len(list(csv.DictReader(file))) == 1 + len(PARTIAL_2D) + 2 * len(PARTIAL_3D)


@pytest.mark.once
def test_completion_goes_on_with_both_of_its_runs(pretrained, tmp_path):
    config = {**SMALL, **STAGE_2, "pretrained": str(pretrained), "split": "test", "eval_windows": 16}
    for name, steps in (("straight", 3), ("resumed", 2), ("resumed", 3)):
        complete({**config, "workdir": str(tmp_path / name), "tasks": ["2d", "3d"], "broken": False, "steps": steps})
    for part in ("partial_2d", "partial_3d"):
        assert_same_end(tmp_path / "straight" / part, tmp_path / "resumed" / part)


REFINE = dict(root_depth="estimated", split="test")


def refine_config(folder, network, **changes):
    names = ("frames", "stride", "fps", "skeleton", "layers", "width", "encoder_width", "dropout")
    kept = {name: value for name, value in SMALL.items() if name not in names}
    return {**kept, **REFINE, "workdir": str(folder), "network": str(network), **changes}


@pytest.fixture(scope="module")
def lifter(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stage2") / "run"
    run_finetune(folder)
    return folder


@pytest.mark.once
@pytest.mark.parametrize("root_depth", ["estimated", "truth"])
def test_refine_lowers_the_error(lifter, root_depth, tmp_path):
    metrics = refine(refine_config(tmp_path / "run", lifter, root_depth=root_depth, steps=40))
    assert metrics["test_center_mpjpe_mm_after"] < metrics["test_center_mpjpe_mm_before"]


@pytest.mark.once
def test_refinement_goes_on_where_it_stopped(lifter, tmp_path):
    refine(refine_config(tmp_path / "straight", lifter, steps=5))
    for steps in (2, 5):
        refine(refine_config(tmp_path / "resumed", lifter, steps=steps))
    assert_same_end(tmp_path / "straight", tmp_path / "resumed")


@pytest.mark.once
def test_refine_says_that_it_needs_intrinsics(lifter, tmp_path):
    views = film(synthetic_motion(clips=12, seconds=2))
    views.intrinsics[:] = np.nan
    views.save(tmp_path / "views.npz")
    with pytest.raises(InputError, match="refining needs camera intrinsics"):
        refine(refine_config(tmp_path / "run", lifter, data=[str(tmp_path / "views.npz")]))


@pytest.mark.once
def test_a_lifter_learns_from_a_detector(tmp_path):
    """The network takes what a detector would give, and its preset says so."""
    noisy = dict(detector="noisy", normalization="window", confidence_threshold=0.3)
    found = run_finetune(tmp_path, **noisy, steps=2, synthetic_clips=6, val_windows=16)
    assert np.isfinite(found["val_center_mpjpe_mm"])
    facts = read_preset(tmp_path / "network")["facts"]
    assert {name: facts[name] for name in noisy} == noisy


@pytest.mark.once
def test_a_lifter_is_trained_on(lifter):
    network = MPMLifter(frames=9, layers=1, width=16, encoder_width=16)
    load_pretrained(lifter, network)
    for old, new in zip(load_preset(lifter / "network").weights, network.weights, strict=True):
        np.testing.assert_array_equal(to_numpy(old.value), to_numpy(new.value))
