"""The batches that exports are verified with, and how differences are counted."""

import sys

import numpy as np
import pytest

from mpm_keras.export.signatures import Signature, Tensor
from mpm_keras.export.verification import ExportRefused, differences, largest_of, make_cases, run_process

POSE = Signature("lift", {"pose_2d": Tensor((9, 17, 2), "float32", "")}, {"center": Tensor((1,), "float32", "")}, None)
FEATURES = Signature("features_2d", {}, {"features": Tensor((1,), "float32", "")}, None)
ALL = Signature(
    "all",
    {name: Tensor((), "", "") for name in ("pose_2d", "pose_3d", "keypoints", "image_size", "hidden")},
    {},
    None,
)


def test_differences_are_in_mm_and_the_largest_counts():
    expected = {"lift|a|center": np.zeros((1, 1), "f4"), "lift|b|center": np.ones((3, 1), "f4")}
    found = {"lift|a|center": np.full((1, 1), 0.002, "f4"), "lift|b|center": np.array([[1], [1.005], [1]], "f4")}
    largest = differences({"lift": POSE}, expected, found)
    assert largest["lift"]["center"] == pytest.approx(5.0, rel=1e-4)
    found["lift|a|center"] = np.full((1, 1), np.nan)
    assert np.isnan(largest_of(differences({"lift": POSE}, expected, found)))


def test_features_are_compared_with_the_largest():
    expected = {"features_2d|a|features": np.array([[50.0, 0.0]])}
    found = {"features_2d|a|features": np.array([[50.0, 0.5]])}
    assert largest_of(differences({"features_2d": FEATURES}, expected, found)) == pytest.approx(10.0)


def test_a_missing_or_misshapen_output_is_named():
    expected = {"lift|a|center": np.zeros((3, 1))}
    with pytest.raises(ExportRefused, match="lift: expected center of shape .3, 1., the exported one gives nothing"):
        differences({"lift": POSE}, expected, {})
    with pytest.raises(ExportRefused, match=r"gives shape \(1, 1\)"):
        differences({"lift": POSE}, expected, {"lift|a|center": np.zeros((1, 1))})


@pytest.mark.parametrize("joints, kinds", [(17, 2), (16, 2), (5, 1)])
def test_cases_cover_batch_sizes_and_hidden_joints(joints, kinds):
    cases = make_cases([ALL], frames=9, joints=joints)
    assert len(cases) == 5 * 4 * kinds
    for kind in ("random", "realistic")[:kinds]:
        for size in (1, 3):
            some, none = ({n: cases[f"all|{kind}_{h}_{size}|{n}"] for n in ALL.inputs} for h in ("hidden", "seen"))
            assert some["pose_2d"].shape == (size, 9, joints, 2) and some["pose_2d"].dtype == np.float32
            assert some["hidden"].any() and not some["hidden"].all() and not none["hidden"].any()
            assert some["hidden"].all(axis=-1).any(), "a frame without any joint"
            for name in ("pose_2d", "pose_3d", "keypoints"):
                np.testing.assert_array_equal(np.isnan(some[name]).all(-1), some["hidden"])
                assert np.isfinite(none[name]).all()
    seen = cases[f"all|{('random', 'realistic')[kinds - 1]}_seen_3|keypoints"]
    assert seen.shape == (3, 9, joints, 2) and abs(seen).max() > 500


def test_realistic_cases_stand_in_the_picture_and_on_their_root():
    cases = make_cases([ALL], frames=27, joints=17)
    pose_2d, pose_3d = (cases[f"all|realistic_seen_3|pose_{m}"] for m in ("2d", "3d"))
    assert abs(pose_2d).max() < 1 and pose_2d.std(axis=1).max() > 1e-3
    np.testing.assert_allclose(pose_3d[:, :, 0], 0, atol=1e-6)
    assert 0.5 < abs(pose_3d).max() < 2


def test_a_process_that_fails_gives_its_last_line():
    with pytest.raises(ExportRefused, match="^it broke: ValueError: no luck$"):
        run_process([sys.executable, "-c", "raise ValueError('no luck')"], "it broke")
