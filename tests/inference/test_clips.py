"""Whole clips through a lifter: every length, both modes against slow loops, flips, masks, memory."""

import tracemalloc

import keras
import numpy as np
import pytest
from harness import seed_weights

from mpm_keras.geometry import flip_pose
from mpm_keras.inference import clips, unfinished
from mpm_keras.inference.clips import complete_clip, lift_clip
from mpm_keras.models.lifter import MPMLifter
from mpm_keras.models.pretrainer import MPMPretrainer
from mpm_keras.skeletons import H36M_16, H36M_17

FRAMES = 9


@pytest.fixture(scope="module")
def network():
    lifter = MPMLifter(frames=FRAMES, joints=17, layers=1, width=8, encoder_width=8, heads=2, feed_forward=8)
    seed_weights(lifter)
    return lifter


def make_clip(length, seed=0):
    return np.random.default_rng(seed).normal(scale=0.3, size=(length, 17, 2)).astype(np.float32)


def from_root(pose):
    return pose - pose[:, :1]


def raw(network, rows, pose, **more):
    """The network's outputs for one window of frames, in the plainest way."""
    batch = {"pose_2d": pose[rows][None], **{k: v[rows][None] for k, v in more.items()}}
    outputs = network(keras.tree.map_structure(keras.ops.convert_to_tensor, batch), training=False)
    return {k: keras.ops.convert_to_numpy(v)[0] for k, v in outputs.items()}


def slow_center(network, pose, stride):
    found = []
    for centre in range(len(pose)):
        rows = [centre + (i - FRAMES // 2) * stride for i in range(FRAMES)]
        rows = [min(max(row, 0), len(pose) - 1) for row in rows]
        found.append(raw(network, rows, pose)["center"][0])
    return from_root(np.array(found))


def slow_sequence(network, pose, stride, hop):
    """Each phase of the stride as a clip of its own, its windows blended with a triangle."""
    found = np.zeros((len(pose), 17, 3))
    triangle = [min(i + 1, FRAMES - i) for i in range(FRAMES)]
    for phase in range(min(stride, len(pose))):
        rows = list(range(phase, len(pose), stride))
        last = max(len(rows) - FRAMES, 0)
        total, weight = np.zeros((len(rows), 17, 3)), np.zeros(len(rows))
        for start in sorted({*range(0, last, hop), last}):
            window = [min(start + i, len(rows) - 1) for i in range(FRAMES)]
            predicted = raw(network, [rows[w] for w in window], pose)["sequence"]
            for i, w in enumerate(window):
                total[w] += triangle[i] * predicted[i]
                weight[w] += triangle[i]
        found[rows] = total / weight[:, None, None]
    return from_root(found)


@pytest.mark.parametrize(("length", "stride"), [(1, 1), (2, 3), (10, 1), (23, 2)])
def test_modes_equal_slow_loops(network, length, stride):
    pose = make_clip(length)
    options = {"stride": stride, "flip": False, "batch_size": 8}
    center = lift_clip(network, pose, H36M_17, mode="center", **options)
    np.testing.assert_allclose(center, slow_center(network, pose, stride), atol=2e-5)
    sequence = lift_clip(network, pose, H36M_17, mode="sequence", **options)
    np.testing.assert_allclose(sequence, slow_sequence(network, pose, stride, hop=4), atol=2e-5)
    assert center.dtype == sequence.dtype == np.float32 and not center[:, 0].any()


@pytest.mark.parametrize("mode", clips.MODES)
def test_step_lifts_every_so_many_frames(network, mode):
    pose = make_clip(14)
    whole = lift_clip(network, pose, H36M_17, mode=mode, stride=2)
    np.testing.assert_allclose(lift_clip(network, pose, H36M_17, mode=mode, stride=2, step=4), whole[::4], atol=1e-5)


class Echo:
    """Returns each input pose, with 0 as its depth; counts windows and notes the sizes of batches."""

    def __init__(self, frames=FRAMES):
        self.frames, self.joints, self.sizes = frames, 17, []

    def get_weights(self):
        return []

    def predict_on_batch(self, batch):
        pose = np.concatenate([batch["pose_2d"], 0 * batch["pose_2d"][..., :1]], axis=-1)
        self.sizes.append(len(pose))
        return {"sequence": pose, "center": pose[:, self.frames // 2 :][:, :1]}


@pytest.mark.parametrize("mode", clips.MODES)
@pytest.mark.parametrize("length", [1, 2, 8, 9, 10, 40, 101])
@pytest.mark.parametrize("stride", [1, 2, 5])
@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.95])
@pytest.mark.numpy_only
def test_every_frame_comes_back_in_its_place(mode, length, stride, overlap):
    pose = make_clip(length)
    found = lift_clip(Echo(), pose, H36M_17, mode=mode, stride=stride, overlap=overlap)
    np.testing.assert_allclose(found[..., :2], from_root(pose), atol=1e-5)


@pytest.mark.numpy_only
def test_windows_lie_within_their_phase():
    windows = clips.SequenceWindows(31, FRAMES, 3, 0.5)
    rows = windows.rows(0, windows.count)
    assert (rows % 3 == rows[:, :1] % 3).all() and set(rows.ravel()) == set(range(31))
    assert (np.diff(rows, axis=1) == 3).all()  # no repeated frame in a clip that holds a window


@pytest.mark.numpy_only
def test_sequence_mode_runs_far_fewer_windows_in_few_sizes():
    sizes = {}
    for mode in clips.MODES:
        echo = Echo(27)
        lift_clip(echo, make_clip(1000), H36M_17, mode=mode, flip=False, batch_size=64)
        sizes[mode] = echo.sizes
    assert sum(sizes["center"]) >= 1000 and sum(sizes["sequence"]) <= 80 + 64
    assert {size for found in sizes.values() for size in found} <= {64, 16, 4, 1}
    echo = Echo()
    lift_clip(echo, make_clip(3), H36M_17, flip=False, batch_size=64)
    assert echo.sizes == [4]  # not 64


@pytest.mark.parametrize("mode", clips.MODES)
def test_flip_averaging_equals_doing_it_by_hand(network, mode):
    pose = make_clip(12)
    hidden = np.random.default_rng(1).uniform(size=(12, 17)) < 0.2
    options = {"mode": mode, "stride": 2}
    straight = lift_clip(network, pose, H36M_17, hidden=hidden, flip=False, **options)
    mirrored = lift_clip(
        network, flip_pose(pose, H36M_17), H36M_17, hidden=hidden[:, H36M_17.flip_order], flip=False, **options
    )
    expected = (straight + flip_pose(mirrored, H36M_17)) / 2
    assert np.abs(straight - expected).max() > 1e-3
    found = lift_clip(network, pose, H36M_17, hidden=hidden, flip=True, **options)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("mode", clips.MODES)
def test_hidden_joints_are_not_looked_at(network, mode):
    pose, hidden = make_clip(20), np.zeros((20, 17), bool)
    hidden[3:9, 11:14], hidden[12] = True, True
    found = lift_clip(network, pose, H36M_17, hidden=hidden, mode=mode)
    unknown = np.where(hidden[..., None], np.nan, pose)
    np.testing.assert_array_equal(lift_clip(network, unknown, H36M_17, hidden=hidden, mode=mode), found)
    assert np.abs(found - lift_clip(network, pose, H36M_17, mode=mode)).max() > 1e-3


def test_options_change_nothing_but_speed(network):
    pose = make_clip(50)
    found = lift_clip(network, pose, H36M_17, batch_size=64)
    np.testing.assert_allclose(lift_clip(network, pose, H36M_17, batch_size=3), found, atol=1e-5)
    np.testing.assert_allclose(lift_clip(network, pose.astype(np.float64), H36M_17), found, atol=1e-5)


@pytest.mark.numpy_only
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pose_2d": np.zeros((0, 17, 2))}, r"shape \(frames, 17, 2\), found \(0, 17, 2\)"),
        ({"pose_2d": np.zeros((5, 16, 2))}, r"found \(5, 16, 2\)"),
        ({"pose_2d": np.zeros((5, 17, 3))}, r"found \(5, 17, 3\)"),
        ({"pose_2d": np.where(np.arange(5) < 3, 0, np.nan)[:, None, None] * np.ones((5, 17, 2))}, "2 .*first frame 3"),
        ({"hidden": np.zeros((4, 17), bool)}, r"mask of shape \(5, 17\), found \(4, 17\)"),
        ({"mode": "middle"}, "unknown mode 'middle'; known: center, sequence"),
        ({"stride": 0}, "stride must be positive, found 0"),
        ({"step": 0}, "step must be positive, found 0"),
        ({"batch_size": 0}, "batch_size must be positive, found 0"),
        ({"mode": "sequence", "overlap": 1.0}, "overlap must be at least 0 and below 1, found 1.0"),
        ({"mode": "sequence", "overlap": -0.5}, "overlap must be"),
        ({"pose_2d": np.zeros((5, 16, 2)), "skeleton": H36M_16}, "network has 17 joints, skeleton h36m16 16"),
    ],
)
def test_wrong_input_is_named(change, message):
    arguments = {"pose_2d": np.zeros((5, 17, 2)), "skeleton": H36M_17, **change}
    with pytest.raises(ValueError, match=message):
        lift_clip(Echo(), **arguments)


@pytest.mark.parametrize("length", [1, 10, 100_000])
def test_clips_of_any_length_lift(network, length):
    found = lift_clip(network, make_clip(length), H36M_17, mode="sequence", batch_size=1024, flip=length < 100)
    assert found.shape == (length, 17, 3) and np.isfinite(found).all()


def peak_bytes(length, mode):
    """Largest memory that lifting takes beyond its input, as Python and NumPy see it."""
    pose, echo = make_clip(length), Echo()
    echo.sizes = type("Sink", (), {"append": lambda self, _: None})()
    tracemalloc.start()
    try:
        lift_clip(echo, pose, H36M_17, mode=mode, batch_size=256)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.numpy_only
@pytest.mark.parametrize("mode", clips.MODES)
def test_memory_grows_with_the_output_only(mode):
    output = 17 * 3 * 4  # bytes a frame
    small, large = peak_bytes(20_000, mode), peak_bytes(100_000, mode)
    assert (large - small) / 80_000 < 2.5 * output  # the blended poses and their root-relative copy
    assert large < 2.5 * output * 100_000 + 20e6


def test_completion_keeps_what_was_observed():
    network = MPMPretrainer(
        frames=FRAMES, joints=17, hidden_frames=0, layers=1, width=8, encoder_width=8, heads=2, feed_forward=8
    )
    seed_weights(network)
    rng = np.random.default_rng(2)
    pose, hidden = rng.normal(size=(25, 17, 3)).astype(np.float32), np.zeros((25, 17), bool)
    hidden[:, 11:14] = True
    unknown = np.where(hidden[..., None], np.nan, pose).astype(np.float32)
    found = complete_clip(network, unknown, hidden, H36M_17, stride=2)
    np.testing.assert_array_equal(found[~hidden], pose[~hidden])
    assert np.isfinite(found).all()
    with pytest.raises(ValueError, match="stride must be positive"):
        complete_clip(network, pose, hidden, H36M_17, stride=0)


class Crash(Exception):
    """Stands for the end of the process."""


def crash_after(batches):
    """A progress that ends the process after so many batches."""
    calls = []

    def progress(done, windows):
        calls.append((done, windows))
        if len(calls) == batches:
            raise Crash

    return progress


@pytest.mark.parametrize("mode", clips.MODES)
@pytest.mark.numpy_only
def test_a_clip_that_was_cut_short_goes_on(mode, monkeypatch, tmp_path):
    monkeypatch.setattr(unfinished.Unfinished, "save", saves_at_once)
    pose, file, calls = make_clip(200), tmp_path / "out" / ".person1.unfinished.npz", []
    options = {"mode": mode, "stride": 2, "batch_size": 8, "flip": False}
    straight = lift_clip(Echo(), pose, H36M_17, progress=lambda *c: calls.append(c), **options)
    windows = calls[-1][1]
    assert [done for done, _ in calls] == [*range(8, windows, 8), windows]
    with pytest.raises(Crash):
        lift_clip(Echo(), pose, H36M_17, progress=crash_after(2), unfinished=file, **options)
    assert file.exists()
    rest = Echo()
    np.testing.assert_array_equal(lift_clip(rest, pose, H36M_17, unfinished=file, **options), straight)
    assert sum(rest.sizes) < windows - 16 + 8 and not file.exists()


def saves_at_once(self, start, total, weight, save=unfinished.Unfinished.save):
    self.seconds = -1.0
    save(self, start, total, weight)


@pytest.mark.numpy_only
@pytest.mark.parametrize("other", ["clip", "options", "damaged"])
def test_what_is_unfinished_of_other_work_is_not_used(other, monkeypatch, tmp_path):
    monkeypatch.setattr(unfinished.Unfinished, "save", saves_at_once)
    pose, file = make_clip(100), tmp_path / "unfinished.npz"
    with pytest.raises(Crash):
        first = make_clip(100, seed=1) if other == "clip" else pose
        lift_clip(Echo(), first, H36M_17, batch_size=8, step=1 + (other == "options"), unfinished=file,
                  progress=crash_after(2))  # fmt: skip
    if other == "damaged":
        file.write_bytes(file.read_bytes()[:-100])
    found = lift_clip(Echo(), pose, H36M_17, batch_size=8, unfinished=file)
    np.testing.assert_array_equal(found, lift_clip(Echo(), pose, H36M_17, batch_size=8))


@pytest.mark.numpy_only
def test_short_work_leaves_no_file(tmp_path):
    lift_clip(Echo(), make_clip(50), H36M_17, batch_size=8, unfinished=tmp_path / "new" / "unfinished.npz")
    assert not (tmp_path / "new").exists()
