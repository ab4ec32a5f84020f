"""The evaluation of MPI-INF-3DHP against its MATLAB code, done over in plain loops."""

import dataclasses

import numpy as np
import pytest

from mpm_keras.data.mpi_inf_3dhp import JOINTS_17, ORDER, Sequence
from mpm_keras.geometry import normalize_screen
from mpm_keras.inference.clips import lift_clip
from mpm_keras.inference.protocol_3dhp import evaluate_3dhp, lift_3dhp, table
from mpm_keras.models import MPMLifter
from mpm_keras.skeletons import H36M_17

# `mpii_get_pck_auc_joint_groups`, MATLAB's numbers of the "relevant" joints.
GROUPS = {
    14: [[1], [2], [3, 6], [4, 7], [5, 8], [9, 12], [10, 13], [11, 14]],
    17: [[1, 17], [2], [3, 6], [4, 7], [5, 8], [16], [9, 12, 15], [10, 13], [11, 14]],
}


def sequence(name, frames, seed):
    rng = np.random.default_rng(seed)
    return Sequence(
        name=name, camera="", pixels=np.zeros((frames, 17, 2)), joints=rng.normal(0, 0.3, (frames, 17, 3)),
        size=(2048, 2048), fps=25.0, valid=rng.random(frames) < 0.6, activity=rng.integers(1, 4, frames),
        intrinsics=np.full(9, np.nan),
    )  # fmt: skip


@pytest.fixture
def case():
    sequences = [sequence("TS1", 30, 0), sequence("TS5", 12, 1)]
    rng = np.random.default_rng(2)
    return sequences, {s.name: s.joints + rng.normal(0, 0.06, s.joints.shape) for s in sequences}


def matlab(errors, groups):
    """`mpii_compute_3d_pck` and the MPJPE of `mpii_evaluate_errors` of (17, frames) errors in mm, in their order."""
    curve, total_pck, count = np.zeros(31), 0.0, 0
    for group in groups:
        rows = errors[[j - 1 for j in group]]
        curve += [(rows < t).sum() / rows.size * len(group) for t in range(0, 151, 5)]
        total_pck += (rows < 150).sum() / rows.size * len(group)
        count += len(group)
    return {"mpjpe_mm": errors.mean(axis=1).mean(), "pck": total_pck / count, "auc": (curve / count).sum() / 31}


def their_errors(sequence, prediction):
    """(17, valid frames) in their joint order; the pelvis is joint 15 there."""
    back = np.argsort(ORDER[17])
    p, g = (1000 * pose[sequence.valid][:, back] for pose in (prediction, sequence.joints))
    assert JOINTS_17[14] == "pelvis"
    return np.linalg.norm((p - p[:, 14:15]) - (g - g[:, 14:15]), axis=-1).T


@pytest.mark.parametrize("joints", [14, 17])
def test_equals_the_matlab_code(case, joints):
    sequences, predictions = case
    results = evaluate_3dhp(predictions, sequences, joints)
    parts = {s.name: their_errors(s, predictions[s.name]) for s in sequences}
    parts["total"] = np.concatenate(list(parts.values()), axis=1)
    for name, errors in parts.items():
        expected = matlab(errors, GROUPS[joints])
        assert results[name]["frames"] == errors.shape[1]
        for key, value in expected.items():
            np.testing.assert_allclose(results[name][key], value, rtol=1e-12)
    labels = np.concatenate([s.activity[s.valid] for s in sequences])
    walking = matlab(parts["total"][:, labels == 1], GROUPS[joints])
    np.testing.assert_allclose(results["activities"]["Standing/Walking"]["pck"], walking["pck"], rtol=1e-12)


def test_total_is_the_mean_weighted_by_frames(case):
    sequences, predictions = case
    results = evaluate_3dhp(predictions, sequences)
    weights = [results[s.name]["frames"] for s in sequences]
    for key in ("mpjpe_mm", "pck", "auc"):
        np.testing.assert_allclose(
            results["total"][key], np.average([results[s.name][key] for s in sequences], weights=weights)
        )


def test_perfect_and_shifted_predictions(case):
    sequences, _ = case
    results = evaluate_3dhp({s.name: s.joints + 5.0 for s in sequences}, sequences)["total"]
    assert (results["mpjpe_mm"], results["pck"]) == (pytest.approx(0, abs=1e-9), 1.0)
    assert results["auc"] == pytest.approx(30 / 31)  # no distance is less than the first threshold, 0


def test_what_does_not_fit(case):
    sequences, predictions = case
    with pytest.raises(ValueError, match="no prediction for TS5"):
        evaluate_3dhp({"TS1": predictions["TS1"]}, sequences)
    with pytest.raises(ValueError, match=r"TS1: expected a prediction of shape \(30, 17, 3\)"):
        evaluate_3dhp({"TS1": predictions["TS5"]}, sequences[:1])
    blind = dataclasses.replace(sequences[1], valid=np.zeros(12, bool))
    with pytest.raises(ValueError, match="with 0 of them"):
        evaluate_3dhp(predictions, [blind])


def test_lifting_and_the_table():
    network = MPMLifter(frames=9, layers=1, width=16, encoder_width=16, heads=2, feed_forward=8)
    wide = dataclasses.replace(sequence("TS5", 12, 1), pixels=np.random.default_rng(3).uniform(0, 1080, (12, 17, 2)))
    wide = dataclasses.replace(wide, size=(1920, 1080))
    found = lift_3dhp(network, [wide], stride=1, mode="sequence")
    expected = lift_clip(network, normalize_screen(wide.pixels, 1920, 1080), H36M_17, mode="sequence")
    np.testing.assert_allclose(found["TS5"], expected, atol=1e-6)
    lines = table(evaluate_3dhp(found, [wide])).splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["frames", "TS5", "total"] and "Standing/Walking" in lines[3]
