"""Stage II jobs killed again and again, between their steps and between their writes: the outcome is the same."""

import functools
import json

import keras
import numpy as np
import pytest
from test_stage2_runs import REFINE, SMALL, STAGE_2

from mpm_keras.data.sources import load_splits
from mpm_keras.models import MPMLifter, presets, save_preset
from mpm_keras.training import job
from mpm_keras.training.callbacks import EpochLog, RunProgress
from mpm_keras.training.checkpoints import CheckpointFolder, read_state
from mpm_keras.training.complete_run import train_partial_3d
from mpm_keras.training.finetune_run import finetune
from mpm_keras.training.json_lines import JsonLines
from mpm_keras.training.refine_run import refine

pytestmark = pytest.mark.skipif(keras.backend.backend() != "torch", reason="it compiles nothing in each of the lives")

# Three epochs of two batches, a checkpoint after each.
CONFIG = {
    **SMALL, **STAGE_2, "epochs": 3, "steps": 0, "checkpoint_seconds": 0.0, "frames": 3, "width": 8, "batch_size": 10,
    "encoder_width": 8, "synthetic_clips": 4, "val_windows": 16, "window_step": 50, "occlusion": "partial",
    "learning_rate": 1e-3, "dropout": 0.0, "encoder_dropout": 0.0, "split": "test", "tasks": ["3d"], "broken": True,
}  # fmt: skip
BATCH, VALIDATION, LOG = "on_train_batch_begin", "on_test_batch_begin", "append"
WEIGHTS, PRESET, SAVE = "atomic_write", "write_json", "save"  # the two files of the network, and a checkpoint
EVENTS = {
    BATCH: RunProgress, VALIDATION: RunProgress, LOG: JsonLines, WEIGHTS: presets, PRESET: presets,
    SAVE: CheckpointFolder,
}  # fmt: skip
# What each life gets to see; the last of it is what it dies before.
LIVES = (
    (BATCH, BATCH),
    (VALIDATION,),
    (LOG,),
    (WEIGHTS,),
    (PRESET,),  # the weights have no preset.json
    (PRESET, SAVE),  # the best network is that of an epoch that the checkpoint does not know
    (LOG, SAVE, BATCH, BATCH),
    (LOG, WEIGHTS, PRESET),  # the weights are those of the second epoch, preset.json is that of the first
    (LOG, SAVE, VALIDATION),
)


class Killed(BaseException):
    """Stands for the end of the process."""


class Fate:
    """Kills a life before the last of the events that it may see. No `plan`: never."""

    def __init__(self, patch):
        self.plan = []
        for name, owner in EVENTS.items():
            self.watch(patch, owner, name)

    def watch(self, patch, owner, name):
        before = getattr(owner, name)

        def watched(*args, **kwargs):
            if self.plan and self.plan[0] == name:
                del self.plan[0]
                if not self.plan:
                    raise Killed
            return before(*args, **kwargs)

        patch.setattr(owner, name, watched)


@pytest.fixture(scope="module")
def lifter(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lifter")
    keras.utils.set_random_seed(0)
    network = MPMLifter(frames=3, joints=17, layers=1, width=8, encoder_width=8)
    save_preset(network, folder, skeleton="h36m17", stride=2, fps=50.0)
    return folder


@pytest.fixture
def fate(monkeypatch):
    cached = functools.cache(lambda data, options: load_splits(list(data), options))
    monkeypatch.setattr(job, "load_splits", lambda data, options: cached(tuple(data), options))
    return Fate(monkeypatch)


def outcome(folder) -> dict:
    """All that a run is for."""
    state, position = read_state(CheckpointFolder(folder / "checkpoints").paths()[-1])
    preset = json.loads((folder / "network" / "preset.json").read_text())
    metrics = json.loads((folder / "metrics.json").read_text())
    del preset["weights_sha256"], metrics["train_samples_per_second"]  # of files with times in them
    with np.load(folder / "network" / "weights.npz") as archive:
        weights = dict(archive)
    return {
        "state": state, "position": position, "weights": weights, "preset": preset, "metrics": metrics,
        "epochs": EpochLog(folder / "epochs.jsonl").epochs(),
    }  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*the best network from here on takes its place")
@pytest.mark.parametrize("name", ["finetune", "complete", "refine"])
def test_a_job_killed_anywhere_ends_as_if_let_alone(name, fate, lifter, tmp_path):
    run = {"finetune": finetune, "complete": train_partial_3d, "refine": refine}[name]
    config = {**CONFIG, **REFINE, "network": str(lifter)} if name == "refine" else CONFIG
    run({**config, "workdir": str(tmp_path / "alone")})
    for plan in LIVES:
        fate.plan = list(plan)
        with pytest.raises(Killed):  # or else an event of the plan does not come
            run({**config, "workdir": str(tmp_path / "killed")})
    run({**config, "workdir": str(tmp_path / "killed")})
    alone, killed = outcome(tmp_path / "alone"), outcome(tmp_path / "killed")
    assert len(alone["epochs"]) == 3 and alone["position"].epoch == 3
    for part in ("state", "weights"):
        assert alone[part].keys() == killed[part].keys()
        for key, value in alone.pop(part).items():
            np.testing.assert_array_equal(value, killed[part][key], err_msg=key)
        del killed[part]
    assert killed == alone
