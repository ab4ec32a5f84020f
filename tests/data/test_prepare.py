"""One command for every source, one archive out of all; what is said and drawn of it."""

import dataclasses
import types

import numpy as np
import pytest
from human36m_files import all_positions, detections, save_2d, save_3d
from matplotlib import image
from pose_views import make_views

from mpm_keras.data import prepare as module
from mpm_keras.data.bvh import read_bvh
from mpm_keras.data.human36m import LICENSE
from mpm_keras.data.motion import Motion
from mpm_keras.data.prepare import SOURCES, describe, draw, prepare
from mpm_keras.data.sources import SourceOptions, load_splits
from mpm_keras.data.views import Views
from mpm_keras.errors import InputError

pytestmark = pytest.mark.numpy_only


@pytest.fixture
def h36m(tmp_path):
    table = all_positions()
    paths = [
        save_3d(tmp_path / "data_3d_h36m.npz", table),
        save_2d(tmp_path / "data_2d_h36m_gt.npz", detections(table)),
    ]
    return paths


def test_human36m_to_splits_of_subjects(h36m, tmp_path):
    prepare("h36m", h36m, tmp_path / "out.npz")
    splits = load_splits([tmp_path / "out.npz"], SourceOptions(), ("train", "validation", "test"))
    found = {split: set(views[0].subjects) for split, views in splits.items()}
    assert found == {"train": {"S1", "S5"}, "validation": {"S8"}, "test": {"S9", "S11"}}
    views = Views.load(tmp_path / "out.npz")
    assert views.dataset == "h36m" and set(views.licenses) == {LICENSE}
    assert set(views.provenance) == {"Human3.6M, data_2d_h36m_gt.npz"}


def test_options_reach_the_reader(h36m, tmp_path):
    prepare("h36m", h36m, tmp_path / "out.npz", subjects=["S9"], fps=None)
    assert set(Views.load(tmp_path / "out.npz").subjects) == {"S9"}


def test_synthetic_motion(tmp_path):
    written = prepare("synthetic", [], tmp_path / "out.npz", clips=3, fps=20.0, seed=5)
    read = Motion.load(tmp_path / "out.npz")
    np.testing.assert_array_equal(read.positions, written.positions)
    assert read.num_clips == 3 and (read.fps == 20).all() and read.dataset == "synthetic"
    assert read.provenance == ("synthetic",) * 3 and all(read.licenses)


@pytest.mark.shared
def test_motion_capture_folders_leave_out_bad_files(shared_data, tmp_path):
    folder = tmp_path / "walks"
    folder.mkdir()
    (folder / "a.bvh").write_bytes((shared_data / "raw_samples" / "cmu_07_01.bvh").read_bytes())
    (folder / "bad.bvh").write_text("HIERARCHY nothing")
    with pytest.warns(UserWarning, match="1 bad files were left out, 1 clips were read"):
        found = prepare("cmu", [folder], tmp_path / "out.npz", fps=120.0)
    np.testing.assert_allclose(found.positions, read_bvh(folder / "a.bvh").positions, atol=1e-6)
    assert found.licenses[0].startswith("CMU") and found.provenance == ("cmu: walks",)
    mine = prepare("bvh", [folder / "a.bvh"], tmp_path / "mine.npz", license="my own")
    assert mine.licenses == ("my own",) and mine.dataset == "bvh" and mine.fps.tolist() == [50]


@pytest.mark.shared
def test_the_open_motion_archive_keeps_its_split(shared_data, tmp_path):
    path = shared_data / "open_mocap_h36m17.npz"
    prepare("open_mocap", [path], tmp_path / "out.npz")
    options = SourceOptions(cameras=1, without_licenses=("CC BY-SA 3.0",))
    old, new = (load_splits([p], options, ("validation",))["validation"][0] for p in (path, tmp_path / "out.npz"))
    assert old.names == new.names and len(set(new.licenses)) > 0
    np.testing.assert_array_equal(old.pose_2d, new.pose_2d)


def test_what_is_in_an_archive(h36m, tmp_path):
    prepare("h36m", h36m, tmp_path / "out.npz")
    text = describe(tmp_path / "out.npz")
    for line in (
        "checksums agree", "dataset     h36m", "joints      17 (h36m17)", "views       28, of 3 to 8 frames",
        "frames      156, 0.1 minutes at 50 frames a second", "subjects    5: S1, S9, S5, S11, S8",
        "cameras     4: 54138969, 55011271, 58860488, 60457274", "pictures    1000x1000, 1000x1002; lenses known of 28",
        "pose_2d     float32 (156, 17, 2)", "validation  S8", "test        S9, S11",
        f"licence     {LICENSE} (28 views)", "from        Human3.6M, data_2d_h36m_gt.npz (28 views)",
    ):  # fmt: skip
        assert line in text


@pytest.mark.parametrize("lacking", [None, "2d", "3d"])
def test_a_contact_sheet_is_drawn(tmp_path, lacking):
    views = make_views((9,) * 4)
    (views if lacking is None else views.without(lacking)).save(tmp_path / "a.npz")
    draw(tmp_path / "a.npz", tmp_path / "a.png", clips=2)
    picture = image.imread(tmp_path / "a.png")
    assert picture.shape[:2] == (340, 1190) and (picture[..., :3] < 0.9).any(axis=-1).mean() > 0.005


REFUSED = {
    "unknown source 'h37m'; known: h36m, 3dhp, amass, aist, custom, cmu": dict(source="h37m"),
    "to end with .npz": dict(out="out.zip"),
    "none: does not exist|the folder .*none does not exist": dict(out="none/out.npz"),
    "is one of the files to read": dict(out="data_3d_h36m.npz"),
    "--mapping means nothing to the source 'h36m'": dict(mapping="m.json"),
    "needs files or folders": dict(paths=[]),
    "no such file": dict(paths=["gone.npz"]),
    "--mapping is needed by the source 'custom'": dict(source="custom"),
    "reads no files": dict(source="synthetic"),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_makes_no_sense_is_refused_and_nothing_written(h36m, tmp_path, message):
    request = {"source": "h36m", "paths": h36m, "out": "out.npz"} | REFUSED[message]
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(InputError, match=message):
        prepare(request.pop("source"), request.pop("paths"), tmp_path / request.pop("out"), **request)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_missing_reader_is_said_so(tmp_path, monkeypatch):
    monkeypatch.setitem(SOURCES, "novel", "mpm_keras.data.novel:read")
    with pytest.raises(InputError, match=r"'novel' needs a module that is not there: mpm_keras\.data\.novel"):
        prepare("novel", ["a"], tmp_path / "a.npz")


def test_readers_that_know_no_licence_get_their_modules(tmp_path, monkeypatch):
    def read(paths):
        return dataclasses.replace(make_views((3, 3)), licenses=("own", ""))

    reader = types.SimpleNamespace(read=read, LICENSE="free")
    monkeypatch.setattr(module.importlib, "import_module", lambda name: reader)
    found = prepare("h36m", ["some/a.npz", "b.npz"], tmp_path / "a.npz")
    assert found.licenses == ("own", "free") and found.provenance == ("h36m: a.npz, b.npz",) * 2


def test_other_files_are_no_archives(tmp_path, h36m):
    for path in (h36m[0], tmp_path / "none.npz"):
        with pytest.raises(InputError, match="not an archive that|no such file"):
            describe(path)
