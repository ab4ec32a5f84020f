"""The page to look at motion: what it carries, and that it cannot be broken out of."""

import base64
import dataclasses
import json
import os
import re
import sys

import numpy as np
import pytest
from lifted_people import lifted_people

from mpm_keras.errors import InputError
from mpm_keras.skeletons import H36M_16
from mpm_keras.viz import viewer

pytestmark = pytest.mark.numpy_only
HOSTILE = (
    """</script><script>document.title="broken"</script><img src=x onerror="document.title='broken'"> & 'q' \u2028"""
)


@pytest.fixture(scope="module")
def people():
    return lifted_people(2, 60)


def page_data(path):
    text = path.read_text("utf-8")
    return json.loads(re.search(r'<script type="application/json" id="motions">(.*?)</script>', text, re.S).group(1))


def unpacked(packed):
    whole = np.frombuffer(base64.b64decode(packed["data"]), "<i2")
    return np.where(whole == viewer.MISSING, np.nan, whole * packed["step"])


def test_data_survive_the_page(people, tmp_path):
    viewer.write_viewer(people, tmp_path / "view.html")
    data = page_data(tmp_path / "view.html")
    assert data["frames"] == 60 and data["fps"] == 30 and data["imageSize"] == [1280, 720]
    assert data["joints"][4] == "LHip" and data["sides"][4] == "left" and data["sides"][1] == "right"
    assert len({person["colour"] for person in data["people"]}) == 2
    for person, motion in zip(data["people"], people, strict=True):
        found = unpacked(person["positions"]).reshape(60, 17, 3)
        np.testing.assert_allclose(found, motion.positions_3d, atol=0.00026)
        np.testing.assert_allclose(unpacked(person["trajectory"]).reshape(60, 3), motion.trajectory, atol=0.00051)
        seen = np.isfinite(motion.keypoints_2d)
        found = unpacked(person["keypoints"]).reshape(60, 17, 2)
        np.testing.assert_allclose(found[seen], motion.keypoints_2d[seen], atol=1 / 16)
        confidence = np.frombuffer(base64.b64decode(person["confidence"]), np.uint8).reshape(60, 17)
        np.testing.assert_allclose(confidence / 255, motion.confidence, atol=0.002)
        filled = np.frombuffer(base64.b64decode(person["filled"]), np.uint8).reshape(60, 17)
        assert (filled == motion.filled).all()
    assert np.isnan(unpacked(data["people"][1]["positions"])[-51:]).all()  # the second one has left


def test_values_that_cannot_be_drawn(people):
    values = np.array([np.nan, np.inf, -1e30, 3.25, -20.0])
    np.testing.assert_array_equal(unpacked(viewer._packed(values, 0.001, 100.0))[:3], np.nan)
    np.testing.assert_allclose(unpacked(viewer._packed(values, 0.001, 100.0))[3:], [3.25, -20.0], atol=0.0005)
    coarse = unpacked(viewer._packed([0.0, 90_000.0], 1 / 16, 100_000.0))
    np.testing.assert_allclose(coarse, [0.0, 90_000.0], rtol=1e-6)
    nowhere = dataclasses.replace(
        people[0], keypoints_2d=np.full((60, 17, 2), np.nan), confidence=np.full((60, 17), np.nan)
    )
    assert np.isnan(viewer.place_filled(nowhere)).all()
    assert base64.b64decode(viewer._person(nowhere, "#000000")["confidence"]) == bytes(60 * 17)


def test_keypoints_far_off_do_not_coarsen_the_rest(people):
    wild = people[0].keypoints_2d.copy()
    wild[:, 3] = 1e5
    found = unpacked(viewer._person(dataclasses.replace(people[0], keypoints_2d=wild), "#000000")["keypoints"])
    found = found.reshape(60, 17, 2)
    assert np.isnan(found[0, 3]).all()
    np.testing.assert_allclose(found[17, 4:11], people[0].keypoints_2d[17, 4:11], atol=1 / 16)
    unspoilt = viewer.place_filled(people[0])[17, 11:14]  # the left arm, filled in
    np.testing.assert_allclose(found[17, 11:14], unspoilt, atol=5.0)  # placed by the others all the same


def test_filled_joints_are_placed_by_the_rest_of_the_body(people):
    rng = np.random.default_rng(0)
    pose = rng.normal(size=(60, 17, 3)).astype(np.float32)
    truth = 150 * pose[..., :2] + [400, 300]
    filled = rng.random((60, 17)) < 0.3
    filled[7], filled[9, 2:] = True, True
    seen = np.where(filled[..., None], np.nan, truth)
    placed = viewer.place_filled(dataclasses.replace(people[0], positions_3d=pose, keypoints_2d=seen, filled=filled))
    lost = np.isin(np.arange(60), [7, 9])  # fewer than three joints to go by
    np.testing.assert_allclose(placed[~lost], truth[~lost], atol=1e-2)
    np.testing.assert_array_equal(placed[lost], seen[lost])


def test_strings_stay_strings(tmp_path):
    motions = [
        dataclasses.replace(m, assumptions={HOSTILE: float("nan")}) for m in lifted_people(1, 10, names=[HOSTILE])
    ]
    viewer.write_viewer(motions, tmp_path / "view.html", title=HOSTILE + "\udcff")
    text = (tmp_path / "view.html").read_text("utf-8")
    assert (
        "<img" not in text.replace(viewer._plotly_js(tmp_path), "")
        and text.count('document.title="broken"</script>') == 0
    )
    assert page_data(tmp_path / "view.html")["people"][0]["name"] == HOSTILE
    assert page_data(tmp_path / "view.html")["people"][0]["assumptions"] == {HOSTILE: "NaN"}


def test_long_clips_make_pages_of_bounded_size(tmp_path):
    sizes = []
    for frames in (100, 10_000):
        few = lifted_people(2, 100)
        index = np.arange(frames) % 100
        long = [
            dataclasses.replace(m, **{
                name: getattr(m, name)[index]
                for name in ("positions_3d", "filled", "keypoints_2d", "confidence", "trajectory")
            })
            for m in few
        ]  # fmt: skip
        viewer.write_viewer(long, tmp_path / "view.html")
        sizes.append(os.path.getsize(tmp_path / "view.html"))
    assert sizes[0] < 6e6 and (sizes[1] - sizes[0]) / (9900 * 2) < 290  # bytes a frame and person


def test_what_is_not_one_clip_is_refused(people, tmp_path):
    path = tmp_path / "view.html"
    one, two = people
    with pytest.raises(ValueError, match="expected people and frames"):
        viewer.write_viewer([], path)
    with pytest.raises(ValueError, match=r"person2: expected 3D, .*\(60, 17, 3\).*found \[\(59, 17, 3\)"):
        viewer.write_viewer([one, dataclasses.replace(two, positions_3d=two.positions_3d[1:])], path)
    with pytest.raises(ValueError, match="person2: expected skeleton, frame rate and image size of person1"):
        viewer.write_viewer([one, dataclasses.replace(two, fps=25.0)], path)
    with pytest.raises(ValueError, match="positive frame rate"):
        viewer.write_viewer([dataclasses.replace(one, fps=float("nan"))], path)
    with pytest.raises(ValueError, match=r"expected 3D.*\(60, 16, 3\)"):
        viewer.write_viewer([dataclasses.replace(one, skeleton=H36M_16)], path)
    assert not path.exists()


def test_without_plotly(people, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(InputError, match=r"view\.html: the viewer needs the package plotly"):
        viewer.write_viewer(people, tmp_path / "view.html")
    assert not list(tmp_path.iterdir())
