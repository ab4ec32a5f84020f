import dataclasses
import os
import pickle
import zipfile

import numpy as np
import pytest

from mpm_keras.data.views import Views
from mpm_keras.errors import InputError
from mpm_keras.skeletons import H36M_16, H36M_17

pytestmark = pytest.mark.numpy_only

ARRAYS = ("offsets", "fps", "intrinsics", "image_size", "pose_2d", "pose_3d", "root_3d", "confidence")
FRAMES = ARRAYS[4:]
TEXTS = ("names", "subjects", "actions", "cameras", "licenses", "provenance")


def make_views(lengths=(3, 5, 2), prefix="clip", seed=0, **changes):
    rng = np.random.default_rng(seed)
    count, frames = len(lengths), sum(lengths)
    pose_3d = rng.normal(size=(frames, 17, 3)).astype(np.float32)
    fields = dict(
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        names=tuple(f"{prefix}/{i} é@cam0" for i in range(count)),
        subjects=("anna",) * count,
        actions=("walking", "", "waving")[:count],
        cameras=("cam0",) * count,
        fps=np.full(count, 50, np.float32),
        intrinsics=np.full((count, 9), np.nan, np.float32),
        image_size=np.tile(np.array([1920, 1080], np.int32), (count, 1)),
        pose_2d=rng.uniform(-1, 1, (frames, 17, 2)).astype(np.float32),
        pose_3d=pose_3d - pose_3d[:, :1],
        root_3d=rng.normal(size=(frames, 3)).astype(np.float32),
        confidence=rng.uniform(size=(frames, 17)).astype(np.float32),
        licenses=("CC BY 4.0", "", "own")[:count],
        provenance=("a.bvh", "b.bvh", "")[:count],
        dataset="walks",
    )
    return Views(**{**fields, **changes})


def assert_equal(a, b):
    for field in ARRAYS:
        x, y = getattr(a, field), getattr(b, field)
        assert (x is None) == (y is None)
        if x is not None:
            assert x.dtype == y.dtype
            np.testing.assert_array_equal(x, y)
    assert all(getattr(a, field) == getattr(b, field) for field in TEXTS)
    assert a.skeleton == b.skeleton and a.dataset == b.dataset


def test_view_and_select():
    views = make_views()
    assert views.num_views == 3 and views.num_frames == 10
    second = views.view(1)
    assert second.num_frames == 5 and second.names == views.names[1:2]
    np.testing.assert_array_equal(second.pose_2d, views.pose_2d[3:8])
    assert np.shares_memory(second.pose_2d, views.pose_2d)
    assert_equal(views.view(-1), views.view(2))
    chosen = views.select([2, 0])
    assert chosen.names == (views.names[2], views.names[0])
    np.testing.assert_array_equal(chosen.confidence, np.concatenate([views.confidence[8:], views.confidence[:3]]))
    with pytest.raises(IndexError):
        views.view(3)
    with pytest.raises(ValueError, match="at least one"):
        views.select([])


def test_concatenate_is_the_inverse_of_view():
    views = make_views()
    assert_equal(Views.concatenate([views.view(i) for i in range(3)]), views)


def test_licences_and_provenance_stay_with_their_views():
    views = make_views()
    chosen = views.select([1, 0])
    assert (
        chosen.licenses == ("", "CC BY 4.0") and chosen.provenance == ("b.bvh", "a.bvh") and chosen.dataset == "walks"
    )
    mixed = Views.concatenate([views, make_views(prefix="other", dataset="runs", licenses=())])
    assert mixed.dataset == "" and mixed.licenses == (*views.licenses, "", "", "")


def test_concatenate_refuses_what_does_not_go_together():
    views, other = make_views(), make_views(prefix="other")
    with pytest.raises(ValueError, match=r"'other/0 é@cam0' lacks pose_3d"):
        Views.concatenate([views, other.without("3d")])
    with pytest.raises(ValueError, match="lacks confidence"):
        Views.concatenate([views, dataclasses.replace(other, confidence=None)])
    with pytest.raises(ValueError, match="h36m16, h36m17"):
        Views.concatenate([views, other.to_skeleton(H36M_16)])
    with pytest.raises(ValueError, match="more than one view"):
        Views.concatenate([views, views])
    with pytest.raises(ValueError, match="at least one"):
        Views.concatenate([])


def test_without():
    views = make_views()
    only_2d, only_3d = views.without("3d"), views.without("2d")
    assert only_2d.pose_3d is None and only_2d.root_3d is None and only_2d.confidence is not None
    assert only_3d.pose_2d is None and only_3d.confidence is None and only_3d.root_3d is not None
    assert only_3d.select([1]).pose_2d is None
    with pytest.raises(ValueError, match="neither"):
        only_2d.without("2d")
    with pytest.raises(ValueError, match="modality"):
        views.without("4d")


def test_to_skeleton():
    views = make_views()
    mapped = views.to_skeleton(H36M_16)
    keep = [j for j in range(17) if H36M_17.joints[j] != "Neck/Nose"]
    np.testing.assert_array_equal(mapped.pose_3d, views.pose_3d[:, keep])
    np.testing.assert_array_equal(mapped.confidence, views.confidence[:, keep])
    np.testing.assert_array_equal(mapped.root_3d, views.root_3d)
    assert mapped.skeleton is H36M_16 and views.to_skeleton(H36M_17) is views
    with pytest.raises(ValueError, match="lacks Neck/Nose"):
        mapped.to_skeleton(H36M_17)


def test_camera():
    intrinsics = np.tile(np.array([1000, 1100, 960, 540, 0, 0, 0, 0, 0], np.float32), (3, 1))
    assert make_views(intrinsics=intrinsics).camera(1).focal.tolist() == [1000, 1100]
    with pytest.raises(ValueError, match="unknown"):
        make_views().camera(0)


@pytest.mark.parametrize("drop", [(), ("2d",), ("3d",)])
def test_save_and_load_bit_for_bit(tmp_path, drop):
    views = make_views()
    for modality in drop:
        views = views.without(modality)
    views.save(tmp_path / "a.npz")
    assert_equal(Views.load(tmp_path / "a.npz"), views)
    Views.load(tmp_path / "a.npz").save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["a.npz", "b.npz"]


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    make_views().save(path)
    before = path.read_bytes()

    def full_disk(*args, **kwargs):
        raise OSError("No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array_header_1_0", full_disk)
    with pytest.raises(OSError, match="No space"):
        make_views(seed=1).save(path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["a.npz"]


def plain_arrays(views):
    header = {"format": "mpm_keras views", "version": 2, "skeleton": views.skeleton.name, "dataset": ""}
    return header | {"contents": np.array(FRAMES)} | {field: getattr(views, field) for field in (*ARRAYS, *TEXTS)}


def assert_refused(path, match=None):
    with pytest.raises(InputError, match=match) as caught:
        Views.load(path)
    message = str(caught.value)
    assert message.startswith(str(path)) and "\n" not in message


def test_truncated_files_are_refused(tmp_path):
    path = tmp_path / "views.npz"
    make_views().save(path)
    whole = path.read_bytes()
    for length in [0, 1, 10, 100, *range(500, len(whole), 997), len(whole) - 1]:
        path.write_bytes(whole[:length])
        assert_refused(path)


def test_changed_bytes_are_refused_or_harmless(tmp_path):
    path = tmp_path / "views.npz"
    views = make_views((1, 1))
    views.save(path)
    whole = path.read_bytes()
    for at in range(0, len(whole), 23):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        try:
            loaded = Views.load(path)
        except InputError as error:
            assert "\n" not in str(error)
        else:
            assert_equal(loaded, views)  # a byte that the zip format does not use, such as a time stamp


def test_pickles_are_refused(tmp_path):
    path = tmp_path / "views.npz"
    views = make_views()
    arrays = plain_arrays(views)
    np.savez(path, **{**arrays, "names": np.array(views.names, object)})
    assert_refused(path, "[Oo]bject")
    path.write_bytes(pickle.dumps({"pose_2d": 1}))
    assert_refused(path, "not a complete .npz")


def nan_at_frame_4():
    pose = make_views().pose_2d.copy()
    pose[4, 3, 1] = np.nan
    return pose


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        (dict(format="something else"), "its format is 'something else'"),
        (dict(version=1), "version 1 of the views format is not 2"),
        (dict(version=None), "version 0"),
        (dict(dataset=None), "'dataset' is missing"),
        (dict(skeleton="octopus"), "unknown skeleton"),
        (dict(skeleton="h36m16"), r"expected float32 \(10, 16, 2\), found float32 \(10, 17, 2\)"),
        (dict(offsets=None), "'offsets' is missing"),
        (dict(offsets=np.array([0, 3, 8, 11])), r"expected float32 \(11, 17, 2\)"),
        (dict(offsets=np.array([0, 8, 3, 10])), "increase"),
        (dict(offsets=np.array([1, 3, 8, 10])), "start at 0"),
        (dict(fps=np.zeros(3, np.float32)), "fps"),
        (dict(image_size=np.zeros((3, 2), np.int32)), "image_size"),
        (dict(intrinsics=np.full((3, 9), np.inf, np.float32)), "intrinsics"),
        (dict(names=np.array(["a", "b", "a"])), "'a' stands for more than one"),
        (dict(names=np.array([1, 2, 3])), "names: expected text"),
        (dict(actions=np.array(["a", "b"])), "actions: expected 3 entries"),
        (dict(pose_2d=None, pose_3d=None, root_3d=None, confidence=None, contents=np.array([], str)), "neither"),
        (dict(root_3d=None), "array 'root_3d' is lost"),
        (dict(pose_2d=None, contents=np.array(FRAMES[1:])), "confidence without"),
        (dict(pose_3d=None, contents=np.array([FRAMES[0], *FRAMES[2:]])), "root_3d without"),
        (dict(pose_2d=nan_at_frame_4()), r"pose_2d: 1 frames hold NaN .* view 'clip/1 é@cam0', frame 1"),
        (dict(pose_3d=np.zeros((10, 17, 3))), "expected float32"),
        (dict(extra=np.zeros(3)), "array 'extra' is not one of the listed contents"),
        (dict(contents=np.array(["pose_2d", "pose_3d", "root_3d"])), "array 'confidence' is not one of"),
        (dict(contents=np.array([*FRAMES, "pose_4d"])), "array 'pose_4d' is lost"),
        (dict(contents=np.array([*FRAMES, "pose_4d"]), pose_4d=np.zeros(3)), "array 'pose_4d' is not one of"),
        (dict(contents=np.array(3)), "contents: expected text"),
    ],
)
def test_inconsistent_archives_are_refused(tmp_path, changes, match):
    path = tmp_path / "views.npz"
    views = make_views()
    arrays = plain_arrays(views) | changes
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
    assert_refused(path, match)


def test_a_member_that_is_no_array_is_refused(tmp_path):
    path = tmp_path / "views.npz"
    make_views().save(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("readme.txt", "hello")
    assert_refused(path, "'readme.txt' is not a plain array")


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    assert_refused(tmp_path / "none.npz", "no such file")
    assert_refused(tmp_path, "no such file")
