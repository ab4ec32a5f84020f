"""Tracks: people who cross, come, go, and whom the detector exchanges."""

import dataclasses
import time

import numpy as np
import pytest

from mpm_keras.keypoints.detections import Detections
from mpm_keras.keypoints.readers import read_keypoints
from mpm_keras.keypoints.tracking import find_tracks, main_track
from mpm_keras.skeletons import COCO_17

pytestmark = pytest.mark.numpy_only

# A person of height 1 who stands: x, y of COCO's joints about the middle.
FIGURE = np.array(
    [[0, -.45], [.02, -.47], [-.02, -.47], [.04, -.45], [-.04, -.45], [.11, -.32], [-.11, -.32], [.15, -.15],
     [-.15, -.15], [.16, 0], [-.16, 0], [.08, 0], [-.08, 0], [.08, .25], [-.08, .25], [.08, .5], [-.08, .5]]
)  # fmt: skip


def detections(paths, *, height=200.0, ids=None, fps=30.0, seed=0, frames=None):
    """People on paths [{frame: (x, y)}], in an order that is another in every frame."""
    rng = np.random.default_rng(seed)
    found = [(f, p, xy) for p, path in enumerate(paths) for f, xy in path.items()]
    found = [found[i] for i in rng.permutation(len(found))]
    found.sort(key=lambda row: row[0])
    points = np.stack([FIGURE * height + xy + rng.normal(0, 1.0, (17, 2)) for _, _, xy in found]).astype(np.float32)
    people = np.array([p for _, p, _ in found])
    frame = np.array([f for f, _, _ in found], np.int64)
    return Detections(
        skeleton=COCO_17,
        num_frames=frames or int(frame[-1]) + 1,
        frame=frame,
        points=points,
        scores=np.full(points.shape[:2], 0.9, np.float32),
        track_ids=np.full(len(frame), -1, np.int64) if ids is None else ids(frame, people),
        image_size=(1280, 720),
        fps=fps,
        layout="array",
    ), people


def walk(start, speed, frames, y=360.0):
    return {f: (start + speed * f, y) for f in frames}


def frames_of(track):
    return np.flatnonzero((track.scores > 0).any(axis=1))


def middle(track):
    return np.nanmean(track.points, axis=1)


def test_people_who_cross_stay_themselves():
    right, left = walk(200, 6, range(120)), walk(1000, -6, range(120), y=390.0)
    tracks = find_tracks(detections([right, left])[0])
    assert [t.name for t in tracks] == ["person1", "person2"]
    for track in tracks:
        assert len(frames_of(track)) == 120
        steps = np.diff(middle(track)[:, 0])
        assert np.abs(np.abs(steps) - 6).max() < 2 and len(set(np.sign(steps))) == 1


@pytest.mark.parametrize("speed, hidden", [(3, 8), (3, 20), (6, 12), (10, 8)])
def test_who_is_hidden_while_they_cross_comes_back(speed, hidden):
    half = 450 // speed
    meeting = range(half - hidden // 2, half + hidden // 2)
    near = walk(200, speed, range(2 * half))
    far = walk(1100, -speed, [f for f in range(2 * half) if f not in meeting], y=380.0)
    tracks = find_tracks(detections([near, far])[0])
    assert sorted(len(frames_of(t)) for t in tracks) == sorted([len(near), len(far)])
    for track in tracks:
        at = np.median(track.points[frames_of(track)][..., 0], axis=1)
        assert len(set(np.sign(np.diff(at[::5])))) == 1


def test_an_id_for_every_frame_takes_no_longer():
    path = walk(200, 0.1, range(3000))
    found, _ = detections([path], ids=lambda frame, people: frame)
    start = time.process_time()
    assert len(find_tracks(found)) == 1
    assert time.process_time() - start < 10  # some 0.5 s


def test_people_come_and_go():
    one, late = walk(200, 2, range(60)), walk(900, 0, range(30, 90))
    later = walk(200, 2, range(200, 260))  # after more than a second: a new person
    tracks = find_tracks(detections([one, late, later], frames=300)[0])
    assert [(frames_of(t)[0], frames_of(t)[-1]) for t in tracks] == [(0, 59), (30, 89), (200, 259)]
    assert all(t.points.shape == (300, 17, 2) and np.isnan(t.points[t.scores == 0]).all() for t in tracks)
    assert not any(t.exchanged.any() for t in tracks)


def test_a_second_out_of_sight_is_no_new_person():
    path = walk(200, 4, [f for f in range(120) if not 50 <= f < 75])
    assert len(find_tracks(detections([path])[0])) == 1


def test_ids_hold_over_long_gaps():
    path = walk(200, 4, [f for f in range(220) if not 50 <= f < 150])
    found, _ = detections([path], ids=lambda frame, people: people + 7)
    assert len(find_tracks(found)) == 1
    assert len(find_tracks(detections([path])[0])) == 2


def test_exchanged_ids_of_people_far_apart_are_survived_and_noted():
    one, two = walk(200, 1, range(90)), walk(900, -1, range(90))
    found, _ = detections([one, two], ids=lambda f, p: np.where((f >= 30) & (f < 60), 1 - p, p) + 1)
    tracks = find_tracks(found)
    assert len(tracks) == 2
    for track, sign in zip(sorted(tracks, key=lambda t: middle(t)[0, 0]), (1, -1), strict=True):
        assert np.abs(np.diff(middle(track)[:, 0]) - sign).max() < 2
        assert any("id changes" in note and "at frame 30" in note for note in track.notes)


def test_an_id_that_leaps_to_another_person_is_another_track():
    one, two = walk(100, 0, range(40)), walk(1100, 0, range(40, 90))
    found, _ = detections([one, two], ids=lambda f, p: np.ones_like(p))
    assert len(find_tracks(found)) == 2


def test_a_new_id_for_the_same_person_is_the_same_track():
    found, _ = detections([walk(100, 3, range(90))], ids=lambda f, p: np.where(f < 45, 1, 2))
    (track,) = find_tracks(found)
    assert len(frames_of(track)) == 90 and "from 1 to 2 at frame 45" in track.notes[-1]


def test_moments_and_doubles_are_left_out():
    steady, flash = walk(200, 2, range(90)), walk(1000, 0, range(40, 42))
    tracks = find_tracks(detections([steady, flash])[0])
    assert len(tracks) == 1 and "1 people seen for a moment only" in tracks[0].notes[0]
    double = {f: (x + 2.0, y) for f, (x, y) in steady.items()}
    tracks = find_tracks(detections([steady, double])[0])
    assert len(tracks) == 1 and "90 people found twice" in tracks[0].notes[0]


def test_one_frame_and_one_joint():
    found, _ = detections([{0: (100, 300)}])
    assert len(find_tracks(found)) == 1
    points, scores = np.full_like(found.points, np.nan), np.zeros_like(found.scores)
    points[0, 3], scores[0, 3] = 50.0, 0.5
    (track,) = find_tracks(dataclasses.replace(found, points=points, scores=scores, image_size=None))
    assert main_track([track]) is track


def test_main_track_is_large_and_long_in_view():
    near, far = walk(300, 0, range(60)), walk(900, 0, range(60))
    found, people = detections([near, far])
    points = found.points.copy()
    points[people == 1] = (points[people == 1] - [900, 360]) * 0.3 + [900, 360]
    tracks = find_tracks(dataclasses.replace(found, points=points))
    assert abs(middle(main_track(tracks))[0, 0] - 300) < 10
    with pytest.raises(ValueError, match="at least one track"):
        main_track([])


@pytest.mark.parametrize("fps", [10.0, 240.0])
def test_any_frame_rate(fps):
    frames = round(4 * fps)
    one = walk(200, 180 / fps, range(frames))
    two = walk(1000, -180 / fps, range(frames), y=400.0)
    tracks = find_tracks(detections([one, two], fps=fps)[0])
    assert [len(frames_of(t)) for t in tracks] == [frames, frames]


def test_ten_thousand_frames_of_two_people_in_seconds():
    one, two = walk(100, 0.1, range(10_000)), walk(1200, -0.1, range(10_000), y=500.0)
    found, _ = detections([one, two])
    start = time.process_time()
    assert len(find_tracks(found)) == 2
    assert time.process_time() - start < 30  # some 2 s


@pytest.mark.shared
@pytest.mark.parametrize("file", ["mmpose/demo.json", "alphapose", "openpose", "detectron2"])
def test_the_man_and_the_woman(shared_data, file):
    tracks = find_tracks(read_keypoints(shared_data / "keypoints" / "sports2d_demo" / file))
    man = {*range(10, 169), 189, 192, *range(194, 199), *range(201, 227)}
    assert [set(frames_of(t).tolist()) for t in tracks] == [man, set(range(76, 199))]
    assert main_track(tracks) is tracks[0]


@pytest.mark.shared
def test_a_detector_that_changes_the_person_makes_new_tracks(shared_data):
    file = shared_data / "keypoints" / "sports2d_demo" / "mediapipe" / "demo_landmarks.json"
    tracks = find_tracks(read_keypoints(file))
    assert [(frames_of(t)[0], frames_of(t)[-1]) for t in tracks] == [(3, 168), (170, 200), (202, 226)]
