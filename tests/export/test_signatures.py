"""What exported functions compute, on the active backend: the network's own results, by name."""

import keras
import numpy as np
import pytest
from harness import seed_weights, to_numpy

from mpm_keras.errors import InputError
from mpm_keras.export.signatures import PARTS, default_part, signatures_of
from mpm_keras.inference.clips import complete_clip
from mpm_keras.models import MPMLifter, MPMPretrainer, MPMRefiner
from mpm_keras.skeletons import H36M_17

SIZE = dict(frames=9, joints=17, layers=1, width=8, encoder_width=12, heads=2, feed_forward=8)
RNG = np.random.default_rng(0)
SCREEN = (0.3 * RNG.normal(size=(2, 9, 17, 2))).astype("float32")
CAMERA = (0.3 * RNG.normal(size=(2, 9, 17, 3))).astype("float32")
HIDDEN = RNG.random((2, 9, 17)) < 0.3
IMAGES = np.array([[1920, 1080], [720, 1280]], "float32")


def make(kind, **options):
    network = kind(**SIZE, **options)
    seed_weights(network)
    return network


def call(network, part, name, **inputs):
    signature = signatures_of(network, part)[name]
    assert tuple(inputs) == tuple(signature.inputs)
    for key, value in inputs.items():
        assert (value.shape[1:], str(value.dtype)) == (signature.inputs[key].shape, signature.inputs[key].dtype)
    outputs = signature.function(**{k: keras.ops.convert_to_tensor(v) for k, v in inputs.items()})
    assert {k: tuple(v.shape[1:]) for k, v in outputs.items()} == {k: t.shape for k, t in signature.outputs.items()}
    return {name: to_numpy(value) for name, value in outputs.items()}


def with_nan(pose):
    return np.where(HIDDEN[..., None], np.float32(np.nan), pose)


@pytest.mark.parametrize("normalization", ["screen", "window"])
def test_lifter(normalization):
    network = make(MPMLifter, normalization=normalization)
    seen = {k: to_numpy(v) for k, v in network({"pose_2d": SCREEN}, training=False).items()}
    partial = {k: to_numpy(v) for k, v in network({"pose_2d": SCREEN, "hidden": HIDDEN}, training=False).items()}
    assert abs(seen["center"] - partial["center"]).max() > 1e-3
    scale = IMAGES[:, None, None, :1] / 2
    pixels = (SCREEN * scale + IMAGES[:, None, None] / 2).astype("float32")
    runs = (
        (seen, call(network, "lifter", "lift", pose_2d=SCREEN)),
        (seen, call(network, "lifter", "lift_pixels", keypoints=pixels, image_size=IMAGES)),
        (partial, call(network, "lifter", "lift_with_hidden", pose_2d=with_nan(SCREEN), hidden=HIDDEN)),
        (partial, call(network, "lifter", "lift_with_hidden", pose_2d=with_nan(SCREEN), hidden=HIDDEN & False)),
        (
            partial,
            call(
                network, "lifter", "lift_pixels_with_hidden", keypoints=with_nan(pixels), image_size=IMAGES,
                hidden=HIDDEN,
            ),
        ),
    )  # fmt: skip
    for expected, found in runs:
        for name in ("center", "sequence"):
            np.testing.assert_allclose(found[name], expected[name], atol=1e-4)


def test_completer_is_one_window_of_complete_clip():
    network = make(MPMPretrainer)
    found = call(network, "completer", "complete", pose_3d=with_nan(CAMERA), hidden=HIDDEN)["completed"]
    np.testing.assert_array_equal(found[~HIDDEN], CAMERA[~HIDDEN])
    for pose, hidden, completed in zip(CAMERA, HIDDEN, found, strict=True):
        expected = complete_clip(network, pose, hidden, H36M_17, flip=False)
        np.testing.assert_allclose(completed, expected, atol=1e-5)


@pytest.mark.parametrize("normalization", ["screen", "window"])
def test_backbones_of_both_stages_give_the_same_features(normalization):
    stage_1, stage_2 = (
        make(MPMPretrainer, normalization=normalization, hidden_frames=4),
        make(MPMLifter, normalization=normalization),
    )
    for part in ("encoders", "spatial", "positions", "blocks"):
        copy(getattr(stage_1.backbone, part), getattr(stage_2.backbone, part))
    copy(stage_1.joint_tokens["2d"], stage_2.joint_token)
    inputs = {"pose_2d": with_nan(SCREEN), "hidden": HIDDEN}
    first, second = (call(n, "backbone", "features_2d", **inputs)["features"] for n in (stage_1, stage_2))
    np.testing.assert_allclose(first, second, atol=1e-5)
    np.testing.assert_allclose(second, to_numpy(stage_2.features({"pose_2d": SCREEN, "hidden": HIDDEN})), atol=1e-5)
    found = call(stage_1, "backbone", "features_3d", pose_3d=with_nan(CAMERA), hidden=HIDDEN)["features"]
    tokens = stage_1.joint_tokens["3d"](CAMERA, HIDDEN)
    np.testing.assert_allclose(found, to_numpy(stage_1.backbone(tokens, modality="3d")), atol=1e-5)
    assert "features_3d" not in signatures_of(stage_2, "backbone")


def copy(source, target):
    """Weights of a layer, or of layers in a list or by name."""
    if isinstance(source, dict):
        source, target = source["2d"], target["2d"]
    sources, targets = (x if isinstance(x, list) else [x] for x in (source, target))
    for a, b in zip(sources, targets, strict=True):
        b.set_weights(a.get_weights())


def test_every_part_has_its_default_signature():
    for kind, part in ((MPMLifter, "lifter"), (MPMPretrainer, "completer"), (MPMPretrainer, "backbone")):
        assert PARTS[part] in signatures_of(make(kind), part)
    assert next(iter(signatures_of(make(MPMLifter), "lifter"))) == "lift"
    assert default_part("MPMLifter", {}) == "lifter"
    assert default_part("MPMPretrainer", {"hidden_frames": 0}) == "completer"
    assert default_part("MPMPretrainer", {"hidden_frames": 16}) == "backbone"


def test_wrong_parts_are_named():
    with pytest.raises(InputError, match="an MPMLifter has no completer; give a preset of an MPMPretrainer"):
        signatures_of(make(MPMLifter), "completer")
    with pytest.raises(InputError, match="an MPMPretrainer has no lifter; give a preset of an MPMLifter"):
        signatures_of(make(MPMPretrainer), "lifter")
    with pytest.raises(InputError, match="no hidden frames, this network has 4"):
        signatures_of(make(MPMPretrainer, hidden_frames=4), "completer")
    with pytest.raises(InputError, match="unknown part 'head'; known: lifter, completer, backbone"):
        signatures_of(make(MPMLifter), "head")
    with pytest.raises(InputError, match="an MPMRefiner is not exported by itself"):
        default_part(MPMRefiner.__name__, {})
