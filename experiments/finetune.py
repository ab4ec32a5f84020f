"""Stage II: trains the network that lifts 2D keypoints to 3D, pre-trained or from scratch.

    python experiments/finetune.py --pretrained=runs/pretrain
    python experiments/finetune.py --occlusion=partial --workdir=runs/occluded

Leaves in --workdir: config.json, checkpoints/, epochs.jsonl, network/ (of the epoch that is best on
the validation subjects), tensorboard/ and metrics.json. The same command again resumes.
Evaluate with experiments/evaluate.py.
"""

import common
from absl import flags

common.define_common_flags("finetune")
common.define_data_flags()
common.define_training_flags(learning_rate=1e-3)
flags.DEFINE_string("pretrained", None, "Run folder of pretrain.py, or a preset folder; none trains from scratch.")
flags.DEFINE_enum(
    "freeze",
    "none",
    ["none", "encoder", "shared", "backbone"],
    "What keeps its pre-trained weights: the 2D encoder, the shared layers, or both.",
)
flags.DEFINE_enum(
    "occlusion",
    "none",
    ["none", "partial"],
    "partial hides joints or limbs of the 2D input, per window one of the rows of Table 3, or nothing.",
)
flags.DEFINE_float(
    "confidence_threshold", 0.0, "Joints whose detector confidence is lower count as hidden; 0 trusts all.", 0.0, 1.0
)
flags.DEFINE_float("weight_center", 1.0, "Loss weight of the centre pose.", lower_bound=0.0)
flags.DEFINE_float("weight_sequence", 1.0, "Loss weight of the whole sequence.", lower_bound=0.0)
flags.DEFINE_integer("width", 256, "Channels of the transformer.", lower_bound=8)
flags.DEFINE_integer("encoder_width", 512, "Channels of the encoder and the spatial MLP.", lower_bound=8)
flags.DEFINE_float("dropout", 0.1, "Dropout rate of the transformer.", 0.0, 0.99)
flags.DEFINE_float("encoder_dropout", 0.2, "Dropout rate of the encoder and the spatial MLP.", 0.0, 0.99)


def main():
    config = common.settings()
    from mpm_keras.training.finetune_run import finetune  # after the flags: --help needs no backend

    common.print_metrics(finetune(config))


if __name__ == "__main__":
    common.run(main)
