"""Presets exported to each format, loaded by its own runtime, compared with the source."""

import importlib.util
import json
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
from harness import seed_weights, to_numpy

from mpm_keras.errors import InputError
from mpm_keras.export import ExportRefused, export_preset, host, job, runtimes, to_litert
from mpm_keras.export.signatures import signatures_of
from mpm_keras.models import MPMLifter, MPMPretrainer, MPMRefiner, save_preset
from mpm_keras.models.presets import sha256

BACKEND = keras.backend.backend()
SIZE = dict(frames=9, joints=17, layers=1, width=32, encoder_width=32, heads=4, feed_forward=32)
FACTS = {"skeleton": "h36m17", "stride": 2, "fps": 50.0, "detector": "noisy"}
RUNTIMES = {"tf_saved_model": "tensorflow", "onnx": "onnxruntime", "litert": "ai_edge_litert", "openvino": "openvino"}

converts = pytest.mark.skipif(BACKEND != "tensorflow", reason="conversion itself runs on TensorFlow alone")

RNG = np.random.default_rng(1)
SCREEN = (0.3 * RNG.normal(size=(2, 9, 17, 2))).astype("float32")
CAMERA = (0.3 * RNG.normal(size=(2, 9, 17, 3))).astype("float32")
HIDDEN = RNG.random((2, 9, 17)) < 0.3
IMAGES = np.array([[1920, 1080], [720, 1280]], "float32")


def need(export_format):
    """Skips where the packages of a format are not installed."""
    names = {*host.FORMATS[export_format].NEEDS, RUNTIMES[export_format]}
    if missing := sorted(name for name in names if importlib.util.find_spec(name) is None):
        pytest.skip(f"EXPORT NOT TESTED: {export_format} needs {', '.join(missing)} (requirements-dev.txt)")


def make(kind, folder, **options):
    network = kind(**SIZE, **options)
    seed_weights(network, scale=0.2)
    save_preset(network, folder, **FACTS)
    return network


@pytest.fixture(scope="module")
def lifter(tmp_path_factory):
    """(network, folder of its preset): the normalisation is the harder one."""
    folder = tmp_path_factory.mktemp("lifter")
    return make(MPMLifter, folder, normalization="window"), folder


def arrays(signature, **inputs):
    return {f"{signature}|x|{name}": value for name, value in inputs.items()}


def check_files(out, card):
    assert json.loads(out.with_name(out.name + ".json").read_text()) == card
    for name, total in card["files"].items():
        assert sha256(out.parent / name) == total
    assert not list(out.parent.glob(".export-*")), "temporary files are left"


@converts
@pytest.mark.parametrize("export_format, suffix", [("onnx", ".onnx"), ("litert", ".tflite"), ("openvino", ".xml")])
def test_one_graph(export_format, suffix, lifter, tmp_path):
    need(export_format)
    network, folder = lifter
    card = export_preset(folder, export_format, tmp_path / "new" / "lifter")
    out = tmp_path / "new" / f"lifter{suffix}"
    assert out.name in card["files"] and len(card["files"]) == (2 if suffix == ".xml" else 1)
    check_files(out, card)
    assert card["verified"]["largest_difference"] <= 0.1 and card["verified"]["cases"] == 8
    assert list(card["signatures"]) == ["lift_with_hidden"] and card["joints"][0] == "Hip"
    assert card["normalization"]["network"] == "window" and card["window"] == {"frames": 9, "stride": 2, "fps": 50.0}

    found = runtimes.run_cases(
        export_format, str(out), arrays("lift_with_hidden", pose_2d=SCREEN, hidden=HIDDEN)
    )  # fmt: skip
    assert str(found["runtime"]).startswith(RUNTIMES[export_format])
    expected = network({"pose_2d": SCREEN, "hidden": HIDDEN}, training=False)
    for name in ("center", "sequence"):
        np.testing.assert_allclose(found[f"lift_with_hidden|x|{name}"], to_numpy(expected[name]), atol=1e-4)


@converts
def test_another_part_and_signature(tmp_path):
    need("litert")
    network = make(MPMPretrainer, tmp_path / "preset", hidden_frames=5)
    card = export_preset(tmp_path / "preset", "litert", tmp_path / "a", signature="features_3d")
    assert card["part"] == "backbone" and "largest feature" in card["verified"]["unit"]
    found = runtimes.run_cases(
        "litert", str(tmp_path / "a.tflite"), arrays("features_3d", pose_3d=CAMERA, hidden=HIDDEN)
    )
    expected = to_numpy(network.backbone(network.joint_tokens["3d"](CAMERA, HIDDEN), modality="3d"))
    np.testing.assert_allclose(found["features_3d|x|features"], expected, atol=1e-4 * abs(expected).max())

    lifter = tmp_path / "lifter"  # a preset that brings its completer along
    make(MPMLifter, lifter)
    shutil.copytree(tmp_path / "preset", lifter / "completion")
    card = export_preset(lifter, "litert", tmp_path / "b", part="completer")
    assert card["verified"]["unit"] == "mm"
    found = runtimes.run_cases("litert", str(tmp_path / "b.tflite"), arrays("complete", pose_3d=CAMERA, hidden=HIDDEN))
    completed = found["complete|x|completed"]
    np.testing.assert_array_equal(completed[~HIDDEN], CAMERA[~HIDDEN])
    assert abs(completed - CAMERA)[HIDDEN].min() > 0


ALONE = """
import sys
sys.modules["keras"] = sys.modules["tf_keras"] = sys.modules["mpm_keras"] = None
import numpy as np, tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
given = np.load(sys.argv[2])
calls = {
    "serving_default": ("pose_2d",), "lift": ("pose_2d",), "lift_with_hidden": ("pose_2d", "hidden"),
    "lift_pixels": ("keypoints", "image_size"), "lift_pixels_with_hidden": ("keypoints", "image_size", "hidden"),
}
assert set(calls) == set(model.signatures), set(model.signatures)
out = {}
for name, inputs in calls.items():
    for key, value in model.signatures[name](**{i: tf.constant(given[i]) for i in inputs}).items():
        out[name + "|" + key] = value.numpy()
assert sys.modules["keras"] is None
np.savez(sys.argv[3], **out)
"""


@converts
def test_saved_model_stands_alone(lifter, tmp_path):
    network, folder = lifter
    out = tmp_path / "saved"
    card = export_preset(folder, "tf_saved_model", out)
    check_files(out, card)
    assert card["serving_default"] == "lift" and "saved/saved_model.pb" in card["files"]
    keypoints = (SCREEN * IMAGES[:, None, None, :1] / 2 + IMAGES[:, None, None] / 2).astype("float32")
    np.savez(tmp_path / "in.npz", pose_2d=SCREEN, hidden=HIDDEN, keypoints=keypoints, image_size=IMAGES)
    command = [sys.executable, "-c", ALONE, str(out), str(tmp_path / "in.npz"), str(tmp_path / "out.npz")]
    subprocess.run(command, check=True, timeout=300)
    found = np.load(tmp_path / "out.npz")
    given = {"pose_2d": SCREEN, "hidden": HIDDEN, "keypoints": keypoints, "image_size": IMAGES}
    for name, signature in signatures_of(network, "lifter", FACTS).items():
        expected = signature.function(**{key: given[key] for key in signature.inputs})
        for output, value in expected.items():
            np.testing.assert_allclose(found[f"{name}|{output}"], to_numpy(value), atol=1e-4)
            if name == "lift":
                np.testing.assert_array_equal(found[f"serving_default|{output}"], found[f"lift|{output}"])


@converts
def test_a_network_that_differs_is_refused(lifter, tmp_path, monkeypatch):
    need("litert")
    write = to_litert.write

    def wrong(network, signatures, path):
        bias = network.decoder.head.dense.bias
        bias.assign(bias + 0.002)
        write(network, signatures, path)

    monkeypatch.setattr(to_litert, "write", wrong)
    with pytest.raises(ExportRefused, match=r"differs from its source by 2(\.\d+)? mm, 0.1 are allowed; nothing was"):
        export_preset(lifter[1], "litert", tmp_path / "lifter")
    assert not list(tmp_path.iterdir())


@converts
def test_a_failed_conversion_is_one_line(lifter, tmp_path, monkeypatch):
    def broken(network, signatures, path):
        raise RuntimeError("no such\n  operation")

    monkeypatch.setattr(to_litert, "write", broken)
    with pytest.raises(ExportRefused, match="^the conversion failed: no such operation$"):
        export_preset(lifter[1], "litert", tmp_path / "lifter")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(BACKEND != "jax", reason="one other backend is enough; it starts a TensorFlow of its own")
def test_another_backend_hands_its_weights_to_one_that_can(lifter, tmp_path):
    need("litert")
    network, folder = lifter
    card = export_preset(folder, "litert", tmp_path / "lifter")
    assert card["verified"]["against"].endswith("on jax")
    found = runtimes.run_cases(
        "litert", str(tmp_path / "lifter.tflite"), arrays("lift_with_hidden", pose_2d=SCREEN, hidden=HIDDEN)
    )
    expected = to_numpy(network({"pose_2d": SCREEN, "hidden": HIDDEN}, training=False)["center"])
    np.testing.assert_allclose(found["lift_with_hidden|x|center"], expected, atol=1e-4)


def test_nothing_is_written_over(lifter, tmp_path):
    (tmp_path / "lifter.tflite").write_text("mine")
    with pytest.raises(InputError, match=r"lifter\.tflite: exists already; name another place or remove it"):
        export_preset(lifter[1], "litert", tmp_path / "lifter")
    assert (tmp_path / "lifter.tflite").read_text() == "mine" and len(list(tmp_path.iterdir())) == 1


def test_wrong_names_are_refused_before_anything_is_written(lifter, tmp_path, monkeypatch):
    folder, out = lifter[1], tmp_path / "out"

    def refused(*arguments, **options):
        with pytest.raises(InputError) as caught:
            export_preset(*arguments, **options)
        return str(caught.value)

    assert "unknown format 'caffe'; known: tf_saved_model, onnx, litert, openvino" in refused(folder, "caffe", out)
    assert "has no completer" in refused(folder, "litert", out, part="completer")
    assert "no signature 'complete'; known: lift, " in refused(folder, "litert", out, signature="complete")
    assert "holds all signatures" in refused(folder, "tf_saved_model", out, signature="lift")
    assert "gone: no such folder" in refused(tmp_path / "gone", "litert", out)
    save_preset(MPMRefiner(joints=17, units=8), tmp_path / "refiner")
    assert "an MPMRefiner is not exported by itself" in refused(tmp_path / "refiner", "litert", out)
    save_preset(lifter[0], tmp_path / "vague", detector="noisy")
    assert "the fact 'skeleton' is missing" in refused(tmp_path / "vague", "litert", out)
    (tmp_path / "file").write_text("")
    assert "not a folder that can be written to" in refused(folder, "litert", tmp_path / "file" / "out")
    monkeypatch.setattr(job.importlib.util, "find_spec", lambda name: None)
    assert refused(folder, "onnx", out) == (
        "onnx needs tensorflow and tf2onnx and onnxruntime: pip install tensorflow tf2onnx onnxruntime"
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "refiner", "vague"]
