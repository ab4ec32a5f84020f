"""How scripts end."""

import errno
import sys

import pytest
from script_runs import plain_run

from mpm_keras import command_line
from mpm_keras.errors import InputError, Preempted

pytestmark = pytest.mark.numpy_only


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("views.npz: no such\nfile"), 2, "views.npz: no such file"),
        (FloatingPointError("the loss is NaN"), 1, "the loss is NaN"),
        (Preempted("stopped by SIGTERM; saved"), 75, "stopped by SIGTERM; saved"),
        (KeyboardInterrupt("stopped by SIGINT; saved"), 130, "stopped by SIGINT; saved"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            1,
            "the disk: No space left on device; what was saved before is whole",
        ),
        (
            OSError(errno.EROFS, "Read-only file system", "a.csv"),
            1,
            "a.csv: Read-only file system; what was saved before is whole",
        ),
    ],
)
def test_every_end_is_one_line_and_a_code(error, code, line, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["pretrain.py"])
    monkeypatch.setattr("absl.app.run", plain_run)
    monkeypatch.setattr(command_line, "check_backend", lambda: None)

    def main():
        raise error

    with pytest.raises(SystemExit) as end:
        command_line.run(main)
    assert end.value.code == code
    assert capsys.readouterr().err == f"pretrain.py: {line}\n"


def test_what_is_a_bug_comes_through(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["pretrain.py"])
    monkeypatch.setattr("absl.app.run", plain_run)
    monkeypatch.setattr(command_line, "check_backend", lambda: None)

    def main():
        raise FileNotFoundError("a file that is ours")

    with pytest.raises(FileNotFoundError):
        command_line.run(main)
