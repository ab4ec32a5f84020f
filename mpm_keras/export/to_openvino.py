"""OpenVINO's intermediate representation: one signature, float32, open batch axis; an `.xml` beside a `.bin`."""

import sys
import tempfile

from mpm_keras.export import to_saved_model

NEEDS = {"tensorflow": "tensorflow", "openvino": "openvino"}
SUFFIX = ".xml"


def write(network, signatures, path):
    """Writes `path` and the weights beside it. Needs the TensorFlow backend."""
    sys.modules.setdefault("openvino_telemetry", None)  # `import openvino` reports its use where this is found
    import openvino

    with tempfile.TemporaryDirectory() as folder:
        to_saved_model.write(network, signatures, folder)
        model = openvino.Core().read_model(folder)
    openvino.save_model(model, str(path), compress_to_fp16=False)
