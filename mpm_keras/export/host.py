"""Turns a preset into an artefact: in this process, or in one whose backend can."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import keras

import mpm_keras
from mpm_keras.export import to_litert, to_onnx, to_openvino, to_saved_model
from mpm_keras.export.signatures import signatures_of
from mpm_keras.export.verification import ExportRefused, run_process
from mpm_keras.inference.facts import network_facts
from mpm_keras.models.presets import load_preset, read_preset

FORMATS = {"tf_saved_model": to_saved_model, "onnx": to_onnx, "litert": to_litert, "openvino": to_openvino}
HOST = "tensorflow"  # the backend that exports every format


def load_part(folder, header: Mapping, part: str):
    """The network of a preset, without hidden frames where it is to complete."""
    hides = part == "completer" and header["network"] == "MPMPretrainer"
    return load_preset(folder, **({"hidden_frames": 0} if hides else {}))


def checked_facts(folder, header: Mapping, network) -> dict:
    """The facts of a preset; those that its windows are made by are checked where they are needed."""
    facts = header.get("facts") or {}
    if facts.get("detector", "none") != "none":
        network_facts(folder, network)
    return facts


def convert(folder, network, part: str, export_format: str, signatures: Mapping, artefact: Path):
    """Writes the artefact: here, or from the same preset in a process with the host's backend.

    Raises `ExportRefused` where the conversion fails.
    """
    if keras.backend.backend() == HOST:
        try:
            FORMATS[export_format].write(network, list(signatures.values()), artefact)
        except Exception as error:  # a converter's own: of any class, of many lines
            raise ExportRefused(f"the conversion failed: {' '.join(str(error).split())[:300]}") from error
        return
    command = [sys.executable, "-c", f"from {__name__} import main; main()"]
    search_path = [str(Path(mpm_keras.__file__).resolve().parents[1]), os.environ.get("PYTHONPATH")]
    run_process(
        [*command, str(folder), part, export_format, ",".join(signatures), str(artefact)],
        "the conversion failed",
        KERAS_BACKEND=HOST,
        PYTHONPATH=os.pathsep.join(filter(None, search_path)),
    )


def main():
    """What the process with the host's backend runs."""
    folder, part, export_format, names, artefact = sys.argv[1:]
    header = read_preset(folder)
    network = load_part(folder, header, part)
    signatures = signatures_of(network, part, checked_facts(folder, header, network))
    chosen = {name: signatures[name] for name in names.split(",")}
    convert(folder, network, part, export_format, chosen, Path(artefact))
