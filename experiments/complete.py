"""Completion: trains and evaluates 3D from partial 2D (Table 3) and from partial 3D (Table 4).

    python experiments/complete.py --pretrained=runs/pretrain
    python experiments/complete.py --tasks=3d --data=open_mocap.npz

Leaves in --workdir: partial_2d/ and partial_3d/ (runs as of finetune.py), metrics.json and
metrics.csv with every row of both tables. The same command again resumes.
"""

from absl import flags

from mpm_keras import command_line, flag_sets

flag_sets.define_common_flags("complete", steps=1600)
flag_sets.define_data_flags()
flag_sets.define_device_flags()
flag_sets.define_training_flags(learning_rate=1e-3)
flag_sets.define_lifter_flags()
flags.DEFINE_multi_enum("tasks", ["2d", "3d"], ["2d", "3d"], "What the partial input is; give the flag twice for both.")
flags.DEFINE_bool(
    "broken",
    False,
    "Train 3D completion for broken motion capture: limbs, pairs of them, single joints and whole frames are lacking, "
    "all along or for a stretch. Otherwise Table 4's limbs, all along.",
)
flags.DEFINE_enum("split", "test", ["test", "validation"], "Subjects to evaluate on.")
flags.DEFINE_integer("eval_windows", 2048, "Windows to evaluate each row on, spread evenly.", 1, 1 << 20)


def main():
    config = command_line.settings()
    from mpm_keras.training.complete_run import complete, table_rows  # after the flags: --help needs no backend

    metrics = complete(config)
    for row in table_rows(metrics):
        numbers = "  ".join(f"{row[key]:7.1f} {key}" for key in ("mpjpe_mm", "hidden_mpjpe_mm") if key in row)
        print(f"{row['table']:26} {row['row']:24} {numbers}")


if __name__ == "__main__":
    command_line.run(main)
