"""The readers of MPI-INF-3DHP on small files in its layouts, with numbers of our own."""

import struct
import zlib

import numpy as np
import pytest
from fuzzing import CASES, fuzz

from mpm_keras.data.mpi_inf_3dhp import JOINTS_17, JOINTS_28, read, read_sequences
from mpm_keras.data.mpi_inf_3dhp_files import read_mat5
from mpm_keras.errors import InputError
from mpm_keras.skeletons import H36M_17

pytestmark = pytest.mark.numpy_only

CAMERAS = 14
INTRINSICS = np.array([1497.5, 1497.1, 1024.7, 1051.4])
J28 = {name: i for i, name in enumerate(JOINTS_28)}
FRAMES = 4
# Where each joint of the 28 stands: its number in each coordinate, in millimetres, some 3 m away.
BODY = np.arange(28)[:, None] * np.array([10.0, -7.0, 5.0]) + [0, 0, 3000]


def annotations(joints, frames=FRAMES):
    """(frames, joints, 3) millimetres of a body that walks by, true and "universal", and its pixels."""
    true = joints[None] + np.arange(frames)[:, None, None] * np.array([30.0, 0, 10])
    pixels = true[..., :2] / true[..., 2:] * INTRINSICS[:2] + INTRINSICS[2:]
    return true, true * 1.1, pixels


def write_annot(folder, frames=FRAMES, calibration=True, **changes):
    """`annot.mat` as MATLAB writes it: cells (14, 1) of (frames, 56 or 84)."""
    from scipy.io import savemat

    folder.mkdir(parents=True, exist_ok=True)
    true, universal, pixels = annotations(BODY, frames)
    cells = {}
    for name, values in {"annot2": pixels, "annot3": true, "univ_annot3": universal}.items():
        cells[name] = np.empty((CAMERAS, 1), object)
        for camera in range(CAMERAS):
            cells[name][camera, 0] = (values + 0.01 * camera).reshape(frames, -1).astype(np.float32)
    contents = {**cells, "cameras": np.arange(CAMERAS)[None], "frames": np.arange(frames)[:, None], **changes}
    savemat(folder / "annot.mat", {k: v for k, v in contents.items() if v is not None}, do_compression=True)
    if calibration:
        matrix = np.diag([*INTRINSICS[:2], 1, 1])
        matrix[:2, 2] = INTRINSICS[2:]
        lines = ["Skeletool Camera Calibration File V1.0"]
        for camera in range(CAMERAS):
            lines += [f"name          {camera}", "  sensor      10 10", "  size        2048 2048", "  animated    0"]
            lines += ["  intrinsic   " + " ".join(map(str, matrix.reshape(-1))), "  extrinsic   1 0", "  radial      0"]
        (folder / "camera.calibration").write_text("\n".join(lines))
    return folder / "annot.mat"


def relevant(values):
    """(frames, 28, D) -> the 17 joints of the test set."""
    return values[:, [J28[name] for name in JOINTS_17]]


def write_test(folder, frames=12, **changes):
    """`annot_data.mat` as MATLAB 7.3 writes it: HDF5 behind a header of 512 bytes, axes reversed."""
    h5py = pytest.importorskip("h5py")
    folder.mkdir(parents=True, exist_ok=True)
    true, universal, pixels = (relevant(v)[:, None] for v in annotations(BODY, frames))
    contents = {"annot2": pixels, "annot3": true, "univ_annot3": universal}
    contents["valid_frame"] = (np.arange(frames) % 3 == 0).astype(np.float64)[:, None]
    contents["activity_annotation"] = np.full((frames, 1), 2.0)
    with h5py.File(folder / "annot_data.mat", "w", userblock_size=512) as file:
        for name, value in {**contents, **changes}.items():
            if value is not None:
                file.create_dataset(name, data=value, compression="gzip")
    return folder / "annot_data.mat"


def write_archives(folder, protocol=None):
    """P-STMO's two archives."""
    _, universal, pixels = (relevant(v) for v in annotations(BODY))
    train = {"S1 Seq1": [{str(c): {"data_2d": pixels, "data_3d": universal + c} for c in (0, 1, 2, 4, 5, 6, 7, 8)}, 25]}
    valid = np.array([1, 0, 1, 1], np.uint8)
    test = {f"TS{i}": {"data_2d": pixels, "data_3d": universal, "valid": valid} for i in (1, 6)}
    np.savez_compressed(folder / "data_train_3dhp.npz", data=train)
    np.savez_compressed(folder / "data_test_3dhp.npz", data=test)
    return folder / "data_train_3dhp.npz", folder / "data_test_3dhp.npz"


def test_training_sequence(tmp_path):
    write_annot(tmp_path / "S1" / "Seq2")
    views = read(tmp_path, annotation="annot3", cameras=(0, 8))
    assert views.names == ("S1/Seq2@cam0", "S1/Seq2@cam8") and views.subjects == ("S1", "S1")
    assert views.fps.tolist() == [50, 50] and views.image_size.tolist() == [[2048, 2048]] * 2
    names = ("pelvis", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "spine", "neck",
             "head", "head_top", "left_shoulder", "left_elbow", "left_wrist", "right_shoulder", "right_elbow",
             "right_wrist")  # fmt: skip
    true, _, pixels = annotations(BODY)
    metres = true[:, [J28[name] for name in names]] / 1000
    np.testing.assert_allclose(views.pose_3d[:FRAMES], metres - metres[:, :1], atol=1e-6)
    np.testing.assert_allclose(views.root_3d[:FRAMES], metres[:, 0], atol=1e-6)
    expected = pixels[:, [J28[name] for name in names]] / 1024 - 1
    np.testing.assert_allclose(views.pose_2d[:FRAMES], expected, atol=1e-6)
    np.testing.assert_allclose(views.intrinsics[0], [*INTRINSICS, 0, 0, 0, 0, 0], rtol=1e-6)
    # Camera 8 was given other numbers: annotations of one camera are not another's.
    np.testing.assert_allclose(views.root_3d[FRAMES], metres[0, 0] + 0.08e-3, atol=1e-6)


def test_universal_annotations_are_the_default(tmp_path):
    path = write_annot(tmp_path / "S2" / "Seq1", calibration=False)
    views = read(path)
    assert views.num_views == 8 and views.fps[0] == 25 and np.isnan(views.intrinsics).all()
    np.testing.assert_allclose(views.root_3d, read(path, annotation="annot3").root_3d * 1.1, atol=1e-4)


def test_a_camera_that_does_not_see_the_pixels_is_not_believed(tmp_path):
    path = write_annot(tmp_path / "S2" / "Seq1")
    calibration = path.parent / "camera.calibration"
    calibration.write_text(calibration.read_text().replace("1497.5", "997.5"))
    assert np.isnan(read(path, annotation="annot3", cameras=(0,)).intrinsics).all()


def test_frames_beyond_the_pictures_are_left_out(tmp_path, monkeypatch):
    from mpm_keras.data import mpi_inf_3dhp

    monkeypatch.setitem(mpi_inf_3dhp.FRAMES, "S1 Seq1", 3)
    assert read(write_annot(tmp_path / "S1" / "Seq1"), cameras=(0,)).num_frames == 3


def test_test_sequences(tmp_path):
    write_test(tmp_path / "TS1")
    write_test(tmp_path / "TS5")
    views = read(tmp_path)
    assert views.names == ("TS1@cam", "TS5@cam") and views.lengths.tolist() == [12, 12]
    assert views.image_size.tolist() == [[2048, 2048], [1920, 1080]]
    _, universal, pixels = annotations(BODY, 12)
    hip = universal[:, J28["pelvis"]] / 1000
    np.testing.assert_allclose(views.root_3d[:12], hip, atol=1e-6)
    knee = H36M_17.index("LKnee")
    np.testing.assert_allclose(views.pose_3d[:12, knee], universal[:, J28["left_knee"]] / 1000 - hip, atol=1e-6)
    np.testing.assert_allclose(
        views.pose_2d[12:, knee], pixels[:, J28["left_knee"]] / 960 - [1, 1080 / 1920], atol=1e-6
    )
    valid = read(tmp_path, frames="valid")
    assert valid.lengths.tolist() == [4, 4]
    np.testing.assert_array_equal(valid.pose_3d[:4], views.pose_3d[:12:3])
    assert read_sequences(tmp_path)[0].activity.tolist() == [2] * 12


def test_archives(tmp_path):
    train, test = write_archives(tmp_path)
    views = read([train, test], cameras=(0, 4))
    assert views.names == ("S1/Seq1@cam0", "S1/Seq1@cam4", "TS1@cam", "TS6@cam")
    assert views.image_size[-1].tolist() == [1920, 1080] and views.fps[0] == 25
    write_annot(tmp_path / "S1" / "Seq1")
    original = read(tmp_path / "S1", cameras=(0,))
    np.testing.assert_allclose(views.pose_3d[:FRAMES], original.pose_3d, atol=1e-6)
    np.testing.assert_allclose(views.pose_2d[:FRAMES], original.pose_2d, atol=1e-6)
    assert [s.valid.sum() for s in read_sequences(test)] == [3, 3]


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda p: p / "none", "no such file"),
        (lambda p: p, "the folder has none"),
        (lambda p: write_annot(p / "a" / "b"), "folder such as S1/Seq1"),
        (lambda p: write_test(p / "a"), "folder such as TS1"),
        (lambda p: write_annot(p / "S1" / "Seq1", univ_annot3=None), "'univ_annot3' is missing"),
        (lambda p: write_annot(p / "S1" / "Seq1", annot2=np.zeros((4, 56))), "'annot2' is no cell array"),
        (lambda p: write_test(p / "TS1", annot2=np.zeros((12, 1, 16, 2))), "annot2: expected shape"),
        (lambda p: write_test(p / "TS1", valid_frame=None), "'valid_frame' is missing"),
        (lambda p: write_test(p / "TS1", univ_annot3=np.full((12, 1, 17, 3), np.nan)), "12 rows hold NaN"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, make, message):
    path = make(tmp_path)
    with pytest.raises(InputError, match=message) as raised:
        read(path)
    assert str(path) in str(raised.value)


def test_archives_with_other_contents(tmp_path):
    train, _ = write_archives(tmp_path)
    with pytest.raises(InputError, match="univ_annot3 only"):
        read(train, annotation="annot3")
    for data, message in (
        ({"S1 Seq1": [{"0": {"data_2d": np.zeros((2, 17, 2))}}, 25]}, "'data_3d' is missing"),
        ({"S1 Seq1": [{}, 25]}, "camera 0 is missing"),
        ({"S1 Seq1": [{}, "25"]}, "frame rate"),
        ({"S1": 3}, "no sequence"),
        ([1, 2], "dictionary of sequences"),
    ):
        np.savez(train, data=np.array(data, dtype=object) if isinstance(data, dict) else np.array(data))
        with pytest.raises(InputError, match=message):
            read(train)


def test_hdf5_links_to_other_files_are_refused(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = write_test(tmp_path / "TS1", annot2=None)
    with h5py.File(path, "a") as file:
        file["annot2"] = h5py.ExternalLink("../TS2/annot_data.mat", "annot2")
    with pytest.raises(InputError, match="lies in another file"):
        read(path)


def test_bombs_are_refused(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = write_test(tmp_path / "TS1", annot2=None)
    with h5py.File(path, "a") as file:
        file.create_dataset("annot2", shape=(10**7, 1, 17, 2), chunks=(1000, 1, 17, 2), compression="gzip")
    with pytest.raises(InputError, match="far more than the file's size"):
        read(path)
    cells = np.empty((14, 1), object)
    cells[:] = [[np.zeros((1, 56))]] * 13 + [[np.zeros((10**5, 56))]]
    path = write_annot(tmp_path / "S1" / "Seq1", annot2=cells)
    with pytest.raises(InputError, match="unpacks to over"):
        read(path)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("shape", [(1, 10**9), (2**31 - 1, 2**31 - 1)])
def test_cells_that_are_not_there_take_no_memory(tmp_path, shape, compressed):
    """SciPy makes an array of all of them before it reads the first."""
    from scipy.io import savemat

    cells = np.empty((1, 2), object)
    cells[:] = [[np.zeros((2, 3)), np.ones((2, 3))]]
    savemat(tmp_path / "annot.mat", {"annot2": cells})
    data = (tmp_path / "annot.mat").read_bytes()
    claim = data.replace(struct.pack("<IIii", 5, 8, 1, 2), struct.pack("<IIii", 5, 8, *shape), 1)
    assert claim != data
    if compressed:
        element = zlib.compress(claim[128:])
        claim = claim[:128] + struct.pack("<II", 15, len(element)) + element
    (tmp_path / "annot.mat").write_bytes(claim)
    with pytest.raises(InputError, match=rf"claims \({shape[0]}, {shape[1]}\) cells in \d+ bytes; refused"):
        read_mat5(tmp_path / "annot.mat", ["annot2"])
    savemat(tmp_path / "annot.mat", {"annot2": cells}, do_compression=compressed)
    np.testing.assert_array_equal(read_mat5(tmp_path / "annot.mat", ["annot2"])["annot2"][1], np.ones((2, 3)))
    inner = np.empty((1, 1), object)
    inner[0, 0] = cells
    savemat(tmp_path / "annot.mat", {"annot2": inner}, do_compression=compressed)
    with pytest.raises(InputError, match="expected cells of numbers"):
        read_mat5(tmp_path / "annot.mat", ["annot2"])


@pytest.mark.parametrize("kind", ["annot", "test", "train_archive", "test_archive"])
def test_damaged_files(tmp_path, kind):
    if kind == "annot":
        path = write_annot(tmp_path / "S1" / "Seq1", calibration=False)
    elif kind == "test":
        path = write_test(tmp_path / "TS1")
    else:
        path = write_archives(tmp_path)[kind == "test_archive"]
    assert fuzz(lambda p: read(p, cameras=(0, 1)), path) > CASES / 4


def test_damaged_calibration(tmp_path):
    path = write_annot(tmp_path / "S1" / "Seq1").parent / "camera.calibration"
    from mpm_keras.data.mpi_inf_3dhp_files import read_calibration

    assert fuzz(read_calibration, path, cases=CASES // 4) > CASES / 40
