"""ONNX by tf2onnx: one signature, float32, open batch axis."""

NEEDS = {"tensorflow": "tensorflow", "tf2onnx": "tf2onnx", "onnxruntime": "onnxruntime"}
SUFFIX = ".onnx"
OPSET = 17  # of 2022: widely understood


def write(network, signatures, path):
    """Writes an `.onnx` file. Needs the TensorFlow backend."""
    import onnx
    import tensorflow as tf
    import tf2onnx

    (signature,) = signatures
    specs = [tf.TensorSpec((None, *tensor.shape), tensor.dtype, name=name) for name, tensor in signature.inputs.items()]

    @tf.function(input_signature=specs, autograph=False)
    def function(*tensors):
        return signature.function(**dict(zip(signature.inputs, tensors, strict=True)))

    model, _ = tf2onnx.convert.from_function(function, specs, opset=OPSET)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.checker.check_model(model)
    onnx.save_model(model, str(path))
