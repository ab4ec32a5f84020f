"""Pictures of lifting: they exist, have the right size, and show what they should."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from mpm_keras.data.synthetic import synthetic_motion
from mpm_keras.errors import InputError
from mpm_keras.skeletons import H36M_16, H36M_17
from mpm_keras.viz import lifting
from mpm_keras.viz.skeleton import LEFT, RIGHT

pytestmark = pytest.mark.numpy_only
COUNT = 5


@pytest.fixture(scope="module")
def arrays():
    world = synthetic_motion(1, 2.0, seed=1).clip(0)[: 10 * COUNT : 10]
    world = world - world[:, :1]
    true = np.stack([world[..., 0], -world[..., 2], world[..., 1]], -1)
    return {"input_2d": true[..., :2] / 4, "predicted_3d": true + [0, 0, 0.05], "true_3d": true}


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def has_colour(image, colour):
    rgb = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)])
    return bool((np.abs(image - rgb).sum(-1) < 30).any())


def test_examples_side_by_side(arrays, tmp_path):
    path = tmp_path / "examples.png"
    lifting.lifting_figure(path, **arrays, skeleton=H36M_17, title="Examples")
    image = pixels(path)
    wide, high = 3 * lifting._CELL + lifting._GAP, lifting._CELL + lifting._HEAD
    assert image.shape[0] == pytest.approx(100 * (3 * high + 0.75), abs=1)  # five in two columns: three rows
    assert image.shape[1] == pytest.approx(100 * (2 * wide + lifting._GAP), abs=1)
    first = image[100:300]
    for panel in range(3):
        left = int(100 * (lifting._GAP + panel * lifting._CELL))
        cell = first[:, left : left + 190]
        assert has_colour(cell, LEFT) and has_colour(cell, RIGHT), panel
    empty = image[-int(100 * high) + 70 :, int(100 * wide) + 50 :]  # the sixth place
    assert (empty > 250).all()


def test_one_example_and_another_skeleton(arrays, tmp_path):
    order = H36M_16.select_from(H36M_17)
    one = {name: pose[:1, order] for name, pose in arrays.items()}
    lifting.lifting_figure(tmp_path / "one.png", **one, skeleton=H36M_16, labels=["a clip"])
    assert pixels(tmp_path / "one.png").shape[1] == pytest.approx(100 * (3 * lifting._CELL + 2 * lifting._GAP), abs=1)


def test_hidden_joints_are_marked(arrays, tmp_path):
    hidden = np.zeros((COUNT, 17), bool)
    hidden[:, H36M_17.limb("left_arm", "left_leg")] = True
    hidden[:, [1, 2, 3, 14, 15, 16]] = True
    lifting.lifting_figure(tmp_path / "a.png", **arrays, skeleton=H36M_17, hidden=hidden)
    flat = pixels(tmp_path / "a.png")[120:290, 60:200]  # the input of the first example
    assert not has_colour(flat, LEFT) and not has_colour(flat, RIGHT)


def test_examples_refuse_what_does_not_fit(arrays, tmp_path):
    with pytest.raises(ValueError, match="expected input, prediction, truth and mask"):
        lifting.lifting_figure(tmp_path / "a.png", **arrays | {"true_3d": arrays["true_3d"][:2]}, skeleton=H36M_17)
    with pytest.raises(ValueError, match="expected input"):
        lifting.lifting_figure(tmp_path / "a.png", **{k: v[:0] for k, v in arrays.items()}, skeleton=H36M_17)
    with pytest.raises(ValueError, match="expected 5 labels, found 1"):
        lifting.lifting_figure(tmp_path / "a.png", **arrays, skeleton=H36M_17, labels=["a"])
    assert not list(tmp_path.iterdir())


def bar_length(path, top, bottom):
    """Pixels of a bar's colours in the longest row of a strip of the picture."""
    image = pixels(path)[top:bottom]
    coloured = np.zeros(image.shape[:2], bool)
    for colour in (LEFT, RIGHT):
        rgb = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)])
        coloured |= np.abs(image - rgb).sum(-1) < 30
    return coloured.sum(axis=1).max()


def test_bars_are_as_long_as_errors(tmp_path):
    errors = np.full(17, 10.0)
    errors[H36M_17.index("LShoulder")] = 40.0
    lifting.joint_error_figure(tmp_path / "bars.png", {"center": errors}, H36M_17)
    image = pixels(tmp_path / "bars.png")
    lengths = np.array([bar_length(tmp_path / "bars.png", y, y + 1) for y in range(image.shape[0])])
    assert lengths.max() == pytest.approx(4 * np.median(lengths[lengths > 0]), rel=0.03)
    lifting.joint_error_figure(tmp_path / "more.png", {"a": errors, "b": errors + 5, "c": errors * 0}, H36M_17)
    assert pixels(tmp_path / "more.png").shape == image.shape
    lifting.joint_error_figure(tmp_path / "sixteen.png", {"a": np.zeros(16)}, H36M_16)  # no errors at all


def test_bars_refuse_what_does_not_fit(tmp_path):
    with pytest.raises(ValueError, match=r"center: expected errors of shape \(17,\), found \(16,\)"):
        lifting.joint_error_figure(tmp_path / "a.png", {"center": np.zeros(16)}, H36M_17)
    for count in (0, 5):
        with pytest.raises(ValueError, match=f"one to four series of errors, found {count}"):
            lifting.joint_error_figure(tmp_path / "a.png", {str(k): np.zeros(17) for k in range(count)}, H36M_17)


def test_animation(arrays, tmp_path):
    path = tmp_path / "clip.gif"
    lifting.animate_lifting(path, **arrays, skeleton=H36M_17, fps=10, title="walk")
    with Image.open(path) as gif:
        assert gif.n_frames == COUNT and gif.size == (870, 375) and gif.info["duration"] == 100
        gif.seek(COUNT - 1)
        last = np.asarray(gif.convert("RGB")).astype(int)
    for panel in range(3):
        assert has_colour(last[60:, 290 * panel : 290 * (panel + 1)], LEFT)
    with pytest.raises(InputError, match=r"clip\.avi"):
        lifting.animate_lifting(tmp_path / "clip.avi", **arrays, skeleton=H36M_17)


def test_no_global_state():
    code = "import sys, mpm_keras.viz.lifting; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
