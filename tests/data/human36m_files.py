"""Files in the layouts of Human3.6M, with numbers of our own."""

import numpy as np

from mpm_keras import geometry
from mpm_keras.data.human36m import KEPT_JOINTS
from mpm_keras.data.human36m_cameras import human36m_cameras

RECORDINGS = {
    "S1": {"Directions": 7, "Walking 1": 5},
    "S5": {"Photo": 6},
    "S8": {"WalkDog 1": 4},
    "S9": {"SittingDown 2": 8, "Directions 1": 3},
    "S11": {"Directions": 4, "Directions 1": 6},
}


def positions(frames, seed=0):
    """(frames, 32, 3) float32: someone near the middle of the room, metres, z up."""
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(frames, 32, 3)) * 0.3 + [0.1, -0.2, 1.0]).astype(np.float32)


def all_positions():
    return {s: {r: positions(n, i) for i, (r, n) in enumerate(rs.items())} for s, rs in RECORDINGS.items()}


def detections(table, joints=17, channels=2, extra=0, noise=2.0):
    """{subject: {recording: [(frames + extra, joints, channels)] * 4}} pixels near the projected joints."""
    rng, found = np.random.default_rng(5), {}
    for subject, recordings in table.items():
        cameras = human36m_cameras(subject).values()
        found[subject] = {}
        for name, poses in recordings.items():
            poses = np.concatenate([poses, poses[-1:].repeat(extra, 0)])[:, KEPT_JOINTS[:joints]]
            pixels = [geometry.project(geometry.world_to_camera(poses, camera), camera) for camera in cameras]
            pixels = [p + rng.normal(size=p.shape) * noise for p in pixels]
            scores = [rng.uniform(0.2, 1, (*p.shape[:2], 1)) for p in pixels]
            parts = [np.concatenate([p, s], -1)[..., :channels] for p, s in zip(pixels, scores, strict=True)]
            found[subject][name] = [part.astype(np.float32) for part in parts]
    return found


def save_3d(path, table=None):
    np.savez_compressed(path, positions_3d=table or all_positions())
    return path


def save_2d(path, table, symmetry=([4, 5, 6, 11, 12, 13], [1, 2, 3, 14, 15, 16])):
    metadata = {"num_joints": 17, "keypoints_symmetry": [list(side) for side in symmetry]}
    np.savez_compressed(path, positions_2d=table, metadata=metadata)
    return path


def save_cdf(path, poses, majority="column_major", compressed=0, whole=0, data_type=21, varies=True):
    """A recording as the release has it: one record of (frames, 96), millimetres.

    `compressed` of the variable and `whole` of the file are gzip levels; `data_type` is 21 for float32, 45 for float64;
    with `varies` False the record is that of all records.
    """
    from cdflib import cdfwrite

    path.parent.mkdir(parents=True, exist_ok=True)
    file = cdfwrite.CDF(str(path), cdf_spec={"Majority": majority, "Compressed": whole}, delete=path.exists())
    spec = {"Variable": "Pose", "Data_Type": data_type, "Num_Elements": 1, "Rec_Vary": varies}
    spec |= {"Dim_Sizes": [len(poses), 96], "Compress": compressed}
    values = poses.reshape(1, len(poses), 96) * np.float32(1000)
    if majority == "column_major":  # cdflib writes numbers in the order that it is given them
        values = values.transpose(0, 2, 1).copy().reshape(values.shape)
    file.write_var(spec, var_data=values.astype(np.float32 if data_type == 21 else np.float64))
    file.close()
    return path
