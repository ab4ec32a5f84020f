"""Pictures: they exist, have the right size and frames, and show what they should."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from mpm_keras.data.synthetic import synthetic_motion
from mpm_keras.errors import InputError
from mpm_keras.skeletons import H36M_16, H36M_17
from mpm_keras.viz import skeleton as viz

pytestmark = pytest.mark.numpy_only


@pytest.fixture(scope="module")
def motion():
    return synthetic_motion(2, 2.0, seed=1)


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def has_colour(image, colour):
    rgb = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)])
    return bool((np.abs(image - rgb).sum(-1) < 30).any())


def axes(three=False):
    figure = viz._figure(2, 2)
    return figure.add_axes((0, 0, 1, 1), projection="3d" if three else None)


def test_side_colours_follow_the_pairs():
    for skeleton in (H36M_17, H36M_16):
        colours = dict(zip(skeleton.joints, viz.side_colours(skeleton), strict=True))
        assert colours["LWrist"] == viz.LEFT and colours["RFoot"] == viz.RIGHT and colours["Spine"] == viz.MIDDLE


def test_draw_2d_points_down_and_hides_joints(motion):
    pose = motion.clip(0)[0, :, [0, 2]].T
    ax = axes()
    viz.draw_pose_2d(ax, pose)
    assert ax.yaxis_inverted() and len(ax.lines) == 16 + 17
    viz.draw_pose_2d(ax, pose)
    assert ax.yaxis_inverted()  # a second pose does not turn the axes back
    hidden = np.arange(17) == 10  # the head: one bone less
    ax = axes()
    viz.draw_pose_2d(ax, pose, hidden=hidden)
    assert len(ax.lines) == 15 + 17
    ax = axes()
    viz.draw_pose_2d(ax, pose, hidden=hidden, show_hidden=False)
    assert len(ax.lines) == 15 + 16


def test_draw_3d_camera_frame_is_upright(motion):
    world = motion.clip(0)[0] - motion.clip(0)[0, 0]
    camera = np.stack([world[:, 0], -world[:, 2], world[:, 1]], -1)
    drawn = []
    for pose, frame in ((world, "world"), (camera, "camera")):
        ax = axes(True)
        viz.draw_pose_3d(ax, pose, frame=frame)
        drawn.append(np.array([line.get_data_3d() for line in ax.lines[16:]])[..., 0])
    assert np.allclose(drawn[0], world, atol=1e-6) and np.allclose(drawn[1], world, atol=1e-6)


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match=r"pose of shape \(17, 2\)"):
        viz.draw_pose_2d(axes(), np.zeros((16, 2)))
    with pytest.raises(ValueError, match=r"mask of shape \(17,\)"):
        viz.draw_pose_2d(axes(), np.zeros((17, 2)), hidden=np.zeros(3, bool))
    with pytest.raises(ValueError, match="unknown frame 'side'"):
        viz.draw_pose_3d(axes(True), np.zeros((17, 3)), frame="side")


def test_contact_sheet(motion, tmp_path):
    path = tmp_path / "sheet.png"
    viz.contact_sheet(motion, path, frames=4)
    image = pixels(path)
    assert image.shape == (340, 670, 3)
    assert has_colour(image, viz.LEFT) and has_colour(image, viz.RIGHT)
    viz.contact_sheet([motion.clip(0)], path, frames=3)
    assert pixels(path).shape == (170, 540, 3)
    with pytest.raises(ValueError, match="needs clips"):
        viz.contact_sheet([], path)


def test_animation_frames_and_time(motion, tmp_path):
    path = tmp_path / "clip.gif"
    viz.animate(motion.clip(0)[::20], path, fps=10, title="walk")
    with Image.open(path) as gif:
        assert gif.n_frames == 5 and gif.size == (480, 480) and gif.info["duration"] == 100
        assert has_colour(np.asarray(gif.convert("RGB")).astype(int), viz.LEFT)


def test_animation_errors(motion, tmp_path, monkeypatch):
    from matplotlib.animation import FFMpegWriter

    with pytest.raises(InputError, match=r"clip\.avi: .*\.gif or \.mp4"):
        viz.animate(motion.clip(0)[:2], tmp_path / "clip.avi")
    monkeypatch.setattr(FFMpegWriter, "isAvailable", classmethod(lambda cls: False))
    with pytest.raises(InputError, match="needs the ffmpeg program"):
        viz.animate(motion.clip(0)[:2], tmp_path / "clip.mp4")
    with pytest.raises(ValueError, match="expected poses of shape"):
        viz.animate(np.zeros((2, 16, 3)), tmp_path / "clip.gif")
    assert not list(tmp_path.iterdir())


def window(motion):
    world = motion.clip(0)[:27] - motion.clip(0)[:27, :1]
    camera = np.stack([world[..., 0], -world[..., 2], world[..., 1]], -1)
    masked = np.zeros((27, 17), bool)
    masked[:, 3:8] = True
    masked[13] = True
    arrays = {"true_3d": camera, "masked_3d": masked, "predicted_3d": camera + 0.02}
    return arrays | {"true_2d": camera[..., :2] / 4, "masked_2d": masked, "predicted_2d": camera[..., :2] / 4 + 0.01}


def test_reconstruction_figure(motion, tmp_path):
    path = tmp_path / "reconstruction.png"
    viz.reconstruction_figure(path, **window(motion), frames=[0, 13, 26])
    image = pixels(path)
    assert image.shape == (1200, 600, 3)
    # Column 1 is a hidden frame: nothing of a person in its masked row, but in the two rows below it.
    cells = image[:, 290:445]
    assert not has_colour(cells[110:270], viz.LEFT)
    assert has_colour(cells[280:430], viz.LEFT) and has_colour(cells[450:600], viz.RIGHT)


def test_reconstruction_figure_refuses(motion, tmp_path):
    arrays = window(motion)
    with pytest.raises(ValueError, match=r"frames must be some of 0\.\.26"):
        viz.reconstruction_figure(tmp_path / "a.png", **arrays, frames=[27])
    with pytest.raises(ValueError, match="3D: expected truth, mask and prediction"):
        viz.reconstruction_figure(tmp_path / "a.png", **arrays | {"masked_3d": arrays["masked_3d"][:3]})


def test_no_global_state():
    code = "import sys, mpm_keras.viz.skeleton as v; assert 'matplotlib' not in sys.modules; v._figure(1, 1);"
    code += "assert 'matplotlib.pyplot' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def reconstruction(modality):
    rng, dims = np.random.default_rng(0), int(modality[0])
    pose = rng.normal(size=(5, 17, dims))
    return {f"true_{modality}": pose, f"predicted_{modality}": pose, f"masked_{modality}": rng.random((5, 17)) < 0.3}


@pytest.mark.parametrize("modality", ["2d", "3d"])
def test_reconstruction_of_one_modality_alone(modality, tmp_path):
    viz.reconstruction_figure(tmp_path / "one.png", **reconstruction(modality))
    viz.reconstruction_figure(tmp_path / "both.png", **reconstruction("2d"), **reconstruction("3d"))
    (width, height), (width_both, height_both) = (Image.open(tmp_path / f"{n}.png").size for n in ("one", "both"))
    assert width == width_both and 1.8 * height < height_both < 2 * height


def test_reconstruction_needs_something(tmp_path):
    with pytest.raises(ValueError, match="2D poses, 3D poses or both"):
        viz.reconstruction_figure(tmp_path / "none.png")
