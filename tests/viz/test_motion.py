"""Animations of lifted motion: their frames, their time, what is in them, and what is refused."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from lifted_people import lifted_people
from PIL import Image
from test_lifting import has_colour

from mpm_keras.errors import InputError
from mpm_keras.viz.motion import animate_motion
from mpm_keras.viz.people import FILLED, PEOPLE
from mpm_keras.viz.skeleton import LEFT, RIGHT, _ffmpeg

pytestmark = pytest.mark.numpy_only


@pytest.fixture(scope="module")
def people():
    return lifted_people(2, 60, names=["$x^", "right"])


def frames_of(path):
    with Image.open(path) as gif:
        for k in range(gif.n_frames):
            gif.seek(k)
            yield np.asarray(gif.convert("RGB")).astype(int)


def test_two_people_side_by_side(people, tmp_path):
    path = tmp_path / "clip.gif"
    animate_motion(people, path, first=8, last=24, every=8, title="$two^ people")
    with Image.open(path) as gif:
        assert gif.n_frames == 3 and gif.size == (960, 520) and gif.info["duration"] == 260
    first, filled, nothing_seen = frames_of(path)
    for side in (slice(0, 480), slice(480, 960)):
        part = first[60:480, side]
        assert all(has_colour(part, colour) for colour in (LEFT, RIGHT, PEOPLE[1])) and not has_colour(part, FILLED)
        assert has_colour(filled[60:480, side], FILLED)
    assert not has_colour(nothing_seen[60:480, :480], RIGHT)  # no keypoints, but a skeleton
    assert has_colour(nothing_seen[60:480, 480:], FILLED)


def test_joints_far_off_do_not_shrink_the_body(people, tmp_path):
    wild = people[0].positions_3d.copy()
    wild[:, 3] = 1e6
    animate_motion([dataclasses.replace(people[0], positions_3d=wild)], tmp_path / "clip.gif", last=1)
    (image,) = frames_of(tmp_path / "clip.gif")
    rows = (np.abs(image[60:480, 480:] - [74, 79, 87]).sum(-1) < 30).any(1)  # the trunk
    assert rows.sum() > 80


def test_frames_a_second_by_default(people, tmp_path):
    animate_motion(people[:1], tmp_path / "clip.gif", last=8)
    assert len(list(frames_of(tmp_path / "clip.gif"))) == 3  # every third of 30 a second


def test_nobody_in_a_frame(people, tmp_path):
    gone = dataclasses.replace(
        people[1], positions_3d=np.full((60, 17, 3), np.nan), keypoints_2d=np.full((60, 17, 2), np.nan)
    )
    animate_motion([gone], tmp_path / "clip.gif", last=1)
    (image,) = frames_of(tmp_path / "clip.gif")
    assert not has_colour(image[60:480], RIGHT)


def test_mp4(people, tmp_path):
    program = _ffmpeg()
    if program == "ffmpeg":
        pytest.skip("MP4 is NOT tested: neither ffmpeg nor imageio-ffmpeg is installed")
    path = tmp_path / "clip.mp4"
    animate_motion(people[:1], path, last=5, every=2)
    told = subprocess.run(
        [program, "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], capture_output=True, timeout=60
    )
    image = np.frombuffer(told.stdout, np.uint8).reshape(-1, 520, 960, 3)
    assert len(image) == 3 and b"15 fps" in told.stderr and b"h264" in told.stderr and b"yuv420p" in told.stderr
    assert (np.abs(image[0, 60:480].astype(int) - [47, 111, 159]).sum(-1) < 40).any()  # LEFT, less what coding costs


def test_ffmpeg_comes_from_a_package(monkeypatch):
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="NOT tested: imageio-ffmpeg is not installed")
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert _ffmpeg() == imageio_ffmpeg.get_ffmpeg_exe()
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    assert _ffmpeg() == "ffmpeg"


def test_what_is_refused(people, tmp_path):
    index = np.arange(6000) % 60
    names = ("positions_3d", "filled", "keypoints_2d", "confidence", "trajectory")
    long = dataclasses.replace(people[0], **{name: getattr(people[0], name)[index] for name in names})
    with pytest.raises(InputError, match=r"clip\.gif: a GIF has at most 400 frames, this one would have 2000"):
        animate_motion([long], tmp_path / "clip.gif")
    with pytest.raises(InputError, match=r"clip\.avi"):
        animate_motion(people, tmp_path / "clip.avi")
    for options in ({"first": 60}, {"first": -1}, {"first": 9, "last": 8}, {"last": 60}, {"every": 0}):
        with pytest.raises(ValueError, match=r"expected frames of 0\.\.59"):
            animate_motion(people, tmp_path / "clip.gif", **options)
    with pytest.raises(ValueError, match="expected people and frames"):
        animate_motion([], tmp_path / "clip.gif")
    assert not list(tmp_path.iterdir())
