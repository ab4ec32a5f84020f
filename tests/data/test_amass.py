"""The AMASS reader on files in the release's layout, with numbers of our own."""

import os
import warnings

import numpy as np
import pytest
from fuzzing import CASES, fuzz
from test_smpl import write_body

from mpm_keras.data import amass
from mpm_keras.data.amass import gender_of, read
from mpm_keras.data.smpl import MEAN_BODY, forward, load_body_model
from mpm_keras.errors import InputError
from mpm_keras.skeletons import H36M_16, H36M_17

pytestmark = pytest.mark.numpy_only
UPRIGHT = [np.pi / 2, 0, 0]  # turns the body's y up into the world's z up


def motion(frames=60, columns=156, seed=0):
    rng = np.random.default_rng(seed)
    phase = np.linspace(0, 2 * np.pi, frames)[:, None]
    poses = 0.3 * np.sin(phase + rng.uniform(0, 6, columns))
    poses[:, :3] = UPRIGHT
    return poses, np.column_stack([np.linspace(0, 1, frames), np.zeros(frames), np.full(frames, 0.95)])


def write(path, frames=60, rate=100.0, gender="male", seed=0, columns=156, **changes):
    """A file as the release has it, with fields that are not used."""
    path.parent.mkdir(parents=True, exist_ok=True)
    poses, trans = motion(frames, columns, seed)
    arrays = {
        "poses": poses, "trans": trans, "betas": np.linspace(-1, 1, 16), "gender": np.array(gender),
        "mocap_framerate": np.array(rate), "dmpls": np.zeros((frames, 8)), **changes,
    }  # fmt: skip
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    return path


def test_joints_at_the_asked_rate(tmp_path):
    path = write(tmp_path / "walk_poses.npz", columns=165)
    body = write_body(tmp_path / "model.npz")
    found = read(path, body_model=body, fps=50)
    poses, trans = motion(columns=165)
    expected = forward(load_body_model(body), poses, np.linspace(-1, 1, 16), trans)[::2]
    np.testing.assert_allclose(found.positions, expected, atol=1e-5)
    assert found.names == ("walk_poses",) and found.fps.tolist() == [50] and found.licenses == (amass.LICENSE,)
    head, foot = H36M_17.index("Head"), H36M_17.index("LFoot")
    assert (found.positions[:, head, 2] > found.positions[:, foot, 2] + 1).all()


def test_smplx_files_name_the_rate_otherwise(tmp_path):
    path = write(tmp_path / "a_stageii.npz", mocap_framerate=None, mocap_frame_rate=np.array(50.0), gender=b"neutral")
    assert len(read(path, body_model=write_body(tmp_path / "model.npz")).positions) == 60


def test_bodies_by_gender(tmp_path):
    for gender, size in (("male", 1.0), ("female", 0.9)):
        body = write_body(tmp_path / "models" / gender / "model.npz")
        with np.load(body) as file:
            arrays = dict(file)
        np.savez(body, **{**arrays, "v_template": arrays["v_template"] * size})
    lengths = {}
    for gender in ("male", "female", "neutral"):
        clip = read(write(tmp_path / f"{gender}.npz", gender=gender), body_model=tmp_path / "models").clip(0)
        knee, foot = H36M_17.index("LKnee"), H36M_17.index("LFoot")
        lengths[gender] = np.linalg.norm(clip[0, knee] - clip[0, foot])
    assert lengths["female"] < 0.95 * lengths["male"]
    assert lengths["neutral"] in lengths.values()
    with pytest.raises(InputError, match="expected SMPL body models"):
        read(tmp_path / "male.npz", body_model=tmp_path / "none")


def test_without_a_body_model(tmp_path):
    path = write(tmp_path / "a.npz", rate=50.0)
    with pytest.warns(UserWarning, match="no SMPL body model was given"):
        found = read(path)
    poses, trans = motion()
    np.testing.assert_allclose(found.positions, forward(MEAN_BODY, poses, [], trans), atol=1e-5)


def make_tree(folder):
    for subject in ("s1", "s2"):
        for k in range(3):
            write(folder / "CMU" / subject / f"{k}_poses.npz", frames=20 + k, seed=k)
        np.savez(folder / "CMU" / subject / "shape.npz", betas=np.zeros(16))
        np.savez(folder / "CMU" / subject / "neutral_stagei.npz", betas=np.zeros(16))
    (folder / "CMU" / "s2" / "1_poses.npz").write_bytes(b"damaged")
    write(folder / "CMU" / "s2" / "2_poses.npz", trans=None)
    return folder


@pytest.mark.parametrize("workers", [1, 2])
def test_a_tree_with_bad_files(tmp_path, workers):
    make_tree(tmp_path / "tree")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = read(tmp_path / "tree", body_model=write_body(tmp_path / "model.npz"), workers=workers)
    assert found.names == ("CMU/s1/0_poses", "CMU/s1/1_poses", "CMU/s1/2_poses", "CMU/s2/0_poses")
    assert found.subjects == ("CMU_s1",) * 3 + ("CMU_s2",)
    messages = [str(w.message) for w in caught if w.category is UserWarning]
    assert messages[-1] == "2 of 6 files were left out" and len(messages) == 3
    assert "1_poses.npz" in messages[0] and "'trans' is missing" in messages[1]


def test_a_broken_off_run_goes_on(tmp_path, monkeypatch):
    tree, body, cache = make_tree(tmp_path / "tree"), write_body(tmp_path / "model.npz"), tmp_path / "cache"
    converted = []

    def spy(path, *rest, real=amass.read_clip):
        converted.append(path.name)
        if len(converted) == 3:
            raise KeyboardInterrupt
        return real(path, *rest)

    monkeypatch.setattr(amass, "read_clip", spy)
    options = dict(body_model=body, workers=1, cache=cache)
    with pytest.raises(KeyboardInterrupt):
        read(tree / "CMU" / "s1", **options)
    first = read(tree / "CMU" / "s1", **options)
    assert converted == ["0_poses.npz", "1_poses.npz", "2_poses.npz", "2_poses.npz"]
    again = read(tree / "CMU" / "s1", **options)
    assert len(converted) == 4 and np.array_equal(again.positions, first.positions)

    os.utime(tree / "CMU" / "s1" / "0_poses.npz", ns=(1, 1))  # a changed file is converted anew,
    read(tree / "CMU" / "s1", **options)
    assert converted[4:] == ["0_poses.npz"]
    (cache / "1_poses.npz").write_bytes(b"damaged")  # a damaged result,
    read(tree / "CMU" / "s1", **options)
    assert converted[5:] == ["1_poses.npz"]
    read(tree / "CMU" / "s1", **{**options, "fps": 25.0})  # and everything at another rate
    assert len(converted) == 9


def test_the_bar(tmp_path, capsys):
    make_tree(tmp_path / "tree")
    read(tmp_path / "tree" / "CMU" / "s1", body_model=write_body(tmp_path / "model.npz"), workers=1, progress=True)
    assert "AMASS [==============================] 3/3" in capsys.readouterr().err


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"poses": np.zeros((60, 50))}, "poses: expected"),
        ({"poses": np.full((60, 156), np.nan)}, "60 rows hold NaN"),
        ({"poses": np.full((60, 156), 1e5)}, "no motion of a person"),
        ({"trans": np.zeros((59, 3))}, "trans: expected shape"),
        ({"mocap_framerate": None}, "frame rate is missing"),
        ({"mocap_framerate": np.array(0.0)}, "frame rate: expected"),
        ({"betas": np.array("wide")}, "betas: expected numbers"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, changes, message):
    path = write(tmp_path / "a.npz", **changes)
    with pytest.raises(InputError, match=message) as raised:
        read(path, body_model=write_body(tmp_path / "model.npz"))
    assert str(path) in str(raised.value)


def test_nothing_to_read(tmp_path):
    body = write_body(tmp_path / "models" / "model.npz")
    (tmp_path / "tree").mkdir()
    with pytest.raises(InputError, match="found none"):
        read(tmp_path / "tree", body_model=body)
    with pytest.raises(InputError, match="no such file or folder"):
        read(tmp_path / "other", body_model=body)
    (tmp_path / "tree" / "a.npz").write_bytes(b"")
    with pytest.raises(InputError, match="none of the 1 files"):
        read(tmp_path / "tree", body_model=body)


def test_genders():
    assert [gender_of(np.array(v)) for v in ("Male", b"female", "x", 3)] == ["male", "female", "neutral", "neutral"]
    assert gender_of(None) == "neutral"


def write_released(path, joints=16, frames=9, **changes):
    rng = np.random.default_rng(0)
    clips = {}
    for name in ("ACCAD/a", "ACCAD/b", "CMU/01/01_01"):
        pose_3d = rng.normal(0, 0.3, (frames, joints, 3)) + [0, 0, 4]
        clips[name] = {
            "length": frames - 1,
            "pose2d": rng.uniform(-1, 1, (frames, joints, 2)),
            "pose3d": pose_3d,
        } | changes
    np.savez_compressed(path, poses=clips)
    return path, clips


@pytest.mark.parametrize("joints", [16, 17])
def test_the_papers_file(tmp_path, joints):
    path, clips = write_released(tmp_path / "amass.npz", joints)
    views = read(path)
    assert views.names == tuple(clips) and views.subjects == ("ACCAD", "ACCAD", "CMU/01")
    assert views.skeleton is (H36M_16 if joints == 16 else H36M_17) and views.lengths.tolist() == [8, 8, 8]
    pose = clips["ACCAD/b"]["pose3d"][:8]
    np.testing.assert_allclose(views.pose_3d[8:16], pose - pose[:, :1], atol=1e-6)
    np.testing.assert_allclose(views.root_3d[8:16], pose[:, 0], atol=1e-6)
    np.testing.assert_allclose(views.pose_2d[8:16], clips["ACCAD/b"]["pose2d"][:8], atol=1e-6)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"length": 10}, "length 10 of 9"),
        ({"length": "9"}, "length: expected"),
        ({"length": -1}, "length: expected"),
        ({"pose2d": np.zeros((9, 15, 2))}, "pose3d: expected shape"),
        ({"pose3d": np.full((9, 16, 3), 1e4)}, "larger numbers"),
        ({"pose3d": None}, "pose3d: expected numbers"),
    ],
)
def test_the_papers_file_with_other_contents(tmp_path, changes, message):
    path, _ = write_released(tmp_path / "amass.npz", **changes)
    with pytest.raises(InputError, match=message) as raised:
        read(path)
    assert str(path) in str(raised.value)


def test_damaged_files(tmp_path):
    bodies = amass.load_bodies(None)
    path = write(tmp_path / "a.npz", frames=3)
    assert fuzz(lambda p: amass.read_clip(p, bodies, 50.0), path) > CASES / 4


def test_damaged_files_of_the_paper(tmp_path):
    path, _ = write_released(tmp_path / "amass.npz")
    assert fuzz(amass.read_released, path) > CASES / 4
