"""One HTML page to look at lifted motion: 2D and 3D side by side, by double click, without a network.

The page carries plotly.js (from the `plotly` package), the code in `page/` and the motion as whole
numbers of 16 bits in base64, some 280 bytes a frame and person. It draws one frame at a time, so that
a clip may be long.
"""

import base64
import hashlib
import html
import json
import os
from importlib import resources
from string import Template

import numpy as np

from mpm_keras.errors import InputError
from mpm_keras.files import atomic_write
from mpm_keras.inference.lifted import LiftedMotion
from mpm_keras.viz.people import FILLED, PEOPLE, check_people, place_filled
from mpm_keras.viz.skeleton import LEFT, MIDDLE, RIGHT, side_colours

_CODE = ("data.js", "traces.js", "views.js", "orbit.js", "viewer.js")
MISSING, _LARGEST = -32768, 32767
# Finest step and largest value of what the page shows; what lies beyond cannot be drawn.
_METRES, _ROOT_METRES, _PIXEL = (0.0005, 16.0), (0.001, 1000.0), 1 / 16


def write_viewer(motions: list[LiftedMotion], path: str | os.PathLike, title: str = "Lifted motion"):
    """Writes a self-contained HTML page that plays the motion of one or several people.

    Left the keypoints in the picture's coordinates, right the skeleton in 3D, to be turned and zoomed;
    beside them how sure the detector was of each joint, below a time line. Joints that the network
    filled in are hollow; where the picture shows them is estimated from their 3D positions.

    Args:
        motions: people of one clip: the same frames, frame rate, image size and skeleton.
        path: the page to write, such as `view.html`.
        title: of the page.

    Raises:
        InputError: if plotly is not installed.
        ValueError: if there is nobody or nothing to show, or the people are not of one clip.
    """
    check_people(motions)
    data = _json(_page_data(motions))
    parts = resources.files("mpm_keras.viz") / "page"
    template, style, *code = ((parts / name).read_text("utf-8") for name in ("viewer.html", "viewer.css", *_CODE))
    scripts = {"plotly": _plotly_js(path), "code": "\n".join(['\n"use strict";\n{', *code, "}\n"])}
    page = Template(template).substitute(
        scripts, title=html.escape(title), style=style, data=data, hashes=" ".join(map(_hash, scripts.values()))
    )
    atomic_write(path, lambda file: file.write(page.encode("utf-8", "replace")))


def _page_data(motions) -> dict:
    """What the page's code reads: JSON values."""
    first = motions[0]
    sides = {LEFT: "left", RIGHT: "right", MIDDLE: "middle"}
    return {
        "frames": len(first.positions_3d),
        "fps": float(first.fps),
        "imageSize": [int(n) for n in first.image_size],
        "joints": list(first.skeleton.joints),
        "bones": [list(bone) for bone in first.skeleton.bones],
        "root": first.skeleton.root,
        "limbs": _limbs(first.skeleton),
        "sides": [sides[colour] for colour in side_colours(first.skeleton)],
        "colours": {"left": LEFT, "right": RIGHT, "filled": FILLED},
        "missing": MISSING,
        "people": [_person(motion, PEOPLE[k % len(PEOPLE)]) for k, motion in enumerate(motions)],
    }


def _limbs(skeleton) -> list[str]:
    """The arm or leg that each joint belongs to; all others are of the trunk."""
    limbs = {j: name for name, joints in skeleton.limbs.items() if name.endswith(("arm", "leg")) for j in joints}
    return [limbs.get(j, "trunk") for j in range(skeleton.num_joints)]


def _person(motion, colour) -> dict:
    certain = np.nan_to_num(np.asarray(motion.confidence, float)).clip(0, 1)
    values = {
        "name": str(motion.name),
        "colour": colour,
        "positions": _packed(motion.positions_3d, *_METRES),
        "keypoints": _packed(place_filled(motion), _PIXEL, 4 * max(motion.image_size)),
        "confidence": _base64((255 * certain).round().astype("u1")),
        "filled": _base64(np.asarray(motion.filled, bool).astype("u1")),
        "assumptions": {str(key): _text(value) for key, value in motion.assumptions.items()},
    }
    if motion.trajectory is not None:
        values["trajectory"] = _packed(motion.trajectory, *_ROOT_METRES)
    return values


def _packed(values, step, limit) -> dict:
    """Values as 16-bit multiples of a step that is as fine as the largest of them allows."""
    values = np.asarray(values, float)
    good = np.isfinite(values) & (np.abs(np.nan_to_num(values)) <= limit)
    values = np.where(good, values, 0.0)
    step = max(step, float(np.abs(values).max()) / _LARGEST)
    whole = np.where(good, np.rint(values / step), MISSING)
    return {"step": step, "data": _base64(whole.astype("<i2"))}


def _base64(array) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def _text(value) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _json(value) -> str:
    """JSON that ends no script element, whatever its strings hold."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _plotly_js(path) -> str:
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise InputError(f"{os.fspath(path)}: the viewer needs the package plotly: pip install plotly") from error
    return get_plotlyjs().replace("\r\n", "\n").replace("\r", "\n")  # as a browser reads it, for the hash


def _hash(script) -> str:
    """A script's word in the page's security policy: no other script runs there."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
