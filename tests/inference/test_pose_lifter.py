import numpy as np
import pytest
from harness import seed_weights

from mpm_keras import InputError, PoseLifter, save_preset
from mpm_keras.data.cameras import film
from mpm_keras.data.synthetic import synthetic_motion
from mpm_keras.models import MPMLifter, MPMPretrainer
from mpm_keras.skeletons import COCO_17, H36M_17, from_detector

SMALL = dict(frames=9, layers=1, width=8, encoder_width=12, heads=2, feed_forward=8)
FACTS = dict(skeleton="h36m17", stride=2, fps=50.0, detector="noisy", confidence_threshold=0.3)
PICTURE = dict(image_size=(1280, 720), fps=30.0)


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("preset")
    network = MPMLifter(**SMALL, normalization="window")
    seed_weights(network, scale=0.1)
    save_preset(network, folder, **FACTS)
    completer = MPMPretrainer(**SMALL)
    seed_weights(completer, seed=1, scale=0.1)
    save_preset(completer, folder / "completion", **FACTS)
    return folder


@pytest.fixture(scope="module")
def lifter(preset):
    return PoseLifter.from_preset(preset)


def keypoints(frames=40):
    """(F, 17, 2) pixels of somebody who moves smoothly."""
    rng = np.random.default_rng(0)
    time = np.linspace(0, 3, frames)[:, None, None]
    return rng.uniform(250, 500, (1, 17, 2)) + 20 * np.sin(time + rng.uniform(0, 6, (1, 17, 2))) + 40 * time


def test_a_row_per_frame_relative_to_the_root(lifter):
    points = keypoints()
    scores = np.full((40, 17), 0.9)
    scores[10:20, COCO_17.index("left_wrist")] = 0.1
    points[5] = np.nan
    found = lifter.lift(points, scores, **PICTURE)
    assert found.positions_3d.shape == (40, 17, 3) and found.positions_3d.dtype == np.float32
    assert np.isfinite(found.positions_3d).all() and not found.positions_3d[:, H36M_17.root].any()
    expected = np.zeros((40, 17), bool)
    expected[5], expected[10:20, H36M_17.index("LWrist")] = True, True
    np.testing.assert_array_equal(found.filled, expected)
    assert (found.fps, found.image_size) == (30.0, (1280, 720))
    assert not found.assumptions["intrinsics_known"]


def test_what_was_not_seen_is_not_looked_at(lifter):
    points, scores = keypoints(), np.full((40, 17), 0.9)
    scores[10:20, 9] = 0.1
    before = lifter.lift(points, scores, **PICTURE)
    points[10:20, 9] = -1e6
    np.testing.assert_allclose(lifter.lift(points, scores, **PICTURE).positions_3d, before.positions_3d, atol=1e-5)


@pytest.mark.parametrize("mode", ["sequence", "center"])
def test_resolution_does_not_matter(lifter, mode):
    points = keypoints()
    large = lifter.lift(2 * points, image_size=(2560, 1440), fps=30.0, mode=mode)
    small = lifter.lift(points, image_size=(1280, 720), fps=30.0, mode=mode)
    np.testing.assert_allclose(large.positions_3d, small.positions_3d, atol=1e-4)


def test_the_size_of_the_person_and_the_place_in_the_picture_matter_little(lifter):
    """Exactly equal only for a long lens: the rays part by second order terms."""
    points, options = keypoints(), dict(image_size=(1280, 720), fps=30.0, intrinsics=(1e5, 1e5, 640, 360))
    near, far = lifter.lift(points, **options), lifter.lift(points * 0.2 + [900, 40], **options)
    np.testing.assert_allclose(far.positions_3d, near.positions_3d, atol=5e-3)


def test_a_turned_camera_turns_the_result(lifter):
    rng = np.random.default_rng(1)
    body = rng.normal(scale=0.4, size=(1, 17, 3)) + [0, 0, 4] + 0.1 * np.sin(np.linspace(0, 3, 30))[:, None, None]
    angle = np.deg2rad(20)
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    options = dict(image_size=(1000, 1000), fps=25.0, intrinsics=(1000, 1000, 500, 500))

    def lifted(points):
        return lifter.lift(points[..., :2] / points[..., 2:] * 1000 + 500, **options).positions_3d

    straight, aside = lifted(body), lifted(body @ turn.T)
    error = np.abs(aside - straight @ turn.T).max()
    assert error < 0.05 * np.abs(straight).max()
    assert error < 0.2 * np.abs(aside - straight).max()


@pytest.mark.parametrize("frames", [1, 2, 10])
def test_short_clips(lifter, frames):
    assert lifter.lift(keypoints(40)[:frames], **PICTURE).positions_3d.shape == (frames, 17, 3)


def test_the_networks_own_joints_need_no_mapping(lifter):
    points = keypoints()
    pose, scores = from_detector(points, np.ones((40, 17)), COCO_17)
    found = lifter.lift(pose, scores, skeleton="h36m17", **PICTURE)
    np.testing.assert_allclose(found.positions_3d, lifter.lift(points, **PICTURE).positions_3d, atol=1e-5)
    three = np.concatenate([pose, scores[..., None]], axis=-1)
    again = lifter.lift(three, skeleton="h36m17", **PICTURE)
    np.testing.assert_array_equal(again.positions_3d, found.positions_3d)


def test_a_preset_of_the_papers_normalisation_lifts_too(tmp_path):
    views = film(synthetic_motion(clips=1, seconds=1.0, fps=50.0, seed=0), 1)
    network = MPMLifter(**SMALL)
    seed_weights(network, scale=0.1)
    save_preset(network, tmp_path, skeleton="h36m17", stride=2, fps=50.0)
    pixels = (views.pose_2d + [1, 1]) * 500
    found = PoseLifter.from_preset(tmp_path).lift(pixels, skeleton="h36m17", image_size=(1000, 1000), fps=50.0)
    assert found.positions_3d.shape == (50, 17, 3) and not found.assumptions["camera_follows_person"]


def test_completion_keeps_what_was_observed(lifter):
    poses = np.random.default_rng(2).normal(size=(30, 17, 3)).astype(np.float32)
    hidden = np.zeros((30, 17), bool)
    hidden[:, H36M_17.limb("left_arm")] = True
    found = lifter.complete(np.where(hidden[..., None], np.nan, poses), hidden, fps=60.0)
    np.testing.assert_array_equal(found[~hidden], poses[~hidden])
    assert np.isfinite(found).all()


def test_a_preset_is_copied_whole(lifter, tmp_path):
    lifter.save_to_preset(tmp_path / "copy")
    copy = PoseLifter.from_preset(tmp_path / "copy")
    points = keypoints()
    expected = lifter.lift(points, **PICTURE).positions_3d
    np.testing.assert_array_equal(copy.lift(points, **PICTURE).positions_3d, expected)
    assert copy.completer is not None
    with pytest.raises(ValueError, match="not an empty folder"):
        lifter.save_to_preset(tmp_path / "copy")


def test_bad_input(lifter):
    points = keypoints()
    for message, change in [
        ("expected keypoints .F, 17, 2 or 3. of coco17, found", dict(keypoints=points[:, :5])),
        ("unknown skeleton 'coco'", dict(skeleton="coco")),
        ("no joint is ever seen", dict(scores=np.zeros((40, 17)))),
        ("expected scores", dict(scores=np.ones(40))),
        ("fps in 1 to 1000", dict(fps=0)),
        ("expected image_size", dict(image_size=None)),
        ("image size must be positive", dict(image_size=(0, 5))),
        ("unknown mode 'best'", dict(mode="best")),
        ("intrinsics must be", dict(intrinsics=(1, 2, 3))),
        ("threshold must be in", dict(threshold=2)),
    ]:
        with pytest.raises(ValueError, match=message):
            lifter.lift(**{"keypoints": points, **PICTURE, **change})
    with pytest.raises(InputError, match="nobody: no such folder, and no preset of that name"):
        PoseLifter.from_preset("nobody")


def test_short_gaps_are_put_between_and_still_marked(lifter):
    rng, time = np.random.default_rng(4), np.arange(40)[:, None, None]
    points = rng.uniform(250, 500, (1, 17, 2)) + time * rng.uniform(-2, 2, (1, 17, 2))  # even motion
    scores = np.full((40, 17), 0.9)
    whole = lifter.lift(points, scores, fit=False, **PICTURE).positions_3d
    scores[10:20, COCO_17.index("left_wrist")], scores[25:30] = 0.0, 0.0
    found = lifter.lift(points, scores, fit=False, **PICTURE)
    np.testing.assert_allclose(found.positions_3d, whole, atol=1e-4)
    assert found.filled[10:20, H36M_17.index("LWrist")].all() and found.filled[25:30].all()
    left = lifter.lift(points, scores, fit=False, fill_seconds=0.1, **PICTURE)
    assert np.abs(left.positions_3d - whole).max() > 1e-3
    assert (found.assumptions["gaps_filled_seconds"], left.assumptions["gaps_filled_seconds"]) == (2.0, 0.1)


def test_poses_are_fitted_to_what_was_seen(lifter, monkeypatch):
    """A network that says a standing pose whatever it sees: fitted, it reaches for the keypoints."""
    pose = np.zeros((17, 3), np.float32)
    for joint, place in {"Knee": (0.1, 0.4), "Foot": (0.1, 0.8), "Shoulder": (0.18, -0.5), "Elbow": (0.25, -0.2),
                         "Wrist": (0.3, 0.05), "Hip": (0.09, 0.0)}.items():  # fmt: skip
        for side, sign in (("L", 1), ("R", -1)):
            pose[H36M_17.index(side + joint), :2] = sign * place[0], place[1]
    pose[[H36M_17.index(j) for j in ("Spine", "Thorax", "Neck/Nose", "Head")], 1] = -0.25, -0.5, -0.7, -0.8
    monkeypatch.setattr(lifter, "lifted", lambda pose_2d, hidden, **_: np.repeat(pose[None], len(pose_2d), axis=0))
    wrist = H36M_17.index("LWrist")
    raised = pose.copy()
    raised[wrist] = raised[H36M_17.index("LElbow")] + [0.0, -0.25, 0.0]
    placed = raised + [0, 0, 4.0]
    pixels = np.repeat((1280 * placed[None, :, :2] / placed[None, :, 2:] + [640, 360]), 20, axis=0)
    options = {"skeleton": "h36m17", **PICTURE}
    fitted, plain = lifter.lift(pixels, **options), lifter.lift(pixels, fit=False, **options)
    assert fitted.assumptions["fitted_to_keypoints"] and not plain.assumptions["fitted_to_keypoints"]
    away = [np.linalg.norm(found.positions_3d[:, wrist] - raised[wrist], axis=-1).max() for found in (plain, fitted)]
    assert away[1] < 0.6 * away[0]
