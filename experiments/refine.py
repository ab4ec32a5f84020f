"""Second phase of stage II: trains the refine module of section 4.2 behind a finished lifter.

    python experiments/refine.py --network=runs/finetune

Needs the cameras' intrinsics, and the depth of the root joint: estimated from the pose and its
keypoints, or the truth, as in the released code (which no video has).
Leaves in --workdir what finetune.py leaves; metrics.json holds the error before and after.
"""

from absl import flags

from mpm_keras import command_line, flag_sets

flag_sets.define_run_flags("refine")
flag_sets.define_source_flags()
flag_sets.define_schedule_flags(steps=2000)
flag_sets.define_device_flags()
flag_sets.define_training_flags(learning_rate=1e-4)
flags.DEFINE_string("network", "runs/finetune", "Run folder of finetune.py, or a preset folder.")
flags.DEFINE_enum("root_depth", "estimated", ["estimated", "truth"], "Where the depth of the root joint comes from.")
flags.DEFINE_enum("split", "test", ["test", "validation"], "Subjects to evaluate on.")


def main():
    config = command_line.settings()
    from mpm_keras.training.refine_run import refine  # after the flags: --help needs no backend

    command_line.print_metrics(refine(config))


if __name__ == "__main__":
    command_line.run(main)
