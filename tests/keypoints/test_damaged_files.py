"""Truncated and altered files of every layout: an `InputError` or people, never anything else."""

import json
import time

import numpy as np
import pytest
from detector_files import SIZE, WRITERS, mmpose_instances, openpose, people, videopose3d

from mpm_keras.errors import InputError
from mpm_keras.keypoints.detections import Detections
from mpm_keras.keypoints.gathering import MAX_FRAMES
from mpm_keras.keypoints.readers import read_keypoints

pytestmark = pytest.mark.numpy_only
CASES = 500
# Bytes that mean something to a parser come more often than by chance.
TELLING = b'0123456789eE+-.,:;"[]{}nNaAtfI \n\t\0\xff\x80'


def damaged(data: bytes, rng) -> bytes:
    kind = rng.integers(4)
    if kind == 0:
        return data[: rng.integers(len(data))]
    altered = bytearray(data)
    for at in rng.integers(len(data), size=rng.integers(1, 6)):
        altered[at] = TELLING[rng.integers(len(TELLING))] if kind < 3 else altered[at] ^ (1 << rng.integers(8))
    if kind == 2:
        a, b = sorted(rng.integers(len(data), size=2))
        del altered[a : min(b, a + 40)]
    return bytes(altered)


def check(path) -> bool:
    """Whether it was read; the error of one that was not is one line that names the file."""
    try:
        found = read_keypoints(path, image_size=SIZE)
    except InputError as error:
        assert "\n" not in str(error) and path.name in str(error)
        return False
    assert isinstance(found, Detections) and (np.diff(found.frame) >= 0).all()
    assert found.frame[0] >= 0 and found.frame[-1] < found.num_frames <= MAX_FRAMES
    assert (np.isnan(found.points).any(axis=-1) == (found.scores == 0)).all()
    assert found.scores.min() >= 0 and found.scores.max() <= 1
    return True


def npy(path, video):
    np.save(path, np.stack([p for frame in video for p in frame]))


def one_video(path, video):
    videopose3d(path, {"a.mp4": np.stack([p[:, :2] for frame in video for p in frame])})


MORE = {"npy": (npy, 17, "a.npy"), "videopose3d": (one_video, 17, "a.npz")}


@pytest.mark.parametrize("name", [*WRITERS, *MORE])
def test_damaged_files_end_in_one_line_or_in_people(name, tmp_path):
    write, joints, file = {**WRITERS, **MORE}[name]
    write(tmp_path / file, people(frames=3, joints=joints))
    files = sorted(p for p in tmp_path.rglob("*") if p.is_file())
    target = files[-1]
    original = target.read_bytes()
    rng = np.random.default_rng(sum(name.encode()))
    read = 0
    for _ in range(CASES):
        target.write_bytes(damaged(original, rng))
        read += check(target)
    assert read < CASES
    target.write_bytes(original)
    assert check(target)


JUNK = (
    None, True, "", "x", -1, 0, 1.5, 10**30, float("nan"), float("inf"), [], {}, [[]], [{}], {"x": 1}, [None], [[[1]]],
)  # fmt: skip


def places(value, path=()):
    """The way to every value within a JSON value."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def replaced(value, path, junk):
    if not path:
        return junk
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], junk)
    return copy


JSON_LAYOUTS = [name for name, (_, _, file) in WRITERS.items() if file.endswith(".json")]


@pytest.mark.parametrize("name", [*JSON_LAYOUTS, "openpose"])
def test_junk_anywhere_in_json_ends_in_one_line_or_in_people(name, tmp_path):
    write, joints, file = WRITERS[name]
    write(tmp_path / file, people(frames=3, joints=joints))
    target = max(p for p in tmp_path.rglob("*.json"))
    value = json.loads(target.read_text())
    ways = sorted({tuple(p) for p in places(value)}, key=lambda p: (len(p), str(p)))
    rng = np.random.default_rng(0)
    shallow = [p for p in ways if len(p) < 6]
    for n in range(CASES):
        among = ways if n % 4 == 0 else shallow
        way, junk = among[rng.integers(len(among))], JUNK[rng.integers(len(JUNK))]
        target.write_text(json.dumps(replaced(value, way, junk)))
        check(target)


def test_a_damaged_frame_of_a_folder_is_named(tmp_path):
    openpose(tmp_path / "o", people(joints=25))
    bad = tmp_path / "o" / "clip_000000000004_keypoints.json"
    bad.write_text('{"people": [{"pose_keypoints_2d": [1, 2, "x"]}]}')
    with pytest.raises(InputError, match="clip_000000000004_keypoints.json"):
        read_keypoints(tmp_path / "o")


def test_ten_thousand_frames_of_two_people_are_read_in_seconds(tmp_path):
    two = mmpose_instances(people()[1])
    frames = [{"frame_id": i, "instances": two} for i in range(10_000)]
    (tmp_path / "long.json").write_text(json.dumps(frames))
    start = time.process_time()
    found = read_keypoints(tmp_path / "long.json")
    assert len(found.frame) == 20_000 and found.num_frames == 10_000
    assert time.process_time() - start < 20  # some 1.5 s on one core
