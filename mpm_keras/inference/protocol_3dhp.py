"""The evaluation of MPI-INF-3DHP, as its MATLAB code (`mpii_evaluate_errors`) does it.

Poses are put together at the pelvis, in "universal" millimetres. PCK is the share of joints nearer than
150 mm, AUC the mean PCK over 0, 5, ..., 150 mm, both over 14 joints: all of the 17 but pelvis, spine
and head (`mpii_get_pck_auc_joint_groups`; the dataset's first version and P-STMO's count these too, see
`JOINTS`). MPJPE is over all 17, the pelvis with its error of 0 included. Only valid frames count. The
total is over the frames of all sequences, each frame alike: the means of sequences weighted by frames.
"""

import numpy as np

from mpm_keras.data.mpi_inf_3dhp import ACTIVITIES
from mpm_keras.geometry import normalize_screen
from mpm_keras.inference.clips import lift_clip
from mpm_keras.metrics import auc, mpjpe_mm, pck
from mpm_keras.skeletons import H36M_17

# Joints of PCK and AUC. Of 14 speak the papers that compare with P-STMO; 17 is the dataset's first groups.
JOINTS = {
    14: [j for j, name in enumerate(H36M_17.joints) if name not in ("Hip", "Spine", "Neck/Nose")],
    17: [*range(17)],
}


def lift_3dhp(network, sequences, **options) -> dict:
    """{name: (F, 17, 3) poses} that a lifter makes of the 2D of test sequences, valid frames or not.

    `options` as in `lift_clip`. Raises `ValueError` for a network of other joints than Human3.6M's 17.
    """
    return {
        s.name: lift_clip(network, normalize_screen(s.pixels, *s.size).astype(np.float32), H36M_17, **options)
        for s in sequences
    }


def table(results: dict) -> str:
    """The figures as lines of text; PCK and AUC in percent."""
    lines = [f"{'':20}{'frames':>8}{'MPJPE mm':>10}{'PCK %':>8}{'AUC %':>8}"]
    named = {**{k: v for k, v in results.items() if k != "activities"}, **results["activities"]}
    for name, r in named.items():
        shares = f"{100 * r['pck']:8.1f}{100 * r['auc']:8.1f}"
        lines.append(f"{name:20}{r['frames']:8}{r['mpjpe_mm']:10.1f}{shares}")
    return "\n".join(lines)


def evaluate_3dhp(predictions: dict, sequences, joints=14) -> dict:
    """Errors of predicted test sequences.

    Args:
        predictions: {sequence name: (F, 17, 3) metres, camera frame}, Human3.6M joints, one pose per
            frame of the sequence, valid or not.
        sequences: what `mpi_inf_3dhp.read_sequences` returns for the test set, with `univ_annot3`.
        joints: 14 or 17, those that PCK and AUC are over.

    Returns:
        {name: {"mpjpe_mm", "pck", "auc", "frames"}} of the sequences, "total", and under
        "activities" the same by activity where the annotations have it; PCK and AUC are shares.

    Raises:
        ValueError: a sequence has no prediction or no valid frame, or a prediction is of another shape.
    """
    if joints not in JOINTS:
        raise ValueError(f"joints must be 14 or 17, found {joints}")
    poses, labels = {}, []
    for sequence in sequences:
        if sequence.name not in predictions:
            raise ValueError(f"no prediction for {sequence.name}")
        predicted = np.asarray(predictions[sequence.name])
        if predicted.shape != sequence.joints.shape or not sequence.valid.any():
            raise ValueError(
                f"{sequence.name}: expected a prediction of shape {sequence.joints.shape} with valid frames, "
                f"found {predicted.shape} with {int(sequence.valid.sum())} of them"
            )
        poses[sequence.name] = predicted[sequence.valid], sequence.joints[sequence.valid]
        labels.append(sequence.activity[sequence.valid])
    if not poses:
        raise ValueError("no sequences to evaluate")
    predicted, target = (np.concatenate(part) for part in zip(*poses.values(), strict=True))
    labels = np.concatenate(labels)
    results = {name: errors(*pair, joints) for name, pair in poses.items()}
    results["total"] = errors(predicted, target, joints)
    results["activities"] = {
        name: errors(predicted[labels == i], target[labels == i], joints)
        for i, name in enumerate(ACTIVITIES, start=1)
        if (labels == i).any()
    }
    return results


def errors(predicted, target, joints=14) -> dict:
    """The figures of (F, 17, 3) predicted and true poses, metres."""
    mask = np.isin(np.arange(17), JOINTS[joints])
    return {
        "mpjpe_mm": mpjpe_mm(predicted, target, reduce=True),
        "pck": pck(predicted, target, mask=mask, reduce=True),
        "auc": auc(predicted, target, mask=mask, reduce=True),
        "frames": len(target),
    }
