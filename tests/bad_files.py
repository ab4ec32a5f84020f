"""Good files of every kind that a script reads, and six ways in which each can be bad."""

import io
import json
import pickle
import struct
from pathlib import Path

import numpy as np
from lifted_people import lifted_people
from pose_views import make_views

from mpm_keras.data.smpl import MEAN_BODY, forward
from mpm_keras.formats import write_motion
from mpm_keras.skeletons import H36M_17

DAMAGES = ("missing", "empty", "truncated", "wrong-shaped", "NaN-filled", "hostile")
MARKER = "was_run"  # the file that hostile code would write into the current folder
DEEP = b"[" * 200_000


class Runs:
    """Pickles as code that writes `MARKER`."""

    def __reduce__(self):
        return exec, (f"open({MARKER!r}, 'w').close()",)


def npz(**arrays) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def pickled(value) -> np.ndarray:
    return np.array(value, dtype=object)


def nan_like(value):
    """A value, of any nesting, with NaN in place of every number."""
    if isinstance(value, dict):
        return {key: nan_like(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [nan_like(entry) for entry in value]
    if isinstance(value, np.ndarray):
        return np.full_like(value, np.nan) if value.dtype.kind == "f" else value
    return value


def spoiled(path: Path, kind: dict, damage: str) -> Path:
    """Writes one bad file of a kind, {"good" or damage: bytes}, or nothing; returns its path."""
    made = {**kind, "empty": b"", "truncated": kind["good"][: len(kind["good"]) * 2 // 3]}
    path.parent.mkdir(parents=True, exist_ok=True)
    if damage != "missing":
        path.write_bytes(made[damage])
    return path


# --- Kinds: {"good", "wrong-shaped", "NaN-filled", "hostile": bytes} ---------------------------------


def views(folder: Path) -> dict:
    make_views((40,) * 4).save(folder / "views.npz")
    with np.load(folder / "views.npz", allow_pickle=False) as archive:
        arrays = dict(archive)
    return {
        "good": (folder / "views.npz").read_bytes(),
        "wrong-shaped": npz(**{**arrays, "pose_3d": arrays["pose_3d"][:, :15]}),
        "NaN-filled": npz(**{**arrays, **{m: nan_like(arrays[m]) for m in ("pose_2d", "pose_3d")}}),
        "hostile": npz(**{**arrays, "names": pickled([Runs()])}),
    }


def open_mocap_arrays() -> dict:
    """An open motion archive of two clips."""
    rng = np.random.default_rng(0)
    words = {key: np.array(["a", "b"]) for key in ("sequence_name", "subject", "license", "description")}
    return {
        "root": rng.normal(size=(80, 3)), "relative": 0.3 * rng.normal(size=(80, 17, 3)),
        "sequence_start": np.array([0, 40, 80]), "fps": np.array([50.0, 50.0]), **words,
    }  # fmt: skip


def open_mocap() -> dict:
    arrays = open_mocap_arrays()
    return {
        "good": npz(**arrays),
        "wrong-shaped": npz(**{**arrays, "relative": arrays["relative"][:, :16]}),
        "NaN-filled": npz(**{**arrays, "root": nan_like(arrays["root"])}),
        "hostile": npz(**{**arrays, "root": np.zeros((6_000_000, 3))}),  # 144 MB in 0.15
    }


def h36m() -> dict:
    poses = (0.3 * np.random.default_rng(0).normal(size=(12, 32, 3)) + [0.1, -0.2, 1.0]).astype(np.float32)
    table = {subject: {"Walking 1": poses} for subject in ("S1", "S9", "S11")}
    return {
        "good": npz(positions_3d=pickled(table)),
        "wrong-shaped": npz(positions_3d=pickled({"S1": {"Walking 1": poses[:, :31]}})),
        "NaN-filled": npz(positions_3d=pickled(nan_like(table))),
        "hostile": npz(positions_3d=pickled({"S1": Runs()})),
    }


def mpi_inf_3dhp() -> dict:
    rng = np.random.default_rng(0)
    sequence = {
        "data_2d": rng.uniform(0, 1080, (12, 17, 2)),
        "data_3d": rng.normal(0, 300, (12, 17, 3)) + [0, 0, 4000],
        "valid": np.arange(12) % 2,
    }
    return {
        "good": npz(data=pickled({"TS2": sequence})),
        "wrong-shaped": npz(data=pickled({"TS2": {**sequence, "data_2d": sequence["data_2d"][:, :16]}})),
        "NaN-filled": npz(data=pickled({"TS2": nan_like(sequence)})),
        "hostile": npz(data=pickled({"TS2": {**sequence, "valid": Runs()}})),
    }


def amass() -> dict:
    rng = np.random.default_rng(0)
    clip = {"length": 30, "pose2d": rng.normal(size=(30, 17, 2)), "pose3d": rng.normal(size=(30, 17, 3))}
    return {
        "good": npz(poses=pickled({"a/b": clip})),
        "wrong-shaped": npz(poses=pickled({"a/b": {**clip, "pose3d": clip["pose3d"][:, :15]}})),
        "NaN-filled": npz(poses=pickled({"a/b": nan_like(clip)})),
        "hostile": npz(poses=pickled({"a/b": Runs()})),
    }


def world(frames=61) -> np.ndarray:
    """(frames, 17, 3) metres: somebody stands, z up."""
    pose = forward(MEAN_BODY, np.zeros((frames, 66)), [], np.zeros((frames, 3)))[..., [2, 0, 1]]
    return pose - pose[..., 2].min() * np.array([0, 0, 1])


def aist() -> dict:
    points = 100 * world()  # 17 joints of another order are as good here
    made = {"good": points, "wrong-shaped": points[:, :16], "NaN-filled": nan_like(points), "hostile": Runs()}
    return {damage: pickle.dumps({"keypoints3d_optim": value}) for damage, value in made.items()}


def custom() -> dict:
    points = world()
    return {
        "good": npz(positions=points),
        "wrong-shaped": npz(positions=points[:, :16]),
        "NaN-filled": npz(positions=nan_like(points)),
        "hostile": npz(positions=pickled([Runs()])),
    }


def mapping() -> dict:
    joints = {joint: joint for joint in H36M_17.joints}
    made = {"joints": joints, "units": "m", "up": "z", "fps": 50, "names": list(H36M_17.joints)}
    return {
        "good": json.dumps(made).encode(),
        "wrong-shaped": json.dumps({**made, "joints": {"Hip": "Hip"}}).encode(),
        "NaN-filled": json.dumps({**made, "fps": float("nan")}).encode(),
        "hostile": b'{"joints": ' + DEEP,
    }


def bvh(folder: Path) -> dict:
    (person,) = lifted_people(1, frames=30)
    text = next(p for p in write_motion(person, folder, ["bvh"]) if p.suffix == ".bvh").read_text()
    head, _, rest = text.partition("Frame Time:")
    time, *rows = rest.splitlines()
    columns = len(rows[0].split())

    def moving(lines):
        return "\n".join([f"{head}Frame Time:{time}", *lines, ""]).encode()

    return {
        "good": text.encode(),
        "wrong-shaped": moving(row.rpartition(" ")[0] for row in rows),
        "NaN-filled": moving([" ".join(["nan"] * columns)] * len(rows)),
        "hostile": head.partition("MOTION")[0].encode() + b"MOTION\nFrames: 999999999999\nFrame Time: 1e-300\n",
    }


def mmpose() -> dict:
    rng = np.random.default_rng(0)
    body = rng.uniform(0, 100, (17, 2)) + [300, 200]

    def frames(points):
        instance = {"keypoints": points, "keypoint_scores": [0.9] * len(points), "bbox": [[300, 200, 400, 300]]}
        return json.dumps([{"frame_id": f, "instances": [{**instance, "bbox_score": 0.9}]} for f in range(20)]).encode()

    return {
        "good": frames(body.tolist()),
        "wrong-shaped": frames(body[:5].tolist()),
        "NaN-filled": frames(nan_like(body).tolist()),
        "hostile": DEEP,
    }


def metrics() -> dict:
    made = {"center_mpjpe_mm": 40.0}
    return {
        "good": json.dumps(made).encode(),
        "wrong-shaped": b"[1, 2, 3]",
        "NaN-filled": json.dumps({"center_mpjpe_mm": float("nan")}).encode(),
        "hostile": b'{"center_mpjpe_mm": ' + DEEP,
    }


def epochs() -> dict:
    return {
        "good": b'{"epoch": 1, "val_center_mpjpe_mm": 90.0}\n',
        "wrong-shaped": b"[1, 2, 3]",
        "NaN-filled": b'{"epoch": 1, "val_center_mpjpe_mm": NaN}\n',
        "hostile": b'{"epoch": 1, "val_center_mpjpe_mm": ' + DEEP,
    }


def config() -> dict:
    return {
        "good": b'{"fps": 25}',
        "wrong-shaped": b"[1, 2, 3]",
        "NaN-filled": b'{"fps": NaN}',
        "hostile": b'{"fps": ' + DEEP,
    }


def safetensors(state: dict) -> dict:
    from safetensors.numpy import save

    def changed(key, change):
        return save({**state, key: np.ascontiguousarray(change(state[key]))})

    return {
        "good": save(state),
        "wrong-shaped": changed("fcn.1.weight", lambda w: w[:, :-1]),
        "NaN-filled": changed("fcn.1.weight", nan_like),
        "hostile": struct.pack("<Q", 1 << 60) + b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}',
    }
