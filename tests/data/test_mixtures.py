"""Several archives at once: how often each is drawn, and the named mixtures."""

import dataclasses

import numpy as np
import pytest
from pose_views import make_views

from mpm_keras.data.mixtures import MIXTURES, weights_of
from mpm_keras.data.sources import SourceOptions, load_splits, make_batches
from mpm_keras.data.windows import WindowIndex
from mpm_keras.errors import InputError
from mpm_keras.skeletons import H36M_16

pytestmark = pytest.mark.numpy_only

OFFSETS = np.array([0, 10, 13], np.int64)


def centres(weights, step=1):
    index = WindowIndex(OFFSETS, 1, 1, step, np.array(weights, np.float32))
    rows = index.frame_indices(np.arange(index.num_windows))[:, 0]
    return rows[rows < 10].tolist(), (rows[rows >= 10] - 10).tolist()


def test_weights_thin_out_or_repeat_the_centres_evenly():
    assert centres([1, 1]) == (list(range(10)), [0, 1, 2])
    assert centres([0.5, 2]) == ([0, 2, 4, 6, 8], [0, 0, 1, 1, 2, 2])
    assert centres([0.3, 1.5]) == ([0, 3, 6], [0, 0, 1, 2, 2])
    assert centres([1, 3], step=3) == ([0, 3, 6, 9], [0, 1, 2])
    assert centres([0.001, 0.1]) == ([0], [0])


def test_weight_one_is_no_weight():
    index, plain = WindowIndex(OFFSETS, 5, 2, 3, np.ones(2, np.float32)), WindowIndex(OFFSETS, 5, 2, 3)
    np.testing.assert_array_equal(index.firsts, plain.firsts)
    numbers = np.arange(plain.num_windows)
    np.testing.assert_array_equal(index.frame_indices(numbers), plain.frame_indices(numbers))


def save(path, dataset, count=8, frames=40, **changes):
    views = make_views((frames,) * count, prefix=dataset, seed=len(dataset))
    dataclasses.replace(views, dataset=dataset, **changes).save(path)
    return path


@pytest.fixture
def archives(tmp_path):
    return [save(tmp_path / f"{name}.npz", name, subjects=SUBJECTS[name]) for name in SUBJECTS]


SUBJECTS = {
    "h36m": ("S1", "S5", "S6", "S7", "S8", "S9", "S11", "S11"),
    "3dhp": ("S1", "S2", "S3", "S4", "S5", "S6", "S8", "TS1"),
    "amass": tuple(f"p{i}" for i in range(8)),
}


def windows_per_source(batches):
    index = batches.index
    per_view = np.diff(index.firsts)
    names = batches.views.names
    return {d: int(sum(n for n, name in zip(per_view, names, strict=True) if name.startswith(d))) for d in SUBJECTS}


def test_weights_change_training_only(archives):
    plain, weighted = (load_splits(archives, SourceOptions(weights=weights)) for weights in ((), (2.0, 0.5, 1.0)))
    first, second = (windows_per_source(make_batches(s["train"], 9, 1, 4)) for s in (plain, weighted))
    assert first == {"h36m": 160, "3dhp": 240, "amass": 240}
    assert second == {"h36m": 320, "3dhp": 120, "amass": 240}
    validation = [windows_per_source(make_batches(s["validation"], 9, 1, 4)) for s in (plain, weighted)]
    assert validation[0] == validation[1] == {"h36m": 40, "3dhp": 40, "amass": 40}


@pytest.mark.parametrize(
    ("mixture", "expected"), [("small", (80, 60)), ("base", (160, 120)), ("large", (160, 240, 240))]
)
def test_named_mixtures_take_their_share_of_the_windows(archives, mixture, expected):
    splits = load_splits(archives[: len(expected)], SourceOptions(mixture=mixture))
    assert tuple(windows_per_source(make_batches(splits["train"], 9, 1, 4)).values())[: len(expected)] == expected


def test_shares_give_the_sums_of_table_e():
    """Training windows of the literature, counted in 2D and 3D and mirrored, in millions."""
    samples = {"h36m": 4 * 1.559752, "3dhp": 4 * 1.052736}
    sums = [sum(share * samples[d] for d, share in MIXTURES[m].items()) for m in ("small", "base")]
    np.testing.assert_allclose(sums, [4.17, 8.34], atol=0.006)


def test_an_epoch_draws_every_window_once_in_any_order(archives):
    splits = load_splits(archives[:2], SourceOptions(mixture="base", skeleton="h36m16"))
    batches = make_batches(splits["train"], 9, 1, 8, seed=3)
    assert batches.views.skeleton is H36M_16 and batches.views.pose_3d.shape[1:] == (16, 3)
    drawn = np.concatenate([batches.windows(1, step) for step in range(batches.num_steps)])
    np.testing.assert_array_equal(np.sort(drawn), np.arange(280))
    again = make_batches(splits["train"], 9, 1, 8, seed=3).batch(1, 5)
    for key, values in batches.batch(1, 5).items():
        np.testing.assert_array_equal(values, again[key])


def test_archives_of_17_and_16_joints_share_16(tmp_path):
    full, fewer = tmp_path / "a.npz", tmp_path / "b.npz"
    make_views((30,) * 4, "a").save(full)
    make_views((30,) * 4, "b").to_skeleton(H36M_16).save(fewer)
    splits = load_splits([full, fewer], SourceOptions(skeleton="h36m16"))
    batch = make_batches(splits["train"], 9, 1, 8).batch(0, 0)
    assert batch["pose_2d"].shape == (8, 9, 16, 2)
    with pytest.raises(InputError, match=r"b\.npz: .*lacks Neck/Nose.*--skeleton=h36m16"):
        load_splits([full, fewer], SourceOptions())


def test_sources_may_use_the_same_names(tmp_path):
    paths = [tmp_path / "a.npz", tmp_path / "b.npz"]
    for seed, path in enumerate(paths):
        make_views((30,) * 4, "walk", seed).save(path)
    splits = load_splits(paths, SourceOptions())
    names = make_batches(splits["train"], 9, 1, 8).views.names
    assert len(set(names)) == len(names) and names[0].startswith(f"{paths[0]}:walk/")
    np.testing.assert_array_equal(
        splits["train"][0].pose_3d, load_splits(paths[:1], SourceOptions())["train"][0].pose_3d
    )
    with pytest.raises(InputError, match="stands for more than one view"):
        make_batches(load_splits(paths[:1] * 2, SourceOptions())["train"], 9, 1, 8)


REFUSED = {
    "expected one for each of 2 sources, found 1": dict(weights=(1.0,)),
    "expected numbers from 0.001 to 1000, found -1": dict(weights=(1.0, -1.0)),
    "leave --data_weights out": dict(weights=(1.0, 1.0), mixture="base"),
    "--mixture=huge: expected small, base, large": dict(mixture="huge"),
    r"b\.npz: walks has no part in --mixture=base": dict(mixture="base", datasets=("h36m", "walks")),
    r"b\.npz: no known dataset has no part": dict(mixture="base", datasets=("h36m", "")),
    "--mixture=base needs an archive of 3dhp": dict(mixture="base", datasets=("h36m", "h36m")),
}


@pytest.mark.parametrize("message", REFUSED)
def test_weights_that_make_no_sense(message):
    options = {"datasets": ("h36m", "3dhp")} | REFUSED[message]
    with pytest.raises(InputError, match=message):
        weights_of(["a.npz", "b.npz"], **options)
