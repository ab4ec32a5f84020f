import numpy as np
import pytest
from harness import seed_weights

from mpm_keras.inference.facts import network_facts
from mpm_keras.inference.pose_lifter import PoseLifter
from mpm_keras.inference.smoothing import OneEuro
from mpm_keras.inference.streaming import StreamingLifter
from mpm_keras.models import MPMLifter, save_preset

FRAMES = 9


@pytest.fixture(scope="module")
def lifter(tmp_path_factory):
    folder = tmp_path_factory.mktemp("preset")
    network = MPMLifter(
        frames=FRAMES, layers=1, width=8, encoder_width=12, heads=2, feed_forward=8, normalization="window"
    )  # fmt: skip
    seed_weights(network, scale=0.1)
    save_preset(network, folder, skeleton="h36m17", stride=2, fps=50.0, detector="noisy", confidence_threshold=0.3)
    return PoseLifter(network, network_facts(folder, network))


def keypoints(frames=30):
    rng, time = np.random.default_rng(0), np.linspace(0, 3, frames)[:, None, None]
    return rng.uniform(250, 500, (1, 17, 2)) + 30 * np.sin(time + rng.uniform(0, 6, (1, 17, 2)))


def stream(lifter, **options):
    return StreamingLifter(lifter, image_size=(1280, 720), **{"fps": 25.0, **options})


def test_a_pose_depends_on_no_later_frame(lifter):
    points = keypoints()
    whole, part = stream(lifter), stream(lifter)
    expected = [whole.push(p) for p in points]
    changed = points.copy()
    changed[20:] += 100
    found = [part.push(p) for p in changed]
    np.testing.assert_array_equal(found[:20], expected[:20])
    assert np.abs(found[20] - expected[20]).max() > 1e-4


def test_a_delayed_stream_gives_what_the_whole_clip_gives(lifter):
    """One window whose centre is asked for: as the blended sequence of a clip of one window."""
    points = keypoints(FRAMES)
    streaming = stream(lifter, delay=FRAMES // 2)
    for p in points:
        pose = streaming.push(p)
    clip = lifter.lift(points, image_size=(1280, 720), fps=25.0, mode="sequence").positions_3d
    assert np.abs(pose - clip[FRAMES // 2]).max() < 0.05 * np.abs(clip).max()


def test_times_count_not_frames(lifter):
    """Twice as many frames a second of the same motion end in nearly the same pose."""
    slow, fast = stream(lifter), stream(lifter, fps=50.0)
    for p in keypoints(31):
        at_25 = slow.push(p)
    for p in keypoints(61):
        at_50 = fast.push(p)
    np.testing.assert_allclose(at_25, at_50, atol=0.01 * np.abs(at_25).max())
    assert len(fast.frames) <= 2 * FRAMES + 1


def test_gaps_and_beginnings(lifter):
    streaming = stream(lifter)
    np.testing.assert_array_equal(streaming.push(np.full((17, 2), np.nan)), 0)
    pose = streaming.push(keypoints()[0], np.full(17, 0.9))
    assert np.isfinite(pose).all() and np.abs(pose).max() > 0 and not pose[0].any()
    lost = streaming.push(np.full((17, 2), np.nan))
    assert np.isfinite(lost).all()
    streaming.reset()
    np.testing.assert_allclose(streaming.push(keypoints()[0]), stream(lifter).push(keypoints()[0]))


def test_smoothing_steadies(lifter):
    rng = np.random.default_rng(1)
    noisy = keypoints(1)[0] + rng.normal(scale=3, size=(40, 17, 2))
    raw = np.stack([s.push(p) for s in [stream(lifter)] for p in noisy])
    smooth = np.stack([s.push(p) for s in [stream(lifter, smooth=OneEuro(1.0, 0.1))] for p in noisy])
    assert np.abs(np.diff(smooth[10:], axis=0)).mean() < 0.6 * np.abs(np.diff(raw[10:], axis=0)).mean()


def test_bad_input(lifter):
    with pytest.raises(ValueError, match="delay must be in 0..8"):
        stream(lifter, delay=9)
    streaming = stream(lifter)
    streaming.push(keypoints()[0], time=1.0)
    with pytest.raises(ValueError, match="times must go forward, found 0.5 after 1.0"):
        streaming.push(keypoints()[0], time=0.5)
    with pytest.raises(ValueError, match="expected keypoints"):
        streaming.push(np.zeros((5, 2)))
