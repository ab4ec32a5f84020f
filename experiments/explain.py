"""Why did it say so: which input joints, and when, move a predicted joint.

    python experiments/explain.py keypoints.json --preset=runs/finetune --joint=RWrist --out=explained
    python experiments/explain.py keypoints.json --joint=LFoot --frame=120 --coordinate=z --method=saliency

The map holds, for every joint of every frame that the network saw, by how many millimetres the
predicted joint moves (relative to the root) when that input joint moves by a pixel. It is the
gradient of the network's centre pose, without mirroring and smoothing; --method=smoothgrad averages
it over noisy copies of the input. Needs the TensorFlow backend and tf-keras-vis.

Leaves in --out: attribution.png, attribution.npz (map, signed gradients, the window), attribution.json.
"""

import os

from absl import flags

from mpm_keras import command_line, flag_sets

flag_sets.define_config_flag()
flag_sets.define_keypoint_flags()
flags.DEFINE_string("out", "explained", "Folder for the results; files of the same names are replaced.")
flags.DEFINE_string("joint", "RWrist", "The predicted joint, by its name in the preset's skeleton.")
flags.DEFINE_integer("frame", None, "Frame of the video, from 0; by default the middle.", lower_bound=0)
flags.DEFINE_enum("coordinate", "all", ["all", "x", "y", "z"], "Which of the joint's coordinates; all for their norm.")
flags.DEFINE_enum("method", "smoothgrad", ["smoothgrad", "saliency"], "Mean gradient of noisy copies, or the gradient.")
flags.DEFINE_integer("samples", 32, "Noisy copies of SmoothGrad.", 1, 4096)
flags.DEFINE_float("noise", 0.02, "Their noise, as a share of the range of the window's 2D.", 0.0, 1.0)
flags.DEFINE_integer("seed", 0, "Of the noise.", 0, flag_sets.MOST)
flags.DEFINE_string("person", "main", "main (largest and longest in view), or a name such as person2.")


def main(paths):
    if len(paths) > 1:
        command_line.fail(f"unexpected argument {paths[1]!r}; one file or folder of keypoints at a time")
    backend = os.environ.get("KERAS_BACKEND") or command_line.configured_backend()
    if backend != "tensorflow":  # known without waiting for another one to start
        command_line.fail(
            f"attribution maps need the TensorFlow backend, this is {backend}: set KERAS_BACKEND=tensorflow"
        )
    config = command_line.settings()
    if config["person"] == "all":
        command_line.fail("--person: one person at a time")
    from mpm_keras.inference.explain_run import explain  # after the flags: --help needs no backend

    facts = explain(paths[0], config)
    print(f"\n{facts['joint']} of {facts['person']} at frame {facts['frame']} moves most with")
    for row in facts["strongest"]:
        print(f"  {row['joint']:10} of frame {row['frame']:<8g} {row['mm_per_pixel']:.3f} {facts['unit']}")
    print(f"\n{config['out']}/attribution.png")


if __name__ == "__main__":
    command_line.run(main, positional="KEYPOINTS")
