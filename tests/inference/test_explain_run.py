"""The window that is explained is the one that the lifter sees."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from harness import seed_weights, to_numpy

from mpm_keras.errors import InputError
from mpm_keras.inference.explain_run import UNIT, checked_joint, explain, strongest, window_of
from mpm_keras.inference.pose_lifter import PoseLifter
from mpm_keras.models import MPMLifter, save_preset
from mpm_keras.skeletons import H36M_17

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="attribution maps run on TensorFlow alone"
)
RNG = np.random.default_rng(0)
SIZE = (640, 480)
CONFIG = dict(
    layout="h36m17", image_size="640x480", fps=30.0, video=None, person="main", joint="RWrist", frame=None, samples=2,
    coordinate="all", method="smoothgrad", noise=0.02, seed=0, mend=False, config=None,
)  # fmt: skip


def make_preset(folder, detector):
    network = MPMLifter(
        frames=9, joints=17, layers=1, width=8, encoder_width=12, heads=2, feed_forward=8, normalization="window"
    )
    seed_weights(network, scale=0.2)
    save_preset(network, folder, skeleton="h36m17", stride=2, fps=50.0, detector=detector)
    return folder


def walk(frames):
    """(F, 17, 2) pixels of somebody who drifts to the right."""
    body = RNG.uniform(-90, 90, (17, 2))
    drift = np.linspace([200, 220], [420, 240], frames)[:, None]
    return (body + drift + RNG.normal(0, 2, (frames, 17, 2))).astype("float32")


@pytest.mark.parametrize("detector", ["none", "noisy"])
@pytest.mark.parametrize("frame", [0, 7, 19])
def test_the_window_is_what_the_lifter_sees(detector, frame, tmp_path):
    lifter = PoseLifter.from_preset(make_preset(tmp_path, detector))
    points = walk(20)
    scores = np.where(RNG.random((20, 17)) < 0.2, 0.0, 1.0)
    track = SimpleNamespace(points=points, scores=scores, skeleton=H36M_17)
    detections = SimpleNamespace(image_size=SIZE, fps=lifter.rate)
    window = window_of(lifter, track, detections, frame)
    assert window.frames[4] == frame and window.seconds[4] == 0 and window.seconds[5] == pytest.approx(1 / 25)
    np.testing.assert_array_equal(window.hidden[4], scores[frame] == 0)
    batch = {"pose_2d": window.pose_2d[None], "hidden": window.hidden[None]}
    center = to_numpy(lifter.network(batch, training=False)["center"])[0, 0]
    lifted = lifter.lift(
        points, scores, skeleton="h36m17", image_size=SIZE, fps=lifter.rate, mode="center", flip=False, fit=False,
        fill_seconds=0.0,
    )  # fmt: skip
    found = np.linalg.norm(center - center[0], axis=-1)  # a followed camera is turned, lengths are not
    np.testing.assert_allclose(found, np.linalg.norm(lifted.positions_3d[frame], axis=-1), atol=1e-4)
    step = lifter.framed(points + np.float32([1, 0]), scores > 0, SIZE, np.array([640, 640, 320, 240]))[0]
    assert window.unit_per_pixel == pytest.approx(1 / 640 if detector == "noisy" else 2 / 640)
    if detector == "none":
        before = lifter.framed(points, scores > 0, SIZE, np.array([640, 640, 320, 240]))[0]
        np.testing.assert_allclose((step - before)[scores > 0, 0], window.unit_per_pixel, atol=1e-6)


def test_the_strongest_are_named_with_their_frames():
    values = np.zeros((9, 17))
    values[2, 16], values[8, 3] = 2.0, 5.0
    found = strongest(values, H36M_17, np.arange(9) * 1.2, most=2)
    assert found == [
        {"joint": "RFoot", "frame": 9.6, "mm_per_pixel": 5.0},
        {"joint": "RWrist", "frame": 2.4, "mm_per_pixel": 2.0},
    ]


def test_wrong_joints_are_named():
    with pytest.raises(InputError, match="--joint: skeleton 'h36m17' has no joint 'Tail'; it has Hip"):
        checked_joint("Tail", H36M_17)
    with pytest.raises(InputError, match="--joint: Hip is the root"):
        checked_joint("Hip", H36M_17)


def test_a_file_is_explained(tmp_path):
    preset = make_preset(tmp_path / "preset", "noisy")
    np.save(tmp_path / "points.npy", walk(30))
    config = {**CONFIG, "preset": str(preset), "out": str(tmp_path / "out")}
    facts = explain(tmp_path / "points.npy", config)
    assert facts["frame"] == 15 and facts["samples"] == 2 and facts["unit"] == UNIT
    with np.load(tmp_path / "out" / "attribution.npz", allow_pickle=False) as archive:
        found = {name: archive[name] for name in archive.files}
    assert found["map"].shape == (9, 17) and found["gradients"].shape == (3, 9, 17, 2)
    norms = np.sqrt(np.square(found["gradients"]).sum(axis=(0, 3)))
    np.testing.assert_allclose(found["map"], norms * 1000 * facts["unit_per_pixel"], rtol=1e-5)
    assert found["map"].max() == pytest.approx(facts["strongest"][0]["mm_per_pixel"])
    assert found["joints"][16] == "RWrist" and found["frames"][4] == pytest.approx(15, abs=0.6)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "attribution.json", "attribution.npz", "attribution.png"
    ]  # fmt: skip
    only = explain(tmp_path / "points.npy", {**config, "coordinate": "z", "method": "saliency"})
    assert only["samples"] == 0 and only["coordinates"] == ["z"]
    with pytest.raises(InputError, match=r"--frame: .*points\.npy has the frames 0 to 29, found 30"):
        explain(tmp_path / "points.npy", {**config, "frame": 30})
    with pytest.raises(InputError, match="give --fps=30"):
        explain(tmp_path / "points.npy", {**config, "fps": None})
