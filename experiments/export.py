"""Exports a trained network to a format that runs without Keras and without this package.

    python experiments/export.py --network=runs/finetune --format=tf_saved_model --out=exports/lifter
    python experiments/export.py --network=runs/finetune --format=onnx --out=exports/lifter.onnx
    python experiments/export.py --network=runs/complete/partial_3d --format=litert --out=exports/completer
    python experiments/export.py --network=runs/pretrain --part=backbone --format=openvino --out=exports/features

A lifter takes 2D and gives 3D, a completer fills in a partial 3D sequence, a backbone gives features.
The exported network gets the same batches as its source, in a process that has neither Keras nor this
package; where the results differ by more than --tolerance_mm, nothing is written and the exit code is 1.

Leaves: --out, and beside it <out>.json with names, shapes, units, sums and the differences found.
"""

import os
from pathlib import Path

# An export needs no accelerator, and some of those compute float32 products with fewer bits.
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ["JAX_PLATFORMS"] = "cpu"

from absl import flags, logging

from mpm_keras import command_line

flags.DEFINE_string("network", None, "Run folder of a training script, or a preset folder.")
flags.DEFINE_enum("format", None, ["tf_saved_model", "onnx", "litert", "openvino"], "Format to write.")
flags.DEFINE_string(
    "out", None, "File to write, a folder for a SavedModel; .onnx, .tflite or .xml is added. Must not exist."
)
flags.DEFINE_enum(
    "part",
    None,
    ["lifter", "completer", "backbone"],
    "What of the network; by default what the preset was made for: an MPMLifter lifts, an MPMPretrainer completes, "
    "or gives features where it was trained with hidden frames.",
)
flags.DEFINE_string(
    "signature",
    None,
    "For formats with a single graph: lift, lift_with_hidden (default), lift_pixels or lift_pixels_with_hidden of a "
    "lifter; features_2d (default), features_pixels or features_3d of a backbone.",
)
flags.DEFINE_float(
    "tolerance_mm",
    0.1,
    "Largest difference from the source that is accepted; for features, in thousandths of the largest.",
    lower_bound=0.0,
)


def main():
    logging.set_verbosity(logging.WARNING)  # converters tell everything they do
    values = flags.FLAGS
    for name in ("network", "format", "out"):
        if not getattr(values, name):
            command_line.fail(f"--{name} is needed")
    from mpm_keras.export import ExportRefused, export_preset  # after the flags: --help needs no backend

    try:
        card = export_preset(
            values.network, values.format, values.out, part=values.part, signature=values.signature,
            tolerance_mm=values.tolerance_mm,
        )  # fmt: skip
    except ExportRefused as error:
        command_line.fail(error, code=1)
    report(card)


def report(card):
    """Prints the signatures, how far they are from their source, and the files."""
    verified = card["verified"]
    print(f"\n{card['part']} as {card['export_format']}, run by {verified['in']}, against {verified['against']}:")
    for name, signature in card["signatures"].items():
        print(f"\n  {name}({', '.join(signature['inputs'])})")
        for output, difference in verified["differences"][name].items():
            shape = ", ".join(map(str, signature["outputs"][output]["shape"]))
            print(f"    {output:10} ({shape})  largest difference {difference:.2g} {verified['unit']}")
    if "compile_with" in card:
        print(f"\n  note: compile it with {card['compile_with']}, or it runs in bfloat16 on processors that have it")
    print()
    for name in card["files"]:
        print(Path(flags.FLAGS.out).parent / name)


if __name__ == "__main__":
    command_line.run(main)
