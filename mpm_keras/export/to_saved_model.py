"""TensorFlow SavedModel: all signatures of a part; every other format is made from one."""

import keras

NEEDS = {"tensorflow": "tensorflow"}
SUFFIX = ""


def write(network, signatures, path):
    """Writes a SavedModel folder whose first signature is also `serving_default`. Needs the TensorFlow backend."""
    archive = keras.export.ExportArchive()
    archive.track(network)
    for signature in signatures:
        specs = [
            keras.InputSpec(shape=(None, *tensor.shape), dtype=tensor.dtype, name=name)
            for name, tensor in signature.inputs.items()
        ]
        archive.add_endpoint(signature.name, _positional(signature), specs)
    archive.write_out(str(path), verbose=False)


def _positional(signature):
    """The function with the inputs one after the other, as TensorFlow traces it."""
    return lambda *tensors: signature.function(**dict(zip(signature.inputs, tensors, strict=True)))
