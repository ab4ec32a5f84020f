"""From a preset to a verified file of another format."""

import importlib.util
import os
import tempfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import keras

from mpm_keras.errors import InputError
from mpm_keras.export.host import FORMATS, checked_facts, convert, load_part
from mpm_keras.export.pixels import pixels_for
from mpm_keras.export.runtimes import OPENVINO_OPTIONS
from mpm_keras.export.signatures import PARTS, default_part, signatures_of
from mpm_keras.export.verification import (
    BATCH_SIZES,
    ExportRefused,
    differences,
    exported_outputs,
    largest_of,
    make_cases,
    source_outputs,
    unit_of,
)
from mpm_keras.files import write_json
from mpm_keras.inference.pose_lifter import COMPLETION, preset_folder
from mpm_keras.models.presets import inner_preset, network_folder, read_preset, sha256
from mpm_keras.skeletons import SKELETONS


def export_preset(preset, export_format: str, out, *, part=None, signature=None, tolerance_mm: float = 0.1) -> dict:
    """Writes a network in another format, once it was found to give what its source gives.

    Beside `out` stands `<out>.json` with names, shapes, units, sums and differences. Runs on any
    backend; where that cannot export, a process with TensorFlow does it from the same preset. The
    exported network is run on the CPU: a source on an accelerator that computes float32 products
    with fewer bits may differ by more than the tolerance.

    Args:
        preset: folder of a preset or of a run, or the name of a preset of the package.
        export_format: one of `FORMATS`.
        out: the file to write, given its format's ending where it lacks it; a folder for a SavedModel.
        part: "lifter", "completer" or "backbone"; None takes what the preset was made for.
        signature: the one that a format of a single graph holds; None takes the part's default in
            `PARTS`. A SavedModel holds all.
        tolerance_mm: largest difference of a joint coordinate that is accepted; for features, in
            thousandths of the largest.

    Returns:
        The contents of the JSON file.

    Raises:
        InputError: the preset, a name or `out` is wrong, or a package is not installed.
        ExportRefused: the conversion failed, or its result differs by more than the tolerance;
            nothing is left at `out` then.
    """
    folder, header, part = find_part(preset, part)
    check_installed(export_format)
    network = load_part(folder, header, part)
    signatures = chosen_signatures(network, checked_facts(folder, header, network), export_format, part, signature)
    out = free_path(out, FORMATS[export_format].SUFFIX)
    cases = make_cases(signatures.values(), network.frames, network.joints)
    expected = source_outputs(signatures, cases)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".export-") as temporary:
        temporary = Path(temporary)
        artefact = temporary / "artefact" / out.name
        artefact.parent.mkdir()
        convert(folder, network, part, export_format, signatures, artefact)
        found = exported_outputs(export_format, artefact, cases, temporary)
        runtime = str(found.pop("runtime"))
        largest = differences(signatures, expected, found)
        unit = unit_of(next(iter(signatures.values())))
        if not largest_of(largest) <= tolerance_mm:
            raise ExportRefused(
                f"the exported network differs from its source by {largest_of(largest):.3g} {unit}, "
                f"{tolerance_mm:g} are allowed; nothing was written"
            )
        names = move(artefact, out)
    verified = {
        "against": f"keras {keras.__version__} on {keras.backend.backend()}",
        "in": runtime,
        "batch_sizes": list(BATCH_SIZES),
        "cases": len({key.split("|")[1] for key in cases}),
        "unit": unit,
        "largest_difference": largest_of(largest),
        "tolerance": tolerance_mm,
        "differences": largest,
    }
    card = describe(network, header, preset, part, export_format, signatures)
    card |= {"files": {name: sha256(out.parent / name) for name in names}, "verified": verified}
    write_json(card_path(out), card)
    return card


def find_part(preset, part: str | None) -> tuple[Path, dict, str]:
    """Folder and contents of the preset that holds the part, and its name; a lifter's may have its completer inside."""
    folder = network_folder(preset_folder(preset))
    if part == "completer":
        folder = inner_preset(folder, COMPLETION) or folder
    header = read_preset(folder)
    return folder, header, part or default_part(header["network"], header["config"])


def chosen_signatures(network, facts, export_format: str, part: str, name: str | None) -> dict:
    """The signatures that a format is to hold. Raises `InputError` for a name that the part does not have."""
    signatures = signatures_of(network, part, facts)
    if name is not None and name not in signatures:
        raise InputError(f"a {part} has no signature {name!r}; known: {', '.join(signatures)}")
    if export_format == "tf_saved_model":
        if name is not None:
            raise InputError("a SavedModel holds all signatures; leave the signature out")
        return signatures
    name = name or PARTS[part]
    return {name: signatures[name]}


def check_installed(export_format: str):
    """Raises `InputError` that says what to install for a format."""
    if export_format not in FORMATS:
        raise InputError(f"unknown format {export_format!r}; known: {', '.join(FORMATS)}")
    missing = [name for name in FORMATS[export_format].NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(f"{export_format} needs {' and '.join(missing)}: pip install {' '.join(missing)}")


def free_path(out, suffix: str) -> Path:
    """`out` with its ending, in a folder that exists. Raises `InputError` where something is there already."""
    out = Path(out)
    if suffix and out.suffix != suffix:
        out = out.with_name(out.name + suffix)
    for path in (out, card_path(out), *([out.with_suffix(".bin")] if suffix == ".xml" else [])):
        if path.exists():
            raise InputError(f"{path}: exists already; name another place or remove it")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out.parent}: not a folder that can be written to ({error.strerror})") from error
    return out


def card_path(out: Path) -> Path:
    return out.with_name(out.name + ".json")


def move(artefact: Path, out: Path) -> list[str]:
    """Moves what was written into place. Returns the files' names, relative to the folder of `out`."""
    if artefact.is_dir():
        os.replace(artefact, out)
        return sorted(str(path.relative_to(out.parent)) for path in out.rglob("*") if path.is_file())
    files = sorted(artefact.parent.glob(f"{artefact.stem}.*"))  # OpenVINO writes two
    for path in files:
        os.replace(path, out.parent / path.name)
    return [path.name for path in files]


def describe(network, header: Mapping, preset, part: str, export_format: str, signatures: Mapping) -> dict:
    """Everything that a user of the file must know about it."""
    facts = header.get("facts") or {}
    card = {
        "format": "mpm_keras export",
        "version": 1,
        "export_format": export_format,
        "part": part,
        "signatures": {name: described(signature) for name, signature in signatures.items()},
        "window": {"frames": network.frames, **{k: facts[k] for k in ("stride", "fps") if k in facts}},
        "joints": joint_names(facts.get("skeleton"), network.joints),
        "normalization": {
            "pose_2d": pixels_for(network, facts).meaning,
            "network": network.normalization,
        },
        "source": {
            "preset": preset_name(preset),
            "network": header["network"],
            "config": header["config"],
            "weights_sha256": header["weights_sha256"],
            "facts": facts,
        },
        "made_with": versions(("keras", *FORMATS[export_format].NEEDS)),
    }
    if export_format == "tf_saved_model":
        card["serving_default"] = next(iter(signatures))
    if export_format == "openvino":
        card["compile_with"] = OPENVINO_OPTIONS  # otherwise bfloat16 where the processor has it
    return card


def preset_name(preset) -> str:
    """The folder's name, or that of the run it is the network of; no path of the machine it was on."""
    path = Path(preset).resolve()
    return path.parent.name if path.name == "network" else path.name


def described(signature) -> dict:
    def tensors(of):
        return {name: {"shape": ["batch", *t.shape], "dtype": t.dtype, "meaning": t.meaning} for name, t in of.items()}

    return {"inputs": tensors(signature.inputs), "outputs": tensors(signature.outputs)}


def joint_names(skeleton, count: int) -> list[str] | None:
    """Names in the order of the joint axis; None where the preset does not say."""
    known = SKELETONS.get(skeleton) if isinstance(skeleton, str) else None
    return list(known.joints) if known and known.num_joints == count else None


def versions(modules) -> dict[str, str]:
    """{distribution: version} of importable modules."""
    of = metadata.packages_distributions()
    return {name: metadata.version(name) for module in modules for name in of[module][:1]}
