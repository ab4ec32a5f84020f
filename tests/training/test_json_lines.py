import pytest

from mpm_keras.training.json_lines import JsonLines

pytestmark = pytest.mark.numpy_only


def test_what_is_appended_is_read(tmp_path):
    lines = JsonLines(tmp_path / "log.jsonl")
    assert lines.read() == [] and not lines.path.exists()
    for value in ({"epoch": 1, "loss": 0.1}, {"epoch": 2}):
        lines.append(value)
    assert JsonLines(lines.path).read() == [{"epoch": 1, "loss": 0.1}, {"epoch": 2}]


@pytest.mark.parametrize("torn", ['{"epoch": 2, "lo', '{"epoch": 2}', "\x00\x00", "[1]"])
def test_a_torn_line_harms_no_other(torn, tmp_path):
    lines = JsonLines(tmp_path / "log.jsonl")
    lines.append({"epoch": 1})
    with open(lines.path, "a") as file:
        file.write(torn)
    lines.append({"epoch": 3})
    whole = [{"epoch": 2}] if torn == '{"epoch": 2}' else []
    assert lines.read() == [{"epoch": 1}, *whole, {"epoch": 3}]
