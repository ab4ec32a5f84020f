"""What an exported network can be called with: named tensors in, named tensors out.

Names, shapes, units and the order of axes stand here once; every format has the same ones.
"""

import dataclasses
from collections.abc import Callable, Mapping

from keras import ops

from mpm_keras.errors import InputError
from mpm_keras.export.pixels import CAMERA, pixels_for
from mpm_keras.models import MPMLifter, MPMPretrainer

# Each part, with the signature that formats of a single graph hold unless told otherwise.
PARTS = {"lifter": "lift_with_hidden", "completer": "complete", "backbone": "features_2d"}

HIDDEN = "true where a joint was not seen; what the pose holds there is not looked at; a joint with NaN is hidden too"


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A tensor by its shape without the batch axis, which is open, its type and its meaning."""

    shape: tuple[int, ...]
    dtype: str
    meaning: str


@dataclasses.dataclass(frozen=True)
class Signature:
    """One way to call an exported network.

    Attributes:
        name: of the signature; formats with a single graph hold one signature.
        inputs: {name: tensor}, in the order of the function's arguments.
        outputs: {name: tensor}.
        function: (**inputs) -> {name: tensor}, in `keras.ops`.
    """

    name: str
    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]
    function: Callable


def signatures_of(network, part: str, facts: Mapping | None = None) -> dict[str, Signature]:
    """{name: signature} of a part of a network; a SavedModel serves the first by default.

    Args:
        network: `MPMLifter` or `MPMPretrainer`.
        part: one of `PARTS`.
        facts: of its preset, see `pixels_for`.

    Raises `InputError` where the network has no such part.
    """
    kinds = {"lifter": MPMLifter, "completer": MPMPretrainer, "backbone": (MPMLifter, MPMPretrainer)}
    if part not in kinds:
        raise InputError(f"unknown part {part!r}; known: {', '.join(PARTS)}")
    if not isinstance(network, kinds[part]):
        raise InputError(f"an {type(network).__name__} has no {part}; {expected_network(part)}")
    make = {"lifter": _lifter, "completer": _completer, "backbone": _backbone}[part]
    return {signature.name: signature for signature in make(network, pixels_for(network, facts or {}))}


def default_part(kind: str, config: Mapping) -> str:
    """The part that a preset was made for, by its class and configuration. Raises `InputError` for a refiner."""
    if kind == "MPMLifter":
        return "lifter"
    if kind == "MPMPretrainer":
        return "backbone" if config.get("hidden_frames") else "completer"
    raise InputError(f"an {kind} is not exported by itself; give a preset of an MPMLifter or an MPMPretrainer")


def expected_network(part: str) -> str:
    return "give a preset of an MPMLifter" if part == "lifter" else "give a preset of an MPMPretrainer"


def _lifter(network, pixels):
    frames, joints = network.frames, network.joints
    pose, keypoints, size, hidden = _inputs_2d(frames, joints, pixels)
    middle, whole = f"pose of frame {frames // 2}, counted from 0", "poses of all frames, less exact"

    def poses(frame):
        return {
            "center": Tensor((1, joints, 3), "float32", f"{middle}; {frame}"),
            "sequence": Tensor((frames, joints, 3), "float32", f"{whole}; {frame}"),
        }

    def lift(pose_2d):
        return network({"pose_2d": pose_2d}, training=False)

    def lift_with_hidden(pose_2d, hidden):
        pose_2d, hidden = numbers_only(pose_2d, hidden)
        return network({"pose_2d": pose_2d, "hidden": hidden}, training=False)

    def lift_pixels(keypoints, image_size):
        pose, view = pixels.enter(keypoints, image_size)
        return {name: pixels.leave(found, view) for name, found in lift(pose).items()}

    def lift_pixels_with_hidden(keypoints, image_size, hidden):
        keypoints, hidden = numbers_only(keypoints, hidden)
        pose, view = pixels.enter(keypoints, image_size, hidden)
        return {name: pixels.leave(found, view) for name, found in lift_with_hidden(pose, hidden).items()}

    return (
        Signature("lift", {"pose_2d": pose}, poses(pixels.frame), lift),
        Signature("lift_with_hidden", {"pose_2d": pose, "hidden": hidden}, poses(pixels.frame), lift_with_hidden),
        Signature("lift_pixels", {"keypoints": keypoints, "image_size": size}, poses(CAMERA), lift_pixels),
        Signature(
            "lift_pixels_with_hidden",
            {"keypoints": keypoints, "image_size": size, "hidden": hidden},
            poses(CAMERA),
            lift_pixels_with_hidden,
        ),
    )


def _completer(network, _):
    frames, joints = network.frames, network.joints
    pose = Tensor((frames, joints, 3), "float32", CAMERA)
    hidden = Tensor((frames, joints), "bool", HIDDEN)
    completed = Tensor((frames, joints, 3), "float32", f"hidden joints filled in, seen ones as they came; {CAMERA}")
    if network.hidden_frames:
        raise InputError(f"a completer has no hidden frames, this network has {network.hidden_frames}")

    def complete(pose_3d, hidden):
        pose_3d, hidden = numbers_only(pose_3d, hidden)
        masks = {"joints": hidden, "frames": ops.zeros_like(hidden[..., 0])}
        predicted = network.reconstruct({"pose_3d": pose_3d, "masks_3d": masks}, "3d", training=False)
        return {"completed": ops.where(hidden[..., None], predicted, pose_3d)}

    return (Signature("complete", {"pose_3d": pose, "hidden": hidden}, {"completed": completed}, complete),)


def _backbone(network, pixels):
    frames, joints, width = network.frames, network.joints, network.backbone.width
    pose, keypoints, size, hidden = _inputs_2d(frames, joints, pixels)
    features = {"features": Tensor((frames, width), "float32", "features of the shared layers, a row per frame")}

    def features_2d(pose_2d, hidden):
        pose_2d, hidden = numbers_only(pose_2d, hidden)
        if isinstance(network, MPMLifter):
            return {"features": network.features({"pose_2d": pose_2d, "hidden": hidden}, training=False)}
        if network.framing is not None:
            pose_2d = network.framing(pose_2d, hidden)["pose"]
        return _encode(pose_2d, hidden, "2d")

    def features_pixels(keypoints, image_size, hidden):
        keypoints, hidden = numbers_only(keypoints, hidden)
        return features_2d(pixels.enter(keypoints, image_size, hidden)[0], hidden)

    def features_3d(pose_3d, hidden):
        return _encode(*numbers_only(pose_3d, hidden), "3d")

    def _encode(pose, hidden, modality):
        pose = network.joint_tokens[modality](pose, hidden)
        return {"features": network.backbone(pose, modality=modality, training=False)}

    made = [
        Signature("features_2d", {"pose_2d": pose, "hidden": hidden}, features, features_2d),
        Signature(
            "features_pixels",
            {"keypoints": keypoints, "image_size": size, "hidden": hidden},
            features,
            features_pixels,
        ),
    ]
    if isinstance(network, MPMPretrainer):
        pose = Tensor((frames, joints, 3), "float32", CAMERA)
        made.append(Signature("features_3d", {"pose_3d": pose, "hidden": hidden}, features, features_3d))
    return made


def _inputs_2d(frames, joints, pixels):
    """The tensors that 2D may come in: what the network takes, pixels with the size of their image, the mask."""
    return (
        Tensor((frames, joints, 2), "float32", pixels.meaning),
        Tensor((frames, joints, 2), "float32", "pixels, x to the right, y down"),
        Tensor((2,), "float32", "width and height of the image, pixels"),
        Tensor((frames, joints), "bool", HIDDEN),
    )


def numbers_only(pose, hidden):
    """The pose with zeros for NaN, and the mask with joints added that held one.

    The condition is `isnan` itself, since tf2onnx writes other selections as sums of products, in which
    NaN survives.
    """
    missing = ops.isnan(pose)
    return ops.where(missing, ops.zeros_like(pose), pose), ops.logical_or(hidden, ops.any(missing, axis=-1))
