"""What all scripts make of their flags and configuration files."""

import json

import pytest
from script_runs import contents, run_script

from mpm_keras.errors import printable

pytestmark = pytest.mark.numpy_only  # settings are refused before a backend is imported


def refused(script, *arguments) -> str:
    """The one line that the script ends with."""
    ended = run_script(script, *arguments)
    assert ended.code == 2 and len(ended.lines) == 1, ended
    return ended.lines[0]


@pytest.fixture(autouse=True)
def nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    assert {name for name in contents(tmp_path) if name != "mine.json"} == set()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--learning_rate=nan"], "--learning_rate: expected a finite number, found nan"),
        (["--weight_2d=inf"], "--weight_2d: expected a finite number, found inf"),
        (
            ["--batch_size=100000", "--frames=1000"],
            "--batch_size=100000 and --frames=1000 make more than 16777216 poses",
        ),
        (["--synthetic_clips=20000", "--cameras=2"], "make more than 20000 synthetic clips before cameras"),
        (["--frames=10000000"], "--frames=10000000"),
        (["--layers=1000000"], "--layers=1000000"),
        (["--width=1000000000"], "--width=1000000000"),
        (["--seed=99999999999"], "--seed=99999999999"),
    ],
)
def test_numbers_that_no_machine_can_serve(flags, message):
    assert message in refused("pretrain", *flags)


VALUES = [
    ("data", [[1]]), ("data", {"a": 1}), ("data", 5), ("data", None), ("width", "wide"), ("width", 10**9),
    ("width", 10**400), ("width", [8]), ("fps", 10**400), ("fps", {}), ("flip", []), ("flip", "maybe"),
    ("mixture", 3), ("mixture", []), ("workdir", 3), ("skeleton", {"h36m17": 1}), ("no_such_flag", 1), ("config", "x"),
    ("help", True), ("a\x1b[2Jb", 1), ("x" * 10_000, 1),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), VALUES, ids=[f"{n[:8]}={str(v)[:8]}" for n, v in VALUES])
def test_values_of_a_wrong_kind_in_a_configuration(name, value, tmp_path):
    (tmp_path / "mine.json").write_text(json.dumps({name: value}))
    line = refused("pretrain", "--config=mine.json")
    assert line.startswith("pretrain.py: mine.json: ") and len(line) < 400 and line.isprintable()


def test_a_flag_of_several_words_takes_a_list(tmp_path):
    (tmp_path / "mine.json").write_text(json.dumps({"tasks": ["2d", "4d"]}))
    line = refused("complete", "--config=mine.json")
    assert line.startswith("complete.py: mine.json: tasks: ") and "2d|3d" in line


def test_names_of_files_do_not_steer_the_terminal():
    line = refused("prepare_data", "h36m", "\x1b[2J\x07x.npz", "--out=out.npz")
    assert line.isprintable() and r"\x1b[2J\x07x.npz: no such file" in line


def test_what_is_printable_stays():
    assert printable("Hüfte · 5 Bücher\n日本") == "Hüfte · 5 Bücher\n日本"
    assert printable("a\x1b]0;b\x07\r\ud800") == r"a\x1b]0;b\x07\r\ud800"
