"""The page to look at motion: what it carries, that it cannot be broken out of, and that it works in a browser."""

import base64
import dataclasses
import json
import os
import re
import shutil
import sys
import time

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


# ---- in a browser -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """Chromium without a window and without WebGL."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip("the viewer is NOT tested in a browser: chromium and chromedriver are not installed")
    webdriver = pytest.importorskip("selenium.webdriver", reason="the viewer is NOT tested in a browser: no selenium")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    flags = "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking"
    flags += " disable-component-update disable-sync disable-3d-apis"
    flags += f" window-size=1400,800 user-data-dir={tmp_path_factory.mktemp('chromium')}"
    for flag in flags.split():
        options.add_argument(f"--{flag}")
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield driver
    driver.quit()


class Page:
    """A page in the browser, as its user sees it."""

    def __init__(self, browser, path):
        self.browser = browser
        for kind in ("browser", "performance"):
            browser.get_log(kind)  # forgets what went before
        browser.get(path.as_uri())
        self.until("document.body.dataset.drawn === '0'")

    def js(self, code):
        return self.browser.execute_script(f"return {code}")

    def find(self, selector):
        return self.browser.find_element("css selector", selector)

    def click(self, selector):
        self.find(selector).click()

    def frame(self):
        return int(self.find("#slider").get_attribute("value"))

    def until(self, condition, seconds=60):
        """Waits for an expression to hold. Raises AssertionError when it does not come true."""
        end = time.monotonic() + seconds
        while not self.js(condition):
            assert time.monotonic() < end, condition
            time.sleep(0.05)

    def set(self, frame):
        """Pulls the slider."""
        self.js(
            f"(s => {{ s.value = {frame}; s.dispatchEvent(new Event('input')) }})(document.querySelector('#slider'))"
        )
        self.until(f"document.body.dataset.drawn === '{frame}'")

    def points(self, plot, trace):
        """(n, 2) of a drawn trace; -1 is the names, -2 the filled joints, -3 the seen ones."""
        return np.array(self.js(f"(t => [t.x, t.y])(document.getElementById('{plot}').data.at({trace}))"), float).T

    def floor(self):
        """The floor as it is drawn: it moves with the camera alone."""
        self.until("document.body.dataset.drawn === document.querySelector('#slider').value")
        return np.nan_to_num(self.points("scene", 0))

    def drag(self, selector):
        from selenium.webdriver import ActionChains

        hand = ActionChains(self.browser).click_and_hold(self.find(selector))
        for _ in range(4):
            hand = hand.pause(0.1).move_by_offset(40, 10)
        hand.release().perform()

    def press(self, *keys):
        from selenium.webdriver import ActionChains

        ActionChains(self.browser).send_keys(*keys).perform()

    def close(self):
        """Nothing went wrong on the page and nothing was asked of a network."""
        problems = [entry for entry in self.browser.get_log("browser") if entry["source"] != "rendering"]
        messages = [json.loads(entry["message"])["message"] for entry in self.browser.get_log("performance")]
        asked = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
        assert not problems
        assert any(url.startswith("file:") for url in asked)
        assert not [url for url in asked if not url.startswith(("file:", "data:", "blob:", "chrome:"))]


def check_projection(page, pose):
    """What is drawn is a picture of these joints (camera frame) that one camera can take, the right way up."""
    drawn = page.points("scene", -3)
    data = np.array(page.js("document.getElementById('scene').data.at(-3).customdata"))
    order = np.argmin(np.abs(data[:, None] - np.stack([pose[:, 0], pose[:, 2], -pose[:, 1]], -1)).sum(-1), axis=1)
    assert sorted(order) == list(range(len(pose)))
    x, y, z = pose[order].T
    np.testing.assert_allclose(data, np.stack([x, z, -y], -1), atol=0.0003)
    homogeneous = np.concatenate([data, np.ones((len(data), 1))], axis=1)
    zero = np.zeros_like(homogeneous)
    rows = [np.concatenate(r, 1) for r in (
        (homogeneous, zero, -drawn[:, :1] * homogeneous), (zero, homogeneous, -drawn[:, 1:] * homogeneous),
    )]  # fmt: skip
    singular = np.linalg.svd(np.concatenate(rows), compute_uv=False)  # direct linear transformation
    assert singular[-1] < 1e-6 * singular[-2]
    assert np.corrcoef(drawn[:, 1], data[:, 2])[0, 1] > 0.95


@pytest.mark.slow  # starts a browser, which takes its time on a busy machine
def test_clicking_through_the_page(people, browser, tmp_path):
    from selenium.webdriver.common.keys import Keys

    path = tmp_path / "view.html"
    viewer.write_viewer(people, path, title="Two people")
    page = Page(browser, path)
    assert browser.title == "Two people" and "frame  0 / 59" in page.find("#clock").text

    page.click("#play")
    page.until("Number(document.querySelector('#slider').value) > 2")
    page.click("#play")
    stopped = page.frame()
    time.sleep(0.3)
    assert page.frame() == stopped and page.find("#play").text == "Play"

    page.set(30)
    assert "1.00 / 1.97 s" in page.find("#clock").text
    seen = ~people[0].filled[30] & np.isfinite(people[0].keypoints_2d[30]).all(-1)
    drawn = page.points("flat", -3)[: seen.sum()]
    np.testing.assert_allclose(drawn, people[0].keypoints_2d[30][seen], atol=1 / 16)

    page.set(17)  # the left arms are filled in
    assert len(page.points("flat", -2)) == len(page.points("scene", -2)) == 2 * 3
    assert len(browser.find_elements("css selector", ".bar.filled")) == 2 * 3
    page.click("#people button:nth-child(2)")
    page.until("document.getElementById('scene').data.at(-2).x.length === 3")
    check_projection(page, people[0].positions_3d[17][~people[0].filled[17]])
    page.click("#people button:nth-child(3)")
    page.set(59)  # the second person has left
    assert len(page.points("scene", -3)) == 0 and len(browser.find_elements("css selector", ".bar.away")) == 17
    page.click("#people button:nth-child(1)")

    first = page.floor()
    page.drag("#scene")
    turned = page.floor()
    assert np.abs(turned - first).max() > 0.05
    page.set(3)
    np.testing.assert_array_equal(page.floor(), turned)  # a new frame does not turn it back
    page.click("#play")
    page.drag("#scene")  # nor does it while the motion plays
    page.click("#play")
    again = page.floor()
    assert np.abs(again - turned).max() > 0.05
    page.set(3)
    np.testing.assert_array_equal(page.floor(), again)
    for view in ("top", "side"):
        page.click(f"[data-camera={view}]")
        again = page.floor()
    np.testing.assert_array_equal(again, first)

    page.press(Keys.ARROW_RIGHT)
    assert page.frame() == 4
    page.press(Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    assert page.frame() == 2
    page.press(Keys.SPACE)
    page.until("document.querySelector('#play').textContent === 'Pause'")
    page.press(Keys.SPACE)
    page.until("document.querySelector('#play').textContent === 'Play'")

    page.click("#path")
    page.click("#near")
    page.set(5)
    low, high = page.js("document.getElementById('flat')._fullLayout.xaxis.range")
    assert high - low < 1280 * 0.9
    page.close()


@pytest.mark.slow  # as above
def test_speed_and_the_end_of_a_clip(browser, tmp_path):
    path = tmp_path / "view.html"
    viewer.write_viewer(lifted_people(1, 1000, fps=60.0), path)
    page = Page(browser, path)
    rates = []
    for speed in ("0.25", "2"):
        page.set(0)
        page.click(f"#speed option[value='{speed}']")
        start = time.monotonic()
        page.click("#play")
        time.sleep(1.0)
        page.click("#play")
        rates.append(page.frame() / (time.monotonic() - start))
    assert rates == pytest.approx([60 / 4, 60 * 2], rel=0.5)  # frames a second
    page.click("#loop")
    page.set(990)
    page.click("#play")
    page.until("document.querySelector('#play').textContent === 'Play'")
    assert page.frame() == 999
    page.close()


@pytest.mark.slow  # as above
def test_hostile_names_in_a_browser(browser, tmp_path):
    motions = lifted_people(2, 10, names=[HOSTILE, "<a href='https://example.org'>b</a>"])
    viewer.write_viewer(motions, tmp_path / "view.html", title=HOSTILE)
    page = Page(browser, tmp_path / "view.html")
    assert browser.title.startswith("</script>") and page.find("#people button:nth-child(2)").text.startswith(
        "</script>"
    )
    assert not browser.find_elements("css selector", "img, #flat a")
    page.close()


@pytest.mark.slow  # as above
def test_long_clip_in_a_browser(browser, tmp_path):
    motions = [dataclasses.replace(motion, trajectory=None) for motion in lifted_people(2, 10_000, fps=50.0)]
    viewer.write_viewer(motions, tmp_path / "view.html")
    page = Page(browser, tmp_path / "view.html")
    page.set(9_000)
    assert not page.find("#path-choice").is_displayed()  # nobody's path is known
    start = time.monotonic()
    for frame in range(100, 110):
        page.set(frame)
    assert (time.monotonic() - start) / 10 < 1.0  # on a busy machine; some 30 ms on a quiet one
    page.close()
