import errno
import json

import pytest

from mpm_keras.errors import InputError
from mpm_keras.training.workdir import Workdir


def config(path, **changes):
    return {"workdir": str(path), "width": 8, "epochs": 2, "data": ["synthetic"], **changes}


def begun(path):
    """A folder that holds a run: configuration and a checkpoint."""
    Workdir(config(path)).begin()
    (path / "checkpoints").mkdir()
    (path / "checkpoints" / "state-000000001.npz").touch()


def test_begin_writes_the_configuration(tmp_path):
    workdir = Workdir(config(tmp_path / "runs" / "a"))
    assert not (tmp_path / "runs").exists()  # nothing is written before all input has proved good
    workdir.begin()
    assert json.loads((tmp_path / "runs" / "a" / "config.json").read_text()) == workdir.config


def test_the_same_run_may_go_on_longer(tmp_path):
    begun(tmp_path)
    Workdir(config(tmp_path, epochs=5, keep=1, pipeline="numpy", checkpoint_seconds=60.0, skip_bad_batches=3)).begin()
    assert json.loads((tmp_path / "config.json").read_text())["epochs"] == 5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 16}, "holds a run with width=8, not 16; choose another --workdir"),
        ({"data": ["a.npz"]}, "holds a run with data="),
        ({"new": 1}, "holds a run with new=None, not 1"),
    ],
)
def test_another_run_is_refused_and_nothing_written(changes, message, tmp_path):
    begun(tmp_path)
    before = (tmp_path / "config.json").read_text()
    with pytest.raises(InputError, match=message):
        Workdir(config(tmp_path, **changes))
    assert (tmp_path / "config.json").read_text() == before


def test_without_checkpoints_a_folder_is_free(tmp_path):
    Workdir(config(tmp_path)).begin()
    Workdir(config(tmp_path, width=16)).begin()
    assert json.loads((tmp_path / "config.json").read_text())["width"] == 16


@pytest.mark.parametrize("content", [None, "", "\0" * 40, "{", "[" * 200_000, "[]", "3"])
def test_a_lost_or_damaged_configuration_is_refused(content, tmp_path):
    begun(tmp_path)
    if content is None:
        (tmp_path / "config.json").unlink()
    else:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(InputError, match=r"config.json: .*the configuration of a run.*; choose another --workdir"):
        Workdir(config(tmp_path))


def test_what_a_killed_process_left_half_written_goes(tmp_path):
    begun(tmp_path)
    (tmp_path / "network").mkdir()
    names = ("checkpoints/.state-000000002.npz.123.tmp", "network/.weights.npz.123.tmp", ".config.json.123.tmp")
    left, other = [tmp_path / name for name in names], tmp_path / "other_run" / ".config.json.124.tmp"
    other.parent.mkdir()
    for path in (*left, other):
        path.write_bytes(b"half")
    Workdir(config(tmp_path)).begin()
    assert not any(path.exists() for path in left)
    assert other.exists()  # of a run that may be alive
    assert (tmp_path / "checkpoints" / "state-000000001.npz").exists()


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        Workdir(config(tmp_path / "file" / "run")).begin()


def test_metrics_round_trip(tmp_path):
    workdir = Workdir(config(tmp_path))
    assert workdir.read_metrics() == {}
    workdir.begin()
    workdir.write_metrics({"val_mpjpe_mm": 12.5})
    assert workdir.read_metrics() == {"val_mpjpe_mm": 12.5}


@pytest.mark.parametrize("content", ["", "\0" * 40, '{"val_mpjpe_mm": 12', "[" * 200_000])
def test_damaged_metrics_of_an_earlier_start_do_not_end_a_run(content, tmp_path):
    (tmp_path / "metrics.json").write_text(content)
    with pytest.warns(UserWarning, match=r"metrics.json: expected the metrics of a run \(.*\); it is written anew"):
        assert Workdir(config(tmp_path)).read_metrics() == {}


def test_another_run_that_came_and_went_meanwhile_is_not_overwritten(tmp_path):
    """Two processes started in one new folder: the first may have ended when the second gets the lock."""
    late = Workdir(config(tmp_path, width=16))
    begun(tmp_path)
    with pytest.raises(InputError, match="holds a run with width=8, not 16"):
        late.begin()
    assert json.loads((tmp_path / "config.json").read_text())["width"] == 8


def test_a_disk_without_locks_is_said(tmp_path, monkeypatch):
    def unsupported(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("mpm_keras.training.workdir.fcntl.lockf", unsupported)
    with pytest.warns(UserWarning, match="its disk has no locks"):
        Workdir(config(tmp_path)).begin()
    assert (tmp_path / "config.json").exists()
