"""Files of strangers: attack files, made here, for every door; SECURITY.md says what is promised.

Nothing in them may run, read or write other files, or take much more memory than the file's size. Doors
that have attacks of their own: `data/test_safe_pickle.py`, `data/test_forged_pickles.py`, `test_npz.py`,
`models/test_state_dicts.py`, `keypoints/test_damaged_files.py`, `viz/test_viewer.py` (markup).
"""

import io
import json
import os
import pickle
import struct
import threading
import tracemalloc
import zipfile

import bad_files
import numpy as np
import pytest
from bad_files import DEEP, MARKER, Runs
from lifted_people import lifted_people

from mpm_keras.data import aist, amass, custom, human36m, mpi_inf_3dhp
from mpm_keras.data.archive import archive_kind
from mpm_keras.data.motion import Motion
from mpm_keras.data.readers import read_motion
from mpm_keras.data.safe_pickle import load_pickle
from mpm_keras.data.smpl import load_body_model
from mpm_keras.data.sources import SourceOptions, load_views
from mpm_keras.data.views import Views
from mpm_keras.errors import InputError
from mpm_keras.files import MAX_JSON, read_json
from mpm_keras.formats import write_motion
from mpm_keras.inference.resampling import resample_keypoints
from mpm_keras.keypoints import tracking
from mpm_keras.keypoints.readers import read_keypoints
from mpm_keras.models.presets import copy_preset, load_preset, network_folder, read_preset, save_preset, sha256
from mpm_keras.models.refiner import MPMRefiner
from mpm_keras.models.state_dicts import read_state_dict
from mpm_keras.npz import read_npy, read_npz
from mpm_keras.training.checkpoints import read_state

pytestmark = pytest.mark.once  # files are opened and refused, before anything is made with Keras

LITTLE = 48 << 20  # bytes that a refusal may take at most, whatever the file claims


def refused(read, path, most=LITTLE) -> str:
    """The one line that a reader ends with, at little cost and without having run what the file holds."""
    tracemalloc.start()
    try:
        with pytest.raises(InputError) as caught:
            read(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    message = str(caught.value)
    assert "\n" not in message and len(message) < 2000 and os.path.basename(path) in message
    assert peak < most, f"{peak >> 20} MiB"
    assert not os.path.exists(MARKER), "code was run"
    return message


def read_weights(path):
    """Loads the preset whose weights the file is, under whatever name it has."""
    header = {"format": "mpm_keras preset", "version": 1, "network": "MPMLifter", "config": {}}
    header["weights_sha256"] = sha256(path)
    (path.parent / "preset.json").write_text(json.dumps(header))
    load_preset(path.parent)


# What reads an .npz -> its reader.
ARCHIVES = {
    "preset": read_weights,
    "checkpoint": read_state,
    "views": Views.load,
    "motion": Motion.load,
    "views, mapped": lambda path: Views.load(path, mapped=True),
    "open motion": read_motion,
    "h36m": human36m.read,
    "3dhp": mpi_inf_3dhp.read,
    "amass": amass.read_released,
    "body model": load_body_model,
    "keypoints": read_keypoints,
    "plain": read_npz,
}
NAMES = (
    "header", "format", "names", "root", "relative", "sequence_start", "fps", "sequence_name", "subject", "license",
    "description", "positions_3d", "data", "poses", "keypoints", "v_template",
)  # fmt: skip


FILE = "weights.npz"  # a preset reads no other


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """An archive of 200 MB in as many kB."""
    zeros, buffer = npy(np.zeros(3_000_000, np.float32)), io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in NAMES:
            archive.writestr(f"{name}.npy", zeros)
    assert len(buffer.getvalue()) < 400_000
    return buffer.getvalue()


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Hostile code would leave its marker here."""
    monkeypatch.chdir(tmp_path)


def npy(array) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def test_the_attack_works_where_nobody_is_careful(tmp_path):
    pickle.loads(pickle.dumps(Runs()))
    assert (tmp_path / MARKER).exists()


@pytest.mark.parametrize("door", ARCHIVES)
def test_pickled_code_in_any_array_is_not_run(door, tmp_path):
    np.savez(tmp_path / FILE, **{name: np.array([Runs()], object) for name in NAMES})
    refused(ARCHIVES[door], tmp_path / FILE)
    np.savez(tmp_path / FILE, **{name: np.array(Runs(), object) for name in NAMES})
    refused(ARCHIVES[door], tmp_path / FILE)


@pytest.mark.parametrize("door", ARCHIVES)
def test_a_small_archive_does_not_unpack_to_much(door, bomb, tmp_path):
    (tmp_path / FILE).write_bytes(bomb)
    refused(ARCHIVES[door], tmp_path / FILE)


@pytest.mark.parametrize("door", ARCHIVES)
def test_a_header_of_four_terabytes_is_a_lie(door, tmp_path):
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776,)}\n"
    member = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
    with zipfile.ZipFile(tmp_path / FILE, "w") as archive:
        for name in NAMES:
            archive.writestr(f"{name}.npy", member)
    refused(ARCHIVES[door], tmp_path / FILE)


@pytest.mark.parametrize("door", ARCHIVES)
@pytest.mark.parametrize("name", ["../../evil", "/tmp/evil", "..\\..\\evil", "a/../../evil", "C:evil", "\x1b[2Jevil"])
def test_names_with_paths_lead_nowhere(door, name, tmp_path):
    inner = tmp_path / "in" / "side"
    inner.mkdir(parents=True)
    with zipfile.ZipFile(inner / FILE, "w") as archive:
        archive.writestr(f"{name}.npy", npy(np.zeros(3)))
    try:
        ARCHIVES[door](inner / FILE)
    except InputError as error:
        assert "\n" not in str(error)
    assert not [path for path in tmp_path.rglob("*") if "evil" in path.name]
    assert not os.path.exists("/tmp/evil.npy")


def test_an_npy_is_read_like_a_member(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.arange(6.0).reshape(2, 3).T)
    np.testing.assert_array_equal(read_npy(path), np.arange(6.0).reshape(2, 3).T)
    for content in (npy(np.array([Runs()], object)), npy(np.zeros(1000))[:-8], npy(np.zeros(3)) + b"1", b"\x93NUMPY"):
        path.write_bytes(content)
        refused(read_npy, path)
        refused(read_keypoints, path)
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776, 17, 2)}\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(800))
    assert "do not make" in refused(read_keypoints, path)
    long = b"{'descr': '<f8', 'fortran_order': False, 'shape': (3,)" + b" " * 60_000 + b"}\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(long)) + long + bytes(24))
    refused(read_npy, path)


@pytest.mark.parametrize("name", ["a.pkl", "a.npz", "a.npy", "a.json", "a.safetensors", "weights.npz"])
def test_a_bare_pickle_under_any_name_is_not_run(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(pickle.dumps({"keypoints3d_optim": Runs()}))
    for read in (read_keypoints, read_motion, aist.read, load_body_model, read_state, read_npz, read_json_here):
        refused(read, path)
    if path.suffix == ".safetensors":
        refused(read_state_dict, path)


def read_json_here(path):
    return read_json(path, "a JSON object")


# --- JSON -----------------------------------------------------------------------------------------

JSON = {
    "nested deeply": DEEP,
    "nested in an object": b'{"a": ' * 100_000,
    "NaN": b'{"a": NaN}',
    "infinite": b'{"a": -Infinity}',
    "infinite by its digits": b'{"a": 1e999}',
    "a number of many digits": b'{"a": ' + b"9" * 100_000 + b"}",
    "not text": b"\xff\xfe\x00{",
    "cut": b'{"a": [1, 2',
    "large": b"[" + b"0," * (MAX_JSON // 2) + b"0]",
}


@pytest.mark.parametrize("what", JSON)
def test_json_of_strangers(what, tmp_path):
    path = tmp_path / "preset.json"
    path.write_bytes(JSON[what])
    assert "expected a JSON object" in refused(read_json_here, path, most=40 << 20)
    assert "preset.json" in refused(lambda p: read_preset(p.parent), path, most=40 << 20)


@pytest.mark.parametrize("what", ["nested deeply", "nested in an object", "a number of many digits", "not text", "cut"])
def test_keypoints_and_mappings_of_strangers(what, tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(JSON[what])
    refused(read_keypoints, path)
    refused(custom.read_mapping, path)


def crowd(count, frame):
    """A frame of MMPose's with people beside each other."""
    body = np.array([[x, 3 * x % 7] for x in range(17)], float) + 5
    found = [{"keypoints": (body + [40 * i, 0]).tolist(), "keypoint_scores": [0.9] * 17} for i in range(count)]
    return {"frame_id": frame, "instances": found}


def test_a_crowd_in_a_single_frame_is_refused(tmp_path):
    """Everybody is compared with everybody."""
    path = tmp_path / "crowd.json"
    path.write_text(json.dumps([crowd(400, 0)]))
    assert "up to 200 people in a frame, found 400" in refused(read_keypoints, path)


def test_many_people_of_a_long_video_are_thinned(tmp_path, monkeypatch):
    """Every person takes memory for every frame."""
    monkeypatch.setattr(tracking, "_MOST_JOINTS", 1 << 20)
    path = tmp_path / "crowd.json"
    path.write_text(json.dumps([crowd(60, 0), crowd(1, 9_999)]))
    tracks = tracking.find_tracks(read_keypoints(path, image_size=(2600, 480)))
    assert [track.name for track in tracks] == [f"person{i}" for i in range(1, 7)]
    assert any("the 6 longest in view are kept" in note for note in tracks[0].notes)


def test_a_low_frame_rate_does_not_make_a_long_motion(tmp_path):
    """Millions of frames between two."""
    path = tmp_path / "slow.npz"
    path.write_bytes(bad_files.npz(**{**bad_files.open_mocap_arrays(), "fps": np.array([50.0, 1e-4])}))
    assert "too few to resample" in refused(read_motion, path)
    clips, names = [np.zeros((9, 17, 3), np.float32)] * 2, ["a", "b"]
    Motion.from_clips(clips, names=names, subjects=names, fps=[1e-4] * 2).save(path)
    assert "too few to resample" in refused(lambda p: load_views([p], SourceOptions()), path)
    with pytest.raises(ValueError, match="499999 frames at 1 a second make"):
        resample_keypoints(np.zeros((499_999, 1, 2), np.float32), np.ones((499_999, 1), np.float32), 1.0, 25.0)


# --- Other files ------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes")
@pytest.mark.parametrize("door", ["checkpoint", "views", "h36m", "body model", "keypoints", "plain", "json", "pickle"])
def test_a_pipe_in_the_place_of_a_file_does_not_hang(door, tmp_path):
    os.mkfifo(tmp_path / "pipe.npz")
    ended = threading.Event()

    def attempt():
        with pytest.raises(InputError):
            {**ARCHIVES, "json": read_json_here, "pickle": load_pickle}[door](tmp_path / "pipe.npz")
        ended.set()

    threading.Thread(target=attempt, daemon=True).start()
    assert ended.wait(20)


def sound_preset(folder):
    save_preset(MPMRefiner(joints=4, units=8), folder, skeleton="h36m17")
    return folder


def test_links_in_a_preset_take_no_file_along(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("a private key")
    preset = sound_preset(tmp_path / "preset")
    (preset / "README.md").symlink_to(secret)
    (preset / "LICENSE").write_text("free")
    copy_preset(preset, tmp_path / "copy")
    assert sorted(p.name for p in (tmp_path / "copy").iterdir()) == ["LICENSE", "preset.json", "weights.npz"]
    (preset / "weights.npz").unlink()
    (preset / "weights.npz").symlink_to(secret)
    with pytest.raises(InputError) as caught:
        load_preset(preset)
    assert "private" not in str(caught.value)
    (preset / "weights.npz").unlink()
    (preset / "weights.npz").symlink_to("/dev/zero")
    with pytest.raises(InputError, match="expected a file"):
        load_preset(preset)


def test_a_link_in_the_place_of_an_inner_preset_is_refused(tmp_path):
    sound_preset(tmp_path / "other")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "network").symlink_to(tmp_path / "other")
    with pytest.raises(InputError, match="expected a folder, found a link"):
        network_folder(tmp_path / "run")
    outer = sound_preset(tmp_path / "outer")
    (outer / "completion").symlink_to(tmp_path / "other")
    with pytest.raises(InputError, match="expected a folder, found a link"):
        copy_preset(outer, tmp_path / "copy", ("completion",))


@pytest.mark.parametrize(
    "name", ["../../evil", "/tmp/evil", "a/b", "..", ".", "", ".bashrc", "a\\..\\b" if os.name == "nt" else "x/y"]
)
def test_a_person_is_no_path(name, tmp_path):
    (person,) = lifted_people(1, frames=5, names=[name])
    with pytest.raises(ValueError, match="must do as a file name"):
        write_motion(person, tmp_path / "in" / "out", ["npz", "json"])
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", ["../../evil", "/tmp/evil", "..\\evil", "x\ny"])
def test_videos_and_ids_of_a_file_name_no_outputs(name, tmp_path):
    poses = np.random.default_rng(0).uniform(50, 300, (1, 17, 2)) + np.zeros((12, 1, 1))
    positions = {name: {name: [poses.astype(np.float32)]}}
    metadata = {"layout_name": "coco", "video_metadata": {name: {"w": 640, "h": 480}}}
    np.savez(tmp_path / "a.npz", positions_2d=positions, metadata=metadata)
    tracks = tracking.find_tracks(read_keypoints(tmp_path / "a.npz"))
    assert [track.name for track in tracks] == ["person1"]
    found = [
        {"image_id": f"{i}.jpg", "category_id": 1, "keypoints": [5.0, 7.0, 0.9] * 17, "score": 3.1, "idx": name}
        for i in range(12)
    ]
    (tmp_path / "a.json").write_text(json.dumps(found))
    try:
        tracks = tracking.find_tracks(read_keypoints(tmp_path / "a.json", image_size=(640, 480)))
        assert {track.name for track in tracks} == {"person1"}
    except InputError as error:
        assert "\n" not in str(error)


def test_the_kind_of_an_archive_is_told_at_little_cost(tmp_path):
    np.savez(tmp_path / "a.npz", format=np.array([Runs()], object))
    assert archive_kind(tmp_path / "a.npz") is None and not os.path.exists(MARKER)
