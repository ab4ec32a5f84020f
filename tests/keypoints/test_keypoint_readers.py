"""Every layout, written here by hand: the same people come out of each."""

import json

import numpy as np
import pytest
from detector_files import (
    SIZE,
    WRITERS,
    detectron2,
    labels,
    mediapipe_json,
    mmpose,
    mmpose_demo,
    mmpose_instances,
    openpose,
    openpose_frame,
    people,
    ultralytics_frame,
    videopose3d,
)  # fmt: skip

from mpm_keras.errors import InputError
from mpm_keras.keypoints.readers import read_keypoints
from mpm_keras.skeletons import BODY_25, COCO_17, H36M_17, HALPE_26, MEDIAPIPE_33

pytestmark = pytest.mark.numpy_only
ONE_PERSON = ("mediapipe csv", "mediapipe json", "table")


def expected(video, alone=False):
    rows = [(i, p) for i, frame in enumerate(video) for p in (frame[:1] if alone else frame)]
    return np.array([i for i, _ in rows]), np.stack([p for _, p in rows])


@pytest.mark.parametrize("name", WRITERS)
def test_every_layout_gives_the_same_people(name, tmp_path):
    write, joints, file = WRITERS[name]
    video = people(joints=joints)
    write(tmp_path / file, video)
    found = read_keypoints(tmp_path / file, image_size=SIZE)
    frame, values = expected(video, name in ONE_PERSON)
    assert found.layout == name.split()[0].replace("labels", "ultralytics")
    assert found.skeleton.num_joints == joints
    np.testing.assert_array_equal(found.frame, frame)
    np.testing.assert_allclose(found.points, values[..., :2], atol=2e-3)
    np.testing.assert_allclose(found.scores, values[..., 2], atol=1e-4)
    assert found.num_frames == len(video) and found.image_size == SIZE
    assert found.points.dtype == found.scores.dtype == np.float32 and found.frame.dtype == np.int64
    ids = [1, 2] if name in ("alphapose", "ultralytics", "labels") else [-1]
    assert sorted(set(found.track_ids.tolist())) == ids
    assert found.fps == (25.0 if name.startswith("mediapipe") else None)


def test_size_and_rate_of_the_file_and_of_the_caller(tmp_path):
    file = tmp_path / "a.npz"
    detectron2(file, people())
    assert read_keypoints(file).image_size == SIZE
    found = read_keypoints(file, image_size=(1280, 960), fps=24)
    assert found.image_size == (1280, 960) and found.fps == 24.0
    mediapipe_json(tmp_path / "a.json", people(joints=33), size=None)
    with pytest.raises(InputError, match="image size"):
        read_keypoints(tmp_path / "a.json")
    for bad in ({"image_size": (0, 3)}, {"image_size": (1.5, 2)}, {"fps": 0}, {"fps": float("nan")}, {"fps": "x"}):
        with pytest.raises(InputError, match="a.npz: expected"):
            read_keypoints(file, **bad)


def test_whole_body_joints_begin_with_the_body(tmp_path):
    for joints, skeleton in ((133, COCO_17), (26, HALPE_26), (136, HALPE_26)):
        video = people(joints=joints)
        mmpose(tmp_path / "a.json", video)
        found = read_keypoints(tmp_path / "a.json")
        assert found.skeleton is skeleton
        np.testing.assert_allclose(found.points, expected(video)[1][:, : skeleton.num_joints, :2], atol=1e-3)


def test_mmpose_joints_go_by_their_names(tmp_path):
    order = np.random.default_rng(0).permutation(17)
    video = people()
    mmpose_demo(tmp_path / "a.json", [[p[order] for p in f] for f in video], [COCO_17.joints[i] for i in order])
    np.testing.assert_allclose(read_keypoints(tmp_path / "a.json").points, expected(video)[1][..., :2], atol=1e-3)
    mmpose_demo(tmp_path / "a.json", video, [f"joint{i}" for i in range(17)])
    with pytest.raises(InputError, match="lacks nose"):
        read_keypoints(tmp_path / "a.json")


def test_openpose_coco_order_and_single_file(tmp_path):
    # doc/02_output.md, POSE_COCO: nose, neck, right arm, left arm, right leg, left leg, eyes, ears.
    names = [
        "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow",
        "left_wrist", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee",
        "left_ankle", "right_eye", "left_eye", "right_ear", "left_ear",
    ]  # fmt: skip
    person = np.stack([np.arange(1, 19), np.arange(1, 19) * 10, np.full(18, 0.5)], axis=1).astype(float)
    (tmp_path / "a.json").write_text(openpose_frame([person]))
    found = read_keypoints(tmp_path / "a.json")
    assert found.skeleton is COCO_17 and found.layout == "openpose" and found.num_frames == 1
    np.testing.assert_array_equal(found.points[0, :, 0], [names.index(joint) + 1 for joint in COCO_17.joints])


def test_not_found_is_nan_and_no_score(tmp_path):
    video = people(joints=25)
    video[1][0][3] = 0.0  # OpenPose's not found
    video[2][1][4] = [50.0, 60.0, 0.0]
    video[4][0][:] = 0.0  # nobody
    openpose(tmp_path / "o", video)
    found = read_keypoints(tmp_path / "o")
    assert found.skeleton is BODY_25
    assert np.isnan(found.points[0, 3]).all() and found.scores[0, 3] == 0
    assert np.isnan(found.points[3, 4]).all() and found.scores[3, 4] == 0
    assert np.isnan(found.points).sum() == 4 and len(found.frame) == 7
    mmpose(tmp_path / "a.json", [[np.full((17, 3), np.nan)], *people()])
    assert len(read_keypoints(tmp_path / "a.json").frame) == 8


def test_openpose_folder_starts_where_its_names_say(tmp_path):
    video = people(joints=25)
    openpose(tmp_path / "o", video)
    for i in (0, 3):
        (tmp_path / "o" / f"clip_{i:012d}_keypoints.json").unlink()
    np.testing.assert_array_equal(read_keypoints(tmp_path / "o").frame, expected(video)[0])
    images = tmp_path / "images"
    images.mkdir()
    for i, frame in enumerate(video):
        (images / f"img_{i + 500:04d}_keypoints.json").write_text(openpose_frame(frame))
    np.testing.assert_array_equal(read_keypoints(images).frame, expected(video)[0])
    (images / "other_0001_keypoints.json").write_text(openpose_frame(video[1]))
    with pytest.raises(InputError, match="2: img_, other_"):
        read_keypoints(images)


def test_mmpose_counts_from_one_where_the_list_does(tmp_path):
    frames = [{"frame_id": i + 1, "instances": mmpose_instances(f)} for i, f in enumerate(people())]
    (tmp_path / "a.json").write_text(json.dumps(frames))
    found = read_keypoints(tmp_path / "a.json")
    assert found.frame[0] == 1 and found.num_frames == 6
    (tmp_path / "b.json").write_text(json.dumps(mmpose_instances(people()[1])))
    assert read_keypoints(tmp_path / "b.json").num_frames == 1


@pytest.mark.parametrize("form", ["lines", "texts", "flat", "wrapped", "shares"])
def test_ultralytics_in_the_ways_people_save_it(form, tmp_path):
    video = people()
    frames = [ultralytics_frame(f, scale=SIZE if form == "shares" else (1, 1)) for f in video]
    text = {
        "lines": "\n".join(json.dumps(f) for f in frames),
        "texts": json.dumps([json.dumps(f) for f in frames]),
        "flat": json.dumps([{"frame": i, **p} for i, f in enumerate(frames) for p in f]),
        "wrapped": json.dumps([{"frame": i, "results": f} for i, f in enumerate(frames)]),
        "shares": json.dumps(frames),
    }[form]
    (tmp_path / "a.json").write_text(text)
    found = read_keypoints(tmp_path / "a.json", image_size=SIZE)
    np.testing.assert_array_equal(found.frame, expected(video)[0])
    np.testing.assert_allclose(found.points, expected(video)[1][..., :2], atol=1e-3)
    assert set(found.track_ids.tolist()) == {1, 2}


def test_label_lines_of_every_length(tmp_path):
    for i, (ids, conf, visible) in enumerate([(a, b, c) for a in (None, (1, 7)) for b in (0, 1) for c in (0, 1)]):
        labels(tmp_path / str(i), people(), ids, conf, visible)
        found = read_keypoints(tmp_path / str(i), image_size=SIZE)
        assert len(found.frame) == 8
        assert set(found.track_ids.tolist()) == (set(ids) if ids else {-1})


def test_plain_arrays(tmp_path):
    video = np.stack([people()[1][0] + [i, 0, 0] for i in range(40)])
    for name, array in {
        "f": video, "xy": video[..., :2], "pf": video[None], "fp": np.stack([video, video + 9], axis=1),
        "pf2": np.stack([video, video + 9]),
    }.items():  # fmt: skip
        np.save(tmp_path / f"{name}.npy", array)
        found = read_keypoints(tmp_path / f"{name}.npy")
        first = found.points[:: 2 if name in ("fp", "pf2") else 1]
        assert found.num_frames == 40 and found.layout == "array" and found.skeleton is COCO_17
        np.testing.assert_allclose(first, video[..., :2], rtol=1e-6)
    np.savez(tmp_path / "a.npz", keypoints=video[..., :2], scores=video[..., 2], fps=50.0, image_size=np.array(SIZE))
    found = read_keypoints(tmp_path / "a.npz")
    assert found.fps == 50 and found.image_size == SIZE
    np.testing.assert_allclose(found.scores, video[..., 2], rtol=1e-6)
    np.savetxt(tmp_path / "a.csv", video.reshape(40, -1), delimiter=",")
    np.testing.assert_allclose(read_keypoints(tmp_path / "a.csv").points, video[..., :2], rtol=1e-6)
    (tmp_path / "a.json").write_text(json.dumps(video.tolist()))
    np.testing.assert_allclose(read_keypoints(tmp_path / "a.json").points, video[..., :2], rtol=1e-6)


def test_plain_arrays_of_other_joints(tmp_path):
    for joints, skeleton in ((25, BODY_25), (26, HALPE_26), (33, MEDIAPIPE_33)):
        np.save(tmp_path / "a.npy", np.full((9, joints, 2), 5.0))
        assert read_keypoints(tmp_path / "a.npy").skeleton is skeleton
    landmarks = np.full((9, 33, 4), [0.25, 0.5, -0.1, 0.75])
    np.save(tmp_path / "a.npy", landmarks)
    np.savetxt(tmp_path / "a.csv", landmarks.reshape(9, -1), delimiter=",")
    for file in ("a.npy", "a.csv"):
        found = read_keypoints(tmp_path / file, image_size=SIZE)
        assert (found.points == [160, 240]).all() and (found.scores == 0.75).all()
    np.save(tmp_path / "a.npy", np.full((9, 17, 2), 5.0))
    assert read_keypoints(tmp_path / "a.npy", layout="h36m17").skeleton is H36M_17
    with pytest.raises(InputError, match="25 joints"):
        read_keypoints(tmp_path / "a.npy", layout="body25")
    with pytest.raises(InputError, match="of layout mmpose, found array"):
        read_keypoints(tmp_path / "a.npy", layout="mmpose")
    with pytest.raises(InputError, match="unknown layout"):
        read_keypoints(tmp_path / "a.npy", layout="kinect")


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((9, 16, 2)), np.zeros((9, 17, 4)), np.zeros((5, 6, 17, 2)), np.zeros((0, 17, 2)), np.zeros(3),
        np.zeros((0, 4, 17, 2)), np.array("text"), np.full((9, 17, 2), np.nan), np.full((9, 17, 2), 1j),
        np.random.default_rng(0).uniform(-1, 1, (9, 17, 2)), np.random.default_rng(0).normal(0, 99, (9, 17, 3)),
    ],
    ids=lambda array: f"{array.shape}{array.dtype}",
)  # fmt: skip
def test_arrays_that_are_no_keypoints(array, tmp_path):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(InputError, match=r"a\.npy: .*expected"):
        read_keypoints(tmp_path / "a.npy", image_size=SIZE)


def test_videopose3d_videos_go_by_name(tmp_path):
    one, two = np.full((7, 17, 2), 20.0), np.full((9, 17, 2), 30.0)
    videopose3d(tmp_path / "a.npz", {"a.mp4": one, "b.mp4": two})
    found = read_keypoints(tmp_path / "a.npz", video="b.mp4")
    assert found.layout == "videopose3d" and found.num_frames == 9 and found.image_size == SIZE
    with pytest.raises(InputError, match=r"one of: a\.mp4, b\.mp4"):
        read_keypoints(tmp_path / "a.npz")
    with pytest.raises(InputError, match=r"'c'; expected one of: a\.mp4, b\.mp4"):
        read_keypoints(tmp_path / "a.npz", video="c")
    videopose3d(tmp_path / "h.npz", {"a.mp4": one}, layout="h36m")
    assert read_keypoints(tmp_path / "h.npz").skeleton is H36M_17


def test_wide_table_of_numbered_landmarks(tmp_path):
    header = ",".join(f"x{i},y{i},z{i},v{i}" for i in range(1, 34))
    row = ",".join(f"{i / 100},{i / 50},0.1,0.9" for i in range(1, 34))
    (tmp_path / "a.csv").write_text(f"class,{header}\nwalk,{row}\nwalk,{row}\n")
    found = read_keypoints(tmp_path / "a.csv", image_size=SIZE)
    assert found.skeleton is MEDIAPIPE_33 and found.num_frames == 2
    np.testing.assert_allclose(found.points[0, 9], [10 / 100 * 640, 10 / 50 * 480], rtol=1e-5)
    np.testing.assert_allclose(found.scores, 0.9, rtol=1e-6)


def test_lists_of_landmarks_and_of_people(tmp_path):
    video = people(joints=33)
    frames = [
        [{"x": x / 640, "y": y / 480, "z": 0, "visibility": s} for x, y, s in f[0].tolist()] if f else None
        for f in video
    ]
    (tmp_path / "a.json").write_text(json.dumps(frames))
    found = read_keypoints(tmp_path / "a.json", image_size=SIZE)
    assert found.layout == "mediapipe" and found.num_frames == 6
    np.testing.assert_allclose(found.points, expected(video, alone=True)[1][..., :2], atol=1e-3)
    video = people()
    (tmp_path / "b.json").write_text(json.dumps([[p.tolist() for p in frame] for frame in video]))
    found = read_keypoints(tmp_path / "b.json")
    assert found.layout == "array"
    np.testing.assert_array_equal(found.frame, expected(video)[0])
    np.testing.assert_allclose(found.points, expected(video)[1][..., :2], atol=1e-3)


def test_frames_of_numbered_images(tmp_path):
    people_of = [{"image_id": name, "keypoints": people()[1][0].ravel().tolist()} for name in
                 ("walk_0009.png", "walk_0007.png", "out/walk_0012.png")]  # fmt: skip
    (tmp_path / "a.json").write_text(json.dumps(people_of))
    found = read_keypoints(tmp_path / "a.json")
    assert found.frame.tolist() == [0, 2, 5] and any("number 7" in note for note in found.notes)


def test_a_wrong_image_size_is_noted(tmp_path):
    mmpose(tmp_path / "a.json", people())
    assert not read_keypoints(tmp_path / "a.json", image_size=SIZE).notes
    (note,) = read_keypoints(tmp_path / "a.json", image_size=(200, 150)).notes
    assert "outside a picture of 200 x 150" in note


def test_openpose_layout_with_other_joints_than_its_own(tmp_path):
    for joints, skeleton in ((17, COCO_17), (26, HALPE_26)):  # Pose2Sim and Sports2D write so
        folder = tmp_path / str(joints)
        folder.mkdir()
        for i, frame in enumerate(people(joints=joints)):
            (folder / f"cam01_{i:06d}.json").write_text(openpose_frame(frame))
        found = read_keypoints(folder)
        assert found.skeleton is skeleton and found.num_frames == 6 and found.frame[0] == 1


def test_one_id_for_two_people_is_no_id(tmp_path):
    frames = [ultralytics_frame(f, ids=(4, 4)) for f in people()]
    (tmp_path / "a.json").write_text(json.dumps(frames))
    found = read_keypoints(tmp_path / "a.json")
    assert set(found.track_ids.tolist()) == {-1}
    assert "4 frames give one id to several people" in found.notes[0]


def instance(**other):
    return {"keypoints": [[1.0, 2.0]] * 17, "keypoint_scores": [0.5] * 17, **other}


BAD_JSON = {
    "negative frame": ([{"frame_id": -3, "instances": [instance()]}], "expected frame numbers from 0"),
    "huge frame": ([{"frame_id": 10**12, "instances": [instance()]}], "expected frame numbers from 0"),
    "huge id": ([{"frame_id": 10**40, "instances": [instance()]}], "expected frame numbers from 0"),
    "half frame": ([{"frame_id": 0.5, "instances": [instance()]}], "a whole number as a frame number"),
    "frame twice": ([{"frame_id": 4, "instances": [instance()]}] * 2, "found frame 4 twice"),
    "mixed joints": (
        [{"frame_id": i, "instances": [{"keypoints": [[1, 2]] * n}]} for i, n in enumerate((17, 26))],
        r"as many joints for everybody, found \(17, 3\) in frame 0, \(26, 3\) in frame 1",
    ),
    "20 joints": ([{"frame_id": 0, "instances": [{"keypoints": [[1, 2]] * 20}]}], "found 20"),
    "short scores": ([{"frame_id": 0, "instances": [instance(keypoint_scores=[1.0])]}], "as many scores"),
    "text as keypoints": ([{"frame_id": 0, "instances": [{"keypoints": "no"}]}], r"expected keypoints \(K, 2\)"),
    "no keypoints": ([{"frame_id": 0, "instances": [{}]}], "instances with keypoints"),
    "nobody": ([{"frame_id": 0, "instances": []}], "expected people, found none"),
    "empty": ([], "an empty list"),
    "other object": ({"a": 1}, "MMPose, AlphaPose, OpenPose, MediaPipe or Ultralytics"),
    "uneven triples": ([{"image_id": "1.jpg", "keypoints": [1.0, 2.0]}], "x, y, score"),
    "list in list": ([[[1, 2], [3]]], "found a list"),
}


@pytest.mark.parametrize("case", BAD_JSON)
def test_bad_json_ends_in_one_line(case, tmp_path):
    value, message = BAD_JSON[case]
    (tmp_path / "bad.json").write_text(json.dumps(value))
    with pytest.raises(InputError, match=message) as error:
        read_keypoints(tmp_path / "bad.json")
    assert str(error.value).startswith(str(tmp_path / "bad.json")) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text", ["", "{", "[" * 100_000, "hello", "a,b\n1,2\n", "x,y,\n", "1,2\n3\n", "\0\0", "[1e999]"]
)
def test_nonsense_files(text, tmp_path):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(InputError, match=r"a\.csv"):
        read_keypoints(tmp_path / "a.csv")


def test_missing_empty_and_enormous(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="no such file"):
        read_keypoints(tmp_path / "none.json")
    with pytest.raises(InputError, match="no keypoints in the folder"):
        read_keypoints(tmp_path)
    with open(tmp_path / "a.json", "wb") as file:
        file.truncate(1 << 40)  # a sparse file
    with pytest.raises(InputError, match="MB are too much"):
        read_keypoints(tmp_path / "a.json")
