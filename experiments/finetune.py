"""Stage II: trains the network that lifts 2D keypoints to 3D, pre-trained or from scratch.

    python experiments/finetune.py --pretrained=runs/pretrain
    python experiments/finetune.py --occlusion=partial --workdir=runs/occluded

Leaves in --workdir: config.json, checkpoints/, epochs.jsonl, network/ (of the epoch that is best on
the validation subjects), tensorboard/ and metrics.json. The same command again resumes.
Evaluate with experiments/evaluate.py.
"""

from absl import flags

from mpm_keras import command_line, flag_sets

flag_sets.define_common_flags("finetune", steps=1600)
flag_sets.define_data_flags()
flag_sets.define_device_flags()
flag_sets.define_training_flags(learning_rate=1e-3)
flag_sets.define_lifter_flags()
flags.DEFINE_enum(
    "occlusion",
    "none",
    ["none", "partial"],
    "partial hides joints or limbs of the 2D input, per window one of the rows of Table 3, or nothing.",
)
flags.DEFINE_float(
    "confidence_threshold", 0.0, "Joints whose detector confidence is lower count as hidden; 0 trusts all.", 0.0, 1.0
)


def main():
    config = command_line.settings()
    from mpm_keras.training.finetune_run import finetune  # after the flags: --help needs no backend

    command_line.print_metrics(finetune(config))


if __name__ == "__main__":
    command_line.run(main)
