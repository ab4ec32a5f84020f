"""Human3.6M in VideoPose3D's layout and as released."""

import os

import numpy as np
import pytest
from fuzzing import fuzz
from human36m_files import RECORDINGS, all_positions, detections, positions, save_2d, save_3d, save_cdf

from mpm_keras import geometry
from mpm_keras.data import human36m_cameras as human36m_cameras_module
from mpm_keras.data.cdf import read_cdf
from mpm_keras.data.human36m import ACTIONS, KEPT_JOINTS, action_of, read, read_positions
from mpm_keras.data.human36m_cameras import CAMERAS, SUBJECTS, human36m_cameras
from mpm_keras.errors import InputError
from mpm_keras.skeletons import H36M_16, H36M_17

pytestmark = pytest.mark.numpy_only

CASES = int(os.environ.get("FUZZ_CASES", "2000"))


def videopose3d_projection(poses, camera):
    """(frames, J, 3) world -> pixels by the formulas of VideoPose3D's camera.py, written out anew."""
    seen = (poses - camera.position) @ camera.rotation.T
    k1, k2, p1, p2, k3 = camera.distortion
    width = camera.image_size[0]
    focal, centre = camera.focal / width * 2, camera.center / width * 2 - [1, camera.image_size[1] / width]
    xx = np.clip(seen[..., :2] / seen[..., 2:], -1, 1)
    r2 = (xx**2).sum(-1, keepdims=True)
    radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    tangential = (np.array([p1, p2]) * xx).sum(-1, keepdims=True)
    xxx = xx * (radial + tangential) + np.array([p1, p2]) * r2
    screen = focal * xxx + centre
    return (screen + [1, camera.image_size[1] / width]) * width / 2


def test_cameras_are_those_published():
    assert CAMERAS == ("54138969", "55011271", "58860488", "60457274")
    assert SUBJECTS == ("S1", "S5", "S6", "S7", "S8", "S9", "S11")
    for subject in SUBJECTS:
        cameras = human36m_cameras(subject)
        assert [c.image_size for c in cameras.values()] == [(1000, 1002), (1000, 1000), (1000, 1000), (1000, 1002)]
        for camera in cameras.values():
            # They stand around the room at head height and look at its middle.
            assert 3.5 < np.linalg.norm(camera.position[:2]) < 6 and 1.4 < camera.position[2] < 1.7
            looks = camera.rotation[2]
            assert looks @ -(camera.position * [1, 1, 0]) / np.linalg.norm(camera.position[:2]) > 0.9
            assert camera.rotation[1][2] < -0.9  # down in the picture is down in the world
    first = human36m_cameras("S1")["54138969"]
    np.testing.assert_allclose(first.position, [1.8411070556640625, 4.95528466796875, 1.5634454345703125])
    # k1, k2, p1, p2, k3
    np.testing.assert_array_equal(
        first.distortion,
        [
            -0.20709891617298126,
            0.24777518212795258,
            -0.0009756988729350269,
            -0.00142447161488235,
            -0.0030751503072679043,
        ],
    )
    with pytest.raises(ValueError, match="'S2'"):
        human36m_cameras("S2")


def test_no_digit_of_the_cameras_is_lost():
    """They were released as float32 and are printed in full: a wrong digit is no float32."""

    def numbers(value):
        values = value.values() if isinstance(value, dict) else value
        return [n for v in values for n in numbers(v)] if isinstance(values, (tuple, type({}.values()))) else [value]

    found = numbers(human36m_cameras_module._INTRINSICS) + numbers(human36m_cameras_module._EXTRINSICS)
    assert len(found) == 4 * 11 + 7 * 4 * 7
    assert [n for n in found if float(np.float32(n)) != n] == []
    for cameras in human36m_cameras_module._EXTRINSICS.values():
        np.testing.assert_allclose([np.linalg.norm(orientation) for orientation, _ in cameras], 1, atol=3e-7)


def test_3d_alone_is_projected_as_videopose3d_does(tmp_path):
    table = all_positions()
    views = read(save_3d(tmp_path / "data_3d_h36m.npz", table))
    recordings = [(s, r) for s, rs in RECORDINGS.items() for r in rs if (s, r) != ("S11", "Directions")]
    assert views.names == tuple(f"h36m/{s}/{r}@{c}" for s, r in recordings for c in CAMERAS)
    assert views.subjects == tuple(s for s, _ in recordings for _ in CAMERAS)
    assert views.actions == tuple(action_of(r) for _, r in recordings for _ in CAMERAS)
    assert set(views.actions) <= set(ACTIONS) and len(ACTIONS) == 15
    assert views.dataset == "h36m" and (views.fps == 50).all() and views.skeleton is H36M_17
    assert views.image_size[:4].tolist() == [[1000, 1002], [1000, 1000], [1000, 1000], [1000, 1002]]
    for number, (subject, name) in enumerate(recordings):
        poses = table[subject][name][:, KEPT_JOINTS].astype(np.float64)
        for k, camera in enumerate(human36m_cameras(subject).values()):
            view = views.view(4 * number + k)
            pixels = videopose3d_projection(poses, camera)
            w, h = camera.image_size
            np.testing.assert_allclose(view.pose_2d, pixels / w * 2 - [1, h / w], atol=2e-6)
            seen = geometry.world_to_camera(poses, camera)
            np.testing.assert_allclose(view.pose_3d, seen - seen[:, :1], atol=1e-6)
            np.testing.assert_allclose(view.root_3d, seen[:, 0], atol=1e-6)
            np.testing.assert_allclose(view.camera(0).focal, camera.focal, rtol=1e-6)


def test_kept_joints_are_those_of_the_17():
    """Parents among the 32, followed up to a kept joint, are those of the 17; shoulders move up to the thorax."""
    parents = (-1, 0, 1, 2, 3, 4, 0, 6, 7, 8, 9, 0, 11, 12, 13, 14, 12, 16, 17, 18, 19, 20, 19, 22, 12, 24, 25, 26)
    found = []
    for joint in KEPT_JOINTS:
        parent = parents[joint]
        while parent >= 0 and parent not in KEPT_JOINTS:
            parent = parents[parent]
        found.append(KEPT_JOINTS.index(parent) if parent >= 0 else -1)
    for shoulder in ("LShoulder", "RShoulder"):
        assert found[H36M_17.index(shoulder)] == H36M_17.index("Spine")
        found[H36M_17.index(shoulder)] = H36M_17.index("Thorax")
    assert tuple(found) == H36M_17.parents
    assert KEPT_JOINTS[H36M_17.index("LShoulder")] == 17 and KEPT_JOINTS[H36M_17.index("RShoulder")] == 25


def test_detections_are_trimmed_to_the_3d_poses(tmp_path):
    table = all_positions()
    found = detections(table, extra=9)
    found["S2"] = {"Walking": [np.zeros((5, 17, 2), np.float32)] * 4}  # nobody's 3D poses are known
    found["S9"]["Extra"] = [np.zeros((5, 17, 2), np.float32)] * 4
    paths = [
        save_3d(tmp_path / "data_3d_h36m.npz", table),
        save_2d(tmp_path / "data_2d_h36m_cpn_ft_h36m_dbb.npz", found),
    ]
    views = read(paths)
    assert views.lengths.tolist() == read(paths[0]).lengths.tolist() and views.confidence is None
    pixels = geometry.denormalize_screen(views.view(1).pose_2d, 1000, 1000)
    np.testing.assert_allclose(pixels, found["S1"]["Directions"][1][:7], atol=1e-3)
    np.testing.assert_array_equal(views.pose_3d, read(paths[0]).pose_3d)
    assert "S2" not in views.subjects


def test_scores_become_confidence(tmp_path):
    table = all_positions()
    found = detections(table, channels=3)
    views = read([save_3d(tmp_path / "data_3d_h36m.npz", table), save_2d(tmp_path / "data_2d_h36m_hrnet.npz", found)])
    np.testing.assert_array_equal(views.view(0).confidence, found["S1"]["Directions"][0][..., 2])


def test_2d_alone_makes_views_of_everyone(tmp_path):
    found = {"S2": {"Walking 1": [np.full((5, 17, 2), 500, np.float32)] * 4}}
    views = read(save_2d(tmp_path / "data_2d_h36m_cpn_ft_h36m_dbb.npz", found))
    assert views.pose_3d is None and views.subjects == ("S2",) * 4 and views.actions == ("Walking",) * 4
    np.testing.assert_allclose(views.pose_2d[0, 0], [0, 1000 / 1000 - 1.002], atol=1e-6)


def test_stacked_hourglass_is_read_in_mpii_order(tmp_path):
    """Each joint's x is its number in MPII's order: right ankle first, left wrist last."""
    points = np.zeros((5, 16, 2), np.float32)
    points[..., 0] = np.arange(16)
    path = save_2d(tmp_path / "data_2d_h36m_sh_pt_mpii.npz", {"S1": {"Walking": [points] * 4}})
    views = read(path)
    assert views.skeleton is H36M_16
    number = {joint: round(x) for joint, x in zip(H36M_16.joints, (views.pose_2d[0, :, 0] + 1) * 500, strict=True)}
    assert number == {
        "Hip": 6, "RHip": 2, "RKnee": 1, "RFoot": 0, "LHip": 3, "LKnee": 4, "LFoot": 5, "Spine": 7, "Thorax": 8,
        "Head": 9, "LShoulder": 13, "LElbow": 14, "LWrist": 15, "RShoulder": 12, "RElbow": 11, "RWrist": 10,
    }  # fmt: skip
    table = {"S1": {"Walking": positions(4)}}
    both = read([save_3d(tmp_path / "data_3d_h36m.npz", table), path])
    assert both.pose_3d.shape == (16, 16, 3) and not both.pose_3d[:, 0].any()


@pytest.mark.parametrize("by_name", [False, True])
def test_coco_joints_are_derived(tmp_path, by_name):
    points = np.random.default_rng(2).uniform(100, 900, (3, 17, 2)).astype(np.float32)
    path = tmp_path / ("data_2d_h36m_detectron_pt_coco.npz" if by_name else "data_2d_h36m_mine.npz")
    table = {"S1": {"Walking": [points] * 4}}
    if by_name:
        np.savez(path, positions_2d=table)
    else:
        save_2d(path, table, symmetry=([1, 3, 5, 7, 9, 11, 13, 15], [2, 4, 6, 8, 10, 12, 14, 16]))
    pixels = geometry.denormalize_screen(read(path).view(1).pose_2d, 1000, 1000)
    index = H36M_17.index
    np.testing.assert_allclose(pixels[:, index("Hip")], points[:, 11:13].mean(1), rtol=1e-4)
    np.testing.assert_allclose(pixels[:, index("LWrist")], points[:, 9], rtol=1e-4)
    np.testing.assert_allclose(pixels[:, index("RFoot")], points[:, 16], rtol=1e-4)


def test_subjects_can_be_chosen(tmp_path):
    path = save_3d(tmp_path / "data_3d_h36m.npz")
    assert set(read(path, subjects=("S9", "S11")).subjects) == {"S9", "S11"}
    with pytest.raises(InputError, match=r"no subject 'S99'; found S1, S5"):
        read(path, subjects=("S99",))


def test_cdf_files_give_the_same_arrays(tmp_path):
    table = all_positions()
    for subject, recordings in table.items():
        for name, poses in recordings.items():
            name = name.replace("Photo", "TakingPhoto").replace("WalkDog", "WalkingDog")
            save_cdf(tmp_path / "h36m" / subject / "MyPoseFeatures" / "D3_Positions" / f"{name}.cdf", poses)
    found = read_positions(tmp_path / "h36m")
    expected = read_positions(save_3d(tmp_path / "data_3d_h36m.npz", table))
    assert {s: set(r) for s, r in found.items()} == {s: set(r) for s, r in expected.items()}
    for subject, recordings in expected.items():
        for name, poses in recordings.items():
            np.testing.assert_allclose(found[subject][name], poses, atol=1e-6)
    assert set(read(tmp_path / "h36m").names) == set(read(tmp_path / "data_3d_h36m.npz").names)


@pytest.mark.parametrize(
    "options",
    [{}, {"compressed": 6}, {"whole": 6}, {"majority": "row_major"}, {"data_type": 45}, {"varies": False}],
    ids=str,
)
def test_cdf_files_of_every_kind(tmp_path, options):
    poses = positions(30)
    found = read_cdf(save_cdf(tmp_path / "Walking.cdf", poses, **options), "Pose")
    assert found.shape[-2:] == (30, 96) and found.dtype == (np.float64 if "data_type" in options else np.float32)
    np.testing.assert_array_equal(found.reshape(-1, 32, 3), poses * np.float32(1000))
    with pytest.raises(InputError, match=r"Walking\.cdf: expected one variable 'Other' in it, found 0"):
        read_cdf(tmp_path / "Walking.cdf", "Other")


def test_a_cdf_file_that_claims_too_much_is_refused(tmp_path):
    path = save_cdf(tmp_path / "Walking.cdf", positions(30))
    whole = path.read_bytes()
    at = whole.index(b"Pose") + 256 + 4  # the first size, after the name and the number of dimensions
    assert int.from_bytes(whole[at : at + 4], "big") == 30
    for frames, message in (
        (29, "11520 bytes of values where there should be 11136"),
        (2**30, "claims 412316860416 bytes"),
    ):
        path.write_bytes(whole[:at] + frames.to_bytes(4, "big") + whole[at + 4 :])
        with pytest.raises(InputError, match=message):
            read_cdf(path, "Pose")


def nan(table):
    table["S1"]["Walking 1"][2, 3, 1] = np.nan


BROKEN_3D = {
    "positions_3d' is missing": lambda t: {"positions_2d": t},
    "a dictionary of subjects": lambda t: {"positions_3d": {"S1": [1]}},
    "a dictionary of subjects, each": lambda t: {"positions_3d": np.zeros(3)},
    r"S1 Walking: expected 3D poses of shape \(frames, 32, 3\), found float32 \(5, 31, 3\)": lambda t: {
        "positions_3d": {"S1": {"Walking": positions(5)[:, :31]}}
    },
    "S1 Walking: expected 3D poses .*found list": lambda t: {"positions_3d": {"S1": {"Walking": [1, 2]}}},
    "expected metres, found coordinates up to": lambda t: {"positions_3d": {"S1": {"Walking": positions(5) * 1000}}},
    "S1 Walking 1: expected at least one 3D pose and no NaN": lambda t: {"positions_3d": nan(t) or t},
    "no cameras of subject 'S3' are published": lambda t: {"positions_3d": {"S3": t["S1"]}},
    "is behind camera 54138969": lambda t: {"positions_3d": {"S1": {"Walking": positions(5) + np.float32(9)}}},
    "holds no recording": lambda t: {"positions_3d": {"S11": {"Directions": positions(5)}}},
    "names of subjects and recordings, found 1": lambda t: {"positions_3d": {1: t["S1"]}},
}


@pytest.mark.parametrize("message", BROKEN_3D)
def test_other_3d_files_are_refused_in_one_line(tmp_path, message):
    path = tmp_path / "data_3d_h36m.npz"
    np.savez(path, **BROKEN_3D[message](all_positions()))
    with pytest.raises(InputError, match=message) as caught:
        read(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def change(found, value):
    found["S9"]["Directions 1"] = value
    return found


BROKEN_2D = {
    "S9 Directions 1: 2 2D poses are fewer than the 3 3D poses": lambda f: change(
        f, [p[:2] for p in f["S9"]["Directions 1"]]
    ),
    "a list of the 2D poses of 4 cameras": lambda f: change(f, f["S9"]["Directions 1"][:3]),
    r"expected 2D poses of shape \(frames, joints, 2\), found list": lambda f: change(f, [[1]] * 4),
    r"found \(3, 17\)": lambda f: change(f, [p[..., 0] for p in f["S9"]["Directions 1"]]),
    "of the same joints everywhere": lambda f: change(f, [p[:, :16] for p in f["S9"]["Directions 1"]]),
    "S9 Directions 1: the 2D poses of this recording are missing": lambda f: f["S9"].pop("Directions 1") and f,
    "no NaN or infinity": lambda f: change(f, [p * np.nan for p in f["S9"]["Directions 1"]]),
}


@pytest.mark.parametrize("message", BROKEN_2D)
def test_other_2d_files_are_refused_in_one_line(tmp_path, message):
    table = all_positions()
    found = BROKEN_2D[message](detections(table))
    paths = [save_3d(tmp_path / "data_3d_h36m.npz", table), save_2d(tmp_path / "data_2d_h36m_gt.npz", found)]
    with pytest.raises(InputError, match=message) as caught:
        read(paths)
    assert str(paths[1]) in str(caught.value) and "\n" not in str(caught.value)


def test_paths_that_make_no_sense(tmp_path):
    path = save_3d(tmp_path / "data_3d_h36m.npz")
    for paths in ([], [path, path]):
        with pytest.raises(InputError, match=r"expected data_3d_h36m\.npz or a folder"):
            read(paths)
    with pytest.raises(InputError, match=r"D3_Positions/\*\.cdf in it, found none"):
        read(tmp_path)


def test_damaged_archives_end_in_one_line(tmp_path):
    table = {"S1": {"Walking": positions(40)}}
    path = tmp_path / "data_3d_h36m.npz"
    np.savez(path, positions_3d=table)
    assert fuzz(read, path, CASES) > CASES / 2


def test_damaged_detections_end_in_one_line(tmp_path):
    table = {"S1": {"Walking": positions(40)}}
    path = save_2d(tmp_path / "data_2d_h36m_gt.npz", detections(table))
    assert fuzz(read, path, CASES, seed=1) > CASES / 2


def test_damaged_cdf_files_end_in_one_line(tmp_path):
    path = save_cdf(tmp_path / "Walking.cdf", positions(30))
    assert fuzz(lambda p: read_cdf(p, "Pose"), path, CASES, seed=2) > CASES / 10
