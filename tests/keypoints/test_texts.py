"""What text files of keypoints may take of the memory."""

import csv
import json
import tracemalloc

import numpy as np
import pytest

from mpm_keras.errors import InputError
from mpm_keras.keypoints import texts
from mpm_keras.keypoints.readers import read_keypoints
from mpm_keras.keypoints.texts import parsed_size, read_text

pytestmark = pytest.mark.numpy_only

SIZE = 200_000
JSON = {
    "lists": lambda n: "[" + "[]," * (n // 3) + "0]",
    "lists of one": lambda n: "[" + "[1.5]," * (n // 6) + "0]",
    "objects": lambda n: "[" + "{}," * (n // 3) + "0]",
    "objects of one": lambda n: "[" + '{"a":1},' * (n // 8) + "0]",
    "keys": lambda n: "{" + ",".join(f'"{i:x}":1' for i in range(n // 8)) + "}",
    "texts": lambda n: "[" + ",".join(f'"{i:x}"' for i in range(n // 7)) + "]",
    "numbers": lambda n: "[" + "1.5," * (n // 4) + "0]",
    "points": lambda n: "[" + "[635.2, 217.0]," * (n // 15) + "0]",
    "landmarks": lambda n: "[" + '{"x":0.512,"y":0.125,"z":0.1,"visibility":0.9},' * (n // 47) + "0]",
    "wide characters": lambda n: "[" + "1.5," * (n // 4) + '"\U0001f600"]',
}


def peak_of(read, text) -> int:
    tracemalloc.start()
    try:
        kept = [text.encode().decode(), read(text)]
        assert kept[1] is not None
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", JSON)
def test_json_takes_no_more_than_is_reckoned(kind):
    text = JSON[kind](SIZE)
    most, found = parsed_size(text.encode()), peak_of(json.loads, text)
    assert 0.8 * found < most < 6 * found


@pytest.mark.parametrize("line", ["12,13,14,15", "635.250,217.125,0.900", "1;2", "12 34 56 78"])
def test_tables_take_no_more_than_is_reckoned(line):
    text, delimiter = (line + "\n") * (SIZE // len(line)), next(c for c in ",; " if c in line)
    most = parsed_size(text.encode())
    assert 0.8 * peak_of(lambda t: list(csv.reader(t.splitlines(), delimiter=delimiter)), text) < most


def test_what_would_fill_the_memory_is_refused_unparsed(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    path.write_text("[" * 100_000)
    assert read_text(path) == "[" * 100_000
    monkeypatch.setattr(texts, "MAX_PARSED", 8 << 20)
    with pytest.raises(InputError, match=r"a.json: its values would take 0.0 GB of memory; refused"):
        read_keypoints(path)


def test_sizes_are_looked_at_before_anything_is_read(tmp_path):
    for i in range(5):  # sparse files
        with open(tmp_path / f"{i:03d}.json", "wb") as file:
            file.truncate(texts.MAX_BYTES)
    with pytest.raises(InputError, match="1280 MB of keypoints are too much; up to 1024 are read"):
        read_keypoints(tmp_path)
    with open(tmp_path / "000.json", "ab") as file:
        file.truncate(texts.MAX_BYTES + 1)
    with pytest.raises(InputError, match="256 MB are too much; up to 256 MB of text are read"):
        read_keypoints(tmp_path / "000.json")


def test_few_rows_do_not_make_many_joints(tmp_path):
    """Every joint of every frame gets memory, whether it has a row or not."""
    rows = [f"{frame},joint{frame % 999},1,2" for frame in range(20_000)]
    (tmp_path / "a.csv").write_text("\n".join(["frame,joint,x,y", *rows]))
    with pytest.raises(InputError, match="20000 rows are too few for 999 joints of 20000 people and frames"):
        read_keypoints(tmp_path / "a.csv")


def test_a_hundred_thousand_poses_are_within_the_limits():
    """Of one person with all digits, as MMPose writes them: half an hour at 60 frames a second."""
    frame = {"keypoints": np.random.default_rng(0).uniform(0, 1000, (17, 2)).tolist(), "keypoint_scores": [0.9] * 17}
    text = json.dumps([{"frame_id": i, "instances": [frame]} for i in range(100)]).encode()
    assert 2000 * len(text) < texts.MAX_BYTES and 2000 * parsed_size(text) < texts.MAX_PARSED
