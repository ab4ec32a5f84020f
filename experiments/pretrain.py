"""Stage I: pre-trains one network on masked 2D and masked 3D poses.

    python experiments/pretrain.py
    python experiments/pretrain.py --data=motion.bvh,folder --workdir=runs/mine
    python experiments/pretrain.py --config=paper_243 --data=open_mocap.npz

Leaves in --workdir: config.json, checkpoints/, epochs.jsonl, network/, tensorboard/, metrics.json and
reconstruction.png. The same command again resumes, or does nothing when the run is complete.
"""

from absl import flags

from mpm_keras import command_line, flag_sets

flag_sets.define_common_flags("pretrain", steps=2400)
flag_sets.define_data_flags()
flag_sets.define_device_flags()
flag_sets.define_training_flags(learning_rate=1e-3)
flags.DEFINE_integer("spatial_mask", 5, "r_s: joints hidden in each frame.", lower_bound=0)
flags.DEFINE_float("temporal_mask", 0.6, "r_t: share of the frames hidden.", 0.0, 1.0)
flags.DEFINE_enum("mask_strategy", "spatiotemporal", ["spatiotemporal", "tube", "temporal"], "What a mask hides.")
flags.DEFINE_enum(
    "schedule",
    "alternate",
    ["alternate", "joint"],
    "alternate: an optimiser step on masked 2D, then one on masked 3D; joint: one on the weighted sum.",
)
flags.DEFINE_float("weight_2d", 2.0, "Loss weight of masked 2D modelling; 0 leaves the task out.", lower_bound=0.0)
flags.DEFINE_float("weight_3d", 3.0, "Loss weight of masked 3D modelling; 0 leaves the task out.", lower_bound=0.0)
flags.DEFINE_float(
    "weight_lift", 0.0, "Loss weight of masked 2D lifting, a third task; 0 leaves it out.", lower_bound=0.0
)
flags.DEFINE_enum("loss", "all", ["all", "masked"], "Which joints the loss counts: all of them, or the hidden ones.")
flags.DEFINE_integer("width", 256, "Channels of the transformer.", 8, 16384)
flags.DEFINE_integer("encoder_width", 512, "Channels of the encoders and the spatial MLP.", 8, 16384)
flags.DEFINE_integer("heads", 8, "Attention heads; they divide --width.", 1, 1024)
flags.DEFINE_float("dropout", 0.1, "Dropout rate.", 0.0, 0.99)


def main():
    config = command_line.settings()
    from mpm_keras.training.pretrain_run import pretrain  # after the flags: --help needs no backend

    command_line.print_metrics(pretrain(config))


if __name__ == "__main__":
    command_line.run(main)
