"""LiteRT (TensorFlow Lite): one signature, float32, built-in operations only, open batch axis."""

import tempfile
from pathlib import Path

from mpm_keras.export import to_saved_model

NEEDS = {"tensorflow": "tensorflow"}
SUFFIX = ".tflite"


def write(network, signatures, path):
    """Writes a `.tflite` file with one signature, under its name. Needs the TensorFlow backend."""
    import tensorflow as tf

    (signature,) = signatures
    with tempfile.TemporaryDirectory() as folder:
        to_saved_model.write(network, signatures, folder)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[signature.name])
        Path(path).write_bytes(converter.convert())
