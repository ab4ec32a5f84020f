"""Runs an exported network in its own runtime, without Keras and without this package.

Called as a script, in a process of its own:

    python runtimes.py FORMAT ARTEFACT CASES.npz OUTPUTS.npz

The arrays of CASES.npz are named `signature|case|input`, those of OUTPUTS.npz `signature|case|output`.
This file imports nothing of the package: it is also an example of how each format is used.
"""

import sys

import numpy as np

# OpenVINO runs in bfloat16 on processors that have it unless told otherwise: centimetres of error.
OPENVINO_OPTIONS = {"INFERENCE_PRECISION_HINT": "f32"}


def open_saved_model(path):
    import tensorflow as tf

    loaded = tf.saved_model.load(path)

    def call(signature, inputs):
        outputs = loaded.signatures[signature](**{name: tf.constant(value) for name, value in inputs.items()})
        return {name: value.numpy() for name, value in outputs.items()}

    return call, f"tensorflow {tf.__version__}"


def open_onnx(path):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def call(signature, inputs):
        return dict(zip(names, session.run(names, inputs), strict=True))

    return call, f"onnxruntime {onnxruntime.__version__}"


def open_litert(path):
    try:
        import ai_edge_litert as package
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:  # TensorFlow still brings an interpreter along
        import tensorflow as package

        Interpreter = package.lite.Interpreter
    interpreter = Interpreter(model_path=path)

    def call(signature, inputs):
        return interpreter.get_signature_runner(signature)(**inputs)  # resizes the batch by itself

    return call, f"{package.__name__} {package.__version__}"


def open_openvino(path, options=OPENVINO_OPTIONS):
    sys.modules.setdefault("openvino_telemetry", None)  # `import openvino` reports its use where this is found
    import openvino

    compiled = openvino.Core().compile_model(path, "CPU", options)

    def call(signature, inputs):
        outputs = compiled(inputs)
        return {output.any_name: outputs[output].copy() for output in compiled.outputs}

    return call, f"openvino {openvino.__version__}"


OPENERS = {
    "tf_saved_model": open_saved_model,
    "onnx": open_onnx,
    "litert": open_litert,
    "openvino": open_openvino,
}


def run_cases(export_format, artefact, cases, **options) -> dict:
    """{`signature|case|output`: array} for {`signature|case|input`: array}, and the runtime under `runtime`."""
    call, runtime = OPENERS[export_format](artefact, **options)
    inputs, outputs = {}, {"runtime": np.array(runtime)}
    for key, value in cases.items():
        signature, case, name = key.split("|")
        inputs.setdefault((signature, case), {})[name] = value
    for (signature, case), values in inputs.items():
        for name, value in call(signature, values).items():
            outputs[f"{signature}|{case}|{name}"] = value
    return outputs


def main(export_format, artefact, cases, outputs):
    for name in ("keras", "tf_keras", "mpm_keras"):
        sys.modules[name] = None  # what is exported must stand without them
    with np.load(cases, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    np.savez(outputs, **run_cases(export_format, artefact, arrays))


if __name__ == "__main__":
    main(*sys.argv[1:])
