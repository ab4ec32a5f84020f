"""Is an exported network the network that it was made from? Both get the same batches."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from keras import ops

from mpm_keras.data.cameras import film
from mpm_keras.data.synthetic import synthetic_motion
from mpm_keras.export import runtimes
from mpm_keras.geometry import denormalize_screen
from mpm_keras.skeletons import H36M_16, H36M_17

BATCH_SIZES = (1, 3)
IMAGE_SIZES = ((1920, 1080), (1000, 1002), (720, 1280))  # width, height of each row of a batch
HIDDEN_SHARE = 0.3
# A case with the joints that it hides: some, with NaN in their places and a frame without any, or none.
CASES = tuple(
    (kind, hides, size) for kind in ("random", "realistic") for hides in (True, False) for size in BATCH_SIZES
)


class ExportRefused(RuntimeError):
    """An export that failed or differs from its source; the message is one line."""


def make_cases(signatures, frames: int, joints: int, seed: int = 0) -> dict[str, np.ndarray]:
    """{`signature|case|input`: array} of batches to compare with.

    Random poses, and synthetic motion before virtual cameras where the joints are Human3.6M's.
    """
    rng = np.random.default_rng(seed)
    poses = {"random": random_poses(rng, frames, joints), "realistic": realistic_poses(frames, joints)}
    cases = {}
    for kind, hides, size in CASES:
        if poses[kind] is None:
            continue
        tensors = batch(poses[kind], rng, hides, size)
        for signature in signatures:
            for name in signature.inputs:
                value = tensors[name]
                if name != "hidden" and hides and "hidden" in signature.inputs and name != "image_size":
                    value = np.where(tensors["hidden"][..., None], np.float32(np.nan), value)
                cases[f"{signature.name}|{kind}_{'hidden' if hides else 'seen'}_{size}|{name}"] = value
    return cases


def batch(poses: dict, rng, hides: bool, size: int) -> dict[str, np.ndarray]:
    """The first `size` windows, under the names of all inputs that a signature may have."""
    pose_2d, pose_3d = poses["2d"][:size], poses["3d"][:size]
    hidden = np.zeros(pose_2d.shape[:3], bool)
    if hides:
        hidden = rng.random(hidden.shape) < HIDDEN_SHARE
        hidden[0, hidden.shape[1] // 3] = True
    pixels = [denormalize_screen(pose, *image) for pose, image in zip(pose_2d, IMAGE_SIZES, strict=False)]
    return {
        "pose_2d": pose_2d,
        "pose_3d": pose_3d,
        "hidden": hidden,
        "keypoints": np.stack(pixels).astype(np.float32),
        "image_size": np.array(IMAGE_SIZES[:size], np.float32),
    }


def random_poses(rng, frames: int, joints: int) -> dict[str, np.ndarray]:
    """Windows without any order, as far apart as people's joints."""
    shape = (max(BATCH_SIZES), frames, joints)
    poses = {m: (0.3 * rng.normal(size=(*shape, int(m[0])))).astype(np.float32) for m in ("2d", "3d")}
    poses["3d"] -= poses["3d"][..., :1, :]
    return poses


def realistic_poses(frames: int, joints: int) -> dict[str, np.ndarray] | None:
    """Windows of synthetic motion as cameras see it; None for joints that it does not have."""
    skeleton = {s.num_joints: s for s in (H36M_17, H36M_16)}.get(joints)
    if skeleton is None:
        return None
    views = film(synthetic_motion(max(BATCH_SIZES), seconds=max(frames / 50 + 0.1, 1.0)))
    order = skeleton.select_from(H36M_17)
    starts = views.offsets[:-1, None] + np.arange(frames)
    return {"2d": views.pose_2d[starts][:, :, order], "3d": views.pose_3d[starts][:, :, order]}


def source_outputs(signatures: dict, cases: dict) -> dict[str, np.ndarray]:
    """What the source network gives on the active backend: {`signature|case|output`: array}."""
    grouped, outputs = {}, {}
    for key, value in cases.items():
        signature, case, name = key.split("|")
        grouped.setdefault((signature, case), {})[name] = ops.convert_to_tensor(value)
    for (signature, case), inputs in grouped.items():
        for name, value in signatures[signature].function(**inputs).items():
            outputs[f"{signature}|{case}|{name}"] = ops.convert_to_numpy(value)
    return outputs


def exported_outputs(export_format: str, artefact: Path, cases: dict, folder: Path) -> dict[str, np.ndarray]:
    """What the exported network gives in a process that can import neither Keras nor this package.

    Raises `ExportRefused` where it cannot be run.
    """
    np.savez(folder / "cases.npz", **cases)
    command = [sys.executable, "-P", runtimes.__file__, export_format, str(artefact)]
    run_process([*command, str(folder / "cases.npz"), str(folder / "outputs.npz")], "the exported network does not run")
    with np.load(folder / "outputs.npz", allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def run_process(command: list[str], failure: str, **environment: str):
    """Runs a command on the CPU. Raises `ExportRefused` with the last line of its errors."""
    environment = {"TF_CPP_MIN_LOG_LEVEL": "2", **os.environ, "CUDA_VISIBLE_DEVICES": "-1", **environment}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise ExportRefused(f"{failure}: {lines[-1] if lines else f'exit code {done.returncode}'}")


def differences(signatures: dict, expected: dict, found: dict) -> dict[str, dict[str, float]]:
    """{signature: {output: largest difference}} over all cases, see `unit_of`.

    Raises `ExportRefused` for an output that is missing or has another shape.
    """
    found_by_output = {}
    for key, value in expected.items():
        signature, _, name = key.split("|")
        other = found.get(key)
        if other is None or other.shape != value.shape:
            shape = "nothing" if other is None else f"shape {other.shape}"
            raise ExportRefused(f"{signature}: expected {name} of shape {value.shape}, the exported one gives {shape}")
        scale = 1000.0
        if unit_of(signatures[signature]) != "mm":
            scale /= max(float(np.abs(value).max()), 1e-12)
        difference = float(np.abs(other.astype(np.float64) - value).max()) * scale
        found_by_output.setdefault(signature, {}).setdefault(name, []).append(difference)
    return {
        signature: {name: float(np.max(values)) for name, values in outputs.items()}  # NaN stays NaN
        for signature, outputs in found_by_output.items()
    }


def unit_of(signature) -> str:
    """Of a signature's differences: poses in mm, features relative to the largest of a batch."""
    return "per mille of the largest feature" if "features" in signature.outputs else "mm"


def largest_of(found: dict) -> float:
    """The largest difference of all; NaN where there is one."""
    return float(np.max([value for outputs in found.values() for value in outputs.values()]))
