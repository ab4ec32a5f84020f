"""The viewer as its user meets it: clicked through in Chromium."""

import dataclasses
import json
import shutil
import time

import numpy as np
import pytest
from lifted_people import lifted_people
from test_viewer import HOSTILE

from mpm_keras.viz import viewer

pytestmark = [pytest.mark.numpy_only, pytest.mark.slow]  # a browser takes its time on a busy machine


@pytest.fixture(scope="module")
def people():
    return lifted_people(2, 60)


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


def test_hostile_names_in_a_browser(browser, tmp_path):
    motions = lifted_people(2, 10, names=[HOSTILE, "<a href='https://example.org'>b</a>"])
    viewer.write_viewer(motions, tmp_path / "view.html", title=HOSTILE)
    page = Page(browser, tmp_path / "view.html")
    assert browser.title.startswith("</script>") and page.find("#people button:nth-child(2)").text.startswith(
        "</script>"
    )
    assert not browser.find_elements("css selector", "img, #flat a")
    page.close()


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
