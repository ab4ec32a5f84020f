"""experiments/evaluate.py as a user runs it, on the active backend, with a tiny network."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from harness import seed_weights
from PIL import Image

from mpm_keras.data.sources import SourceOptions, load_views
from mpm_keras.data.views import Views
from mpm_keras.errors import InputError
from mpm_keras.inference import evaluate_run
from mpm_keras.models.lifter import MPMLifter
from mpm_keras.models.presets import save_preset
from mpm_keras.models.pretrainer import MPMPretrainer

SCRIPT = Path(__file__).resolve().parents[2] / "experiments" / "evaluate.py"
TINY = {"frames": 9, "joints": 17, "layers": 1, "width": 8, "encoder_width": 8, "heads": 2, "feed_forward": 8}
FACTS = {"skeleton": "h36m17", "stride": 2, "fps": 50.0}


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """The run folder of a tiny lifter."""
    folder = tmp_path_factory.mktemp("run")
    lifter = MPMLifter(**TINY)
    seed_weights(lifter, scale=0.1)
    save_preset(lifter, folder / "network", **FACTS, mean_pose_3d=np.zeros((17, 3)).tolist())
    return folder


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Views of eight clips of 0.6 s on disk, by two subjects, each filmed once."""
    path = tmp_path_factory.mktemp("data") / "views.npz"
    load_views(["synthetic"], SourceOptions(synthetic_clips=8, synthetic_seconds=0.6, cameras=1))[0].save(path)
    return path


def evaluate(*flags, code=0):
    command = [sys.executable, str(SCRIPT), *map(str, flags)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == code, done.stderr
    return done


def test_everything_from_views_on_disk(network, archive, tmp_path):
    flags = [f"--network={network}", f"--data={archive}", "--split=all", f"--workdir={tmp_path}", "--pictures=2"]
    done = evaluate(*flags)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert (metrics["clips"], metrics["frames"], metrics["stride"]) == (8, 240, 2)
    assert set(metrics["per_subject"]) == {"synthetic000", "synthetic001"}
    for mode in ("center", "sequence"):
        assert metrics[f"{mode}_mpjpe_mm"] >= metrics[f"{mode}_p_mpjpe_mm"] > 0
        assert metrics[f"{mode}_ms_per_frame"] > 0 and metrics[f"{mode}_velocity_error_mm_per_frame"] > 0
    assert metrics["mean_pose_mpjpe_mm"] > 0 and "mean_pose_ms_per_frame" not in metrics
    with open(tmp_path / "metrics.csv", newline="") as file:
        total = next(csv.DictReader(file))
    assert total["kind"] == "total" and float(total["center_mpjpe_mm"]) == metrics["center_mpjpe_mm"]
    for heading in ("Averaged over frames", "Per subject", "Per action", "Per joint", "speed ms/frame"):
        assert heading in done.stdout
    for picture in ("joint_errors.png", "examples.png", "clip.gif"):
        with Image.open(tmp_path / picture) as image:
            image.verify()


@pytest.mark.once
def test_synthetic_motion_by_every_fifth_frame(network, tmp_path):
    flags = ["--data=synthetic", "--synthetic_clips=4", "--cameras=1", "--split=validation", "--frame_step=5"]
    flags += ["--nearest=500", "--noflip", "--pictures=0"]
    evaluate(f"--network={network}/network", *flags, f"--workdir={tmp_path}")
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["clips"] == 1 and metrics["frames"] == 100 and not metrics["flip"]
    velocities = [name for name in metrics if "velocity" in name]
    assert velocities == [f"{who}_velocity_error_mm_per_frame" for who in ("sequence", "nearest_pose", "mean_pose")]
    assert metrics["nearest_pose_mpjpe_mm"] < 0.7 * metrics["mean_pose_mpjpe_mm"]
    assert "| synthetic" in (tmp_path / "tables.md").read_text()
    assert sorted(p.name for p in tmp_path.glob("[!.]*")) == ["config.json", "metrics.csv", "metrics.json", "tables.md"]
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["frame_step"] == 5 and "epochs" not in config


@pytest.mark.once
@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--split=test"], "views.npz: no clip for test; name --test_subjects or use --split=validation"),
        (["--epochs=3"], "Unknown command line flag 'epochs'"),
        (["--network="], "--network is needed"),
    ],
)
def test_wrong_input_ends_with_one_line(network, archive, tmp_path, flags, message):
    folder = tmp_path / "out"
    done = evaluate(f"--network={network}", f"--data={archive}", f"--workdir={folder}", *flags, code=2)
    lines = done.stderr.splitlines()  # TensorFlow may have its say before
    assert lines[-1].startswith("evaluate.py: ") and message in lines[-1]
    assert "Traceback" not in done.stderr and not folder.exists()


def refusal(network, archive, folder, changes):
    """The message that wrong settings raise; nothing is written."""
    config = {
        "network": network, "data": [archive], "workdir": folder, "split": "all", "mode": "sequence", "flip": False,
        "frame_step": 1, "max_clips": 0, "confidence_threshold": 0.0, "pictures": 0, "progress": False,
        "batch_size": 64, "cameras": 1, "val_subjects": [], "test_subjects": [], "data_seed": 0,
        "synthetic_clips": 4, "config": None, "detector": None, "without_licenses": [],
        "nearest": 0,
    }  # fmt: skip
    before = sorted(Path(folder).rglob("*"))
    with pytest.raises(InputError) as caught:
        evaluate_run.evaluate({k: str(v) if isinstance(v, Path) else v for k, v in {**config, **changes}.items()})
    assert sorted(Path(folder).rglob("*")) == before
    return str(caught.value)


def test_wrong_settings_are_named(network, archive, tmp_path):
    def found(**changes):
        return refusal(network, archive, tmp_path / "out", changes)

    assert "no subject 'anna'; found synthetic000, synthetic001" in found(
        test_subjects=["anna", "synthetic000"], split="test"
    )
    assert "--nearest compares with training poses" in found(nearest=10)
    assert "gone.npz: no such file" in found(data=["gone.npz"])
    assert "gone/preset.json: expected the preset.json" in found(network="gone")
    Views.load(archive).without("3d").save(tmp_path / "flat.npz")
    assert "holds no 3D poses to evaluate with" in found(data=[str(tmp_path / "flat.npz")])
    save_preset(MPMPretrainer(**TINY), tmp_path / "stage1", **FACTS)
    assert "holds an MPMPretrainer, expected an MPMLifter" in found(network=str(tmp_path / "stage1"))


def test_a_training_run_is_not_written_over(network, archive):
    assert "holds a training run (network); choose another folder" in refusal(network, archive, network, {})


def test_help_names_no_flag_of_training():
    text = evaluate("--help").stdout
    assert "--frame_step" in text and "--test_subjects" in text
    assert not any(f"--{name}" in text for name in ("epochs", "learning_rate", "stride", "fps", "skeleton"))
