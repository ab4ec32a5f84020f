"""The pretrain script as users run it: one process a start."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from pose_views import make_views

from mpm_keras.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
TINY = [
    "--synthetic_clips=4", "--width=16", "--encoder_width=16", "--layers=1", "--frames=9", "--epochs=1",
    "--batch_size=8", "--val_windows=16", "--noprogress",
]  # fmt: skip


def script(*arguments, cwd):
    """Runs the script from another folder; returns (exit code, stdout, lines of stderr but library logs)."""
    environment = {**os.environ, "KERAS_BACKEND": keras.backend.backend(), "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [sys.executable, str(ROOT / "experiments" / "pretrain.py"), *arguments],
        cwd=cwd, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    lines = [line for line in done.stderr.splitlines() if line.startswith("pretrain.py: ")]
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, lines


@pytest.mark.slow  # three processes that import Keras, train six steps and draw
@pytest.mark.once
def test_a_run_and_its_resumption(tmp_path):
    run = tmp_path / "run"
    assert script(*TINY, "--steps=4", f"--workdir={run}", cwd=tmp_path)[0] == 0
    assert json.loads((run / "metrics.json").read_text())["steps"] == 4
    code, out, _ = script(*TINY, "--steps=6", f"--workdir={run}", cwd=tmp_path)
    assert code == 0
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["steps"] == 6 and metrics["backend"] == keras.backend.backend()
    for name in (
        "val_masked_3d_mpjpe_mm", "val_masked_2d_error", "baseline_interpolation_3d_mpjpe_mm",
        "baseline_mean_pose_3d_mpjpe_mm", "train_samples_per_second",
    ):  # fmt: skip
        assert np.isfinite(metrics[name]) and metrics[name] > 0, name
        assert name in out
    parameters = metrics["parameters"]
    assert {"encoder_2d", "encoder_3d", "spatial_mlp", "temporal_transformer", "decoder_2d", "decoder_3d"} < set(
        parameters
    )
    assert parameters["total"] == sum(n for name, n in parameters.items() if name != "total")
    assert metrics["masked_share"] == pytest.approx(1 - 12 / 17 * 4 / 9)

    config = json.loads((run / "config.json").read_text())
    assert (config["width"], config["frames"], config["data"], config["spatial_mask"]) == (16, 9, ["synthetic"], 5)
    assert list((run / "checkpoints").glob("state-*.npz"))
    assert {"preset.json", "weights.npz"} <= {path.name for path in (run / "network").iterdir()}
    assert list((run / "tensorboard" / "train").glob("events.out.tfevents.*"))
    assert (run / "reconstruction.png").read_bytes().startswith(b"\x89PNG")

    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    code, _, errors = script(*TINY, "--steps=6", "--width=24", f"--workdir={run}", cwd=tmp_path)
    assert (code, errors) == (2, [f"pretrain.py: {run} holds a run with width=16, not 24; choose another --workdir"])
    assert before == {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}


@pytest.mark.slow  # a process that imports the library
def test_a_missing_file_and_an_unknown_flag_end_in_one_line(tmp_path):
    code, _, errors = script(*TINY, "--data=gone.npz", f"--workdir={tmp_path / 'run'}", cwd=tmp_path)
    assert code == 2 and len(errors) == 1 and "gone.npz: no such file" in errors[0]
    code, _, errors = script("--widht=16", cwd=tmp_path)
    assert code == 2 and len(errors) == 1 and "widht" in errors[0]
    assert not (tmp_path / "run").exists() and not (tmp_path / "runs").exists()


def settings(*arguments, cwd):
    """The configuration that the script makes of its arguments, or its one line of error; needs no backend."""
    code = (
        "import json, runpy, sys\n"
        "from mpm_keras import command_line\n"
        "command_line.run = lambda main: None\n"
        f"sys.argv[0] = {str(ROOT / 'experiments' / 'pretrain.py')!r}\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "from absl import flags\n"
        "from mpm_keras.errors import InputError\n"
        "every = flags.FLAGS.flags_by_module_dict()\n"
        "flags.FLAGS(sys.argv)\n"
        "own = {f.name: f for name, found in every.items() if 'absl' not in name for f in found}\n"
        "command_line.own_flags = lambda: own\n"
        "try:\n    print(json.dumps(command_line.settings()))\n"
        "except InputError as error:\n    print(json.dumps(str(error)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=cwd, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_settings_come_from_the_command_line_then_the_config_then_the_defaults(tmp_path):
    (tmp_path / "mine.json").write_text(json.dumps({"frames": 9, "width": 32, "data": ["a.npz", "b"], "flip": False}))
    found = settings("--config=mine.json", "--width=64", cwd=tmp_path)
    assert (found["frames"], found["width"], found["data"], found["flip"]) == (9, 64, ["a.npz", "b"], False)
    assert (found["spatial_mask"], found["temporal_mask"], found["schedule"]) == (5, 0.6, "alternate")
    assert (found["weight_2d"], found["weight_3d"], found["weight_lift"]) == (2.0, 3.0, 0.0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"widht": 3}', "mine.json: unknown flag 'widht'"),
        ('{"width": "wide"}', "mine.json: width: "),
        ('{"width": 2}', "mine.json: width: "),
        ("[1]", "mine.json: expected a JSON object of flag values, found list"),
        ("{", "mine.json: expected a JSON object of flag values"),
    ],
)
def test_bad_config_files_are_refused(content, message, tmp_path):
    (tmp_path / "mine.json").write_text(content)
    found = settings("--config=mine.json", cwd=tmp_path)
    assert message in found and "\n" not in found


def test_an_unknown_config_is_refused(tmp_path):
    assert "no file 'nothing' and no config of that name" in settings("--config=nothing", cwd=tmp_path)


@pytest.fixture(scope="module")
def tiny_config(tmp_path_factory):
    return settings(*TINY, cwd=tmp_path_factory.mktemp("settings"))


def broken_views(folder, how):
    """A file of views with one thing wrong."""
    path = folder / f"{how}.npz"
    make_views((30, 30)).save(path)
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    if how == "truncated":
        path.write_bytes(path.read_bytes()[:-500])
        return path
    if how == "nan":
        arrays["pose_3d"][40, 3, 1] = np.nan
    if how == "joints":
        arrays["pose_3d"] = arrays["pose_3d"][:, :15]
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("truncated", "truncated.npz: "),
        ("nan", "pose_3d: 1 frames hold NaN or infinity, the first is view 'clip/1@cam0', frame 10"),
        ("joints", r"pose_3d: expected float32 \(60, 17, 3\), found float32 \(60, 15, 3\)"),
    ],
)
def test_bad_files_end_in_one_line_and_leave_nothing(how, message, tiny_config, tmp_path):
    from mpm_keras.training.pretrain_run import pretrain

    path = broken_views(tmp_path, how)
    with pytest.raises(InputError, match=message) as error:
        pretrain({**tiny_config, "data": [str(path)], "workdir": str(tmp_path / "run")})
    assert "\n" not in str(error.value) and path.name in str(error.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"spatial_mask": 17}, "spatial mask of 17 joints leaves none of 17 visible"),
        ({"temporal_mask": 1.0}, "0 <= temporal < 1"),
        ({"width": 33}, "8 heads do not divide a width of 33"),
        ({"weight_2d": 0.0, "weight_3d": 0.0}, "no task"),
        ({"val_subjects": ["nobody"]}, "choose --val_subjects otherwise"),
    ],
)
def test_impossible_settings_end_in_one_line_and_leave_nothing(changes, message, tiny_config, tmp_path):
    from mpm_keras.training.pretrain_run import pretrain

    make_views((30,) * 4).save(tmp_path / "views.npz")
    config = {**tiny_config, "data": [str(tmp_path / "views.npz")], "workdir": str(tmp_path / "run"), **changes}
    with pytest.raises(InputError, match=message) as error:
        pretrain(config)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()
