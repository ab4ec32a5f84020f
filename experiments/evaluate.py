"""Evaluates a trained lifter: errors in total, per action, per subject and per joint, and speed.

    python experiments/evaluate.py --network=runs/finetune
    python experiments/evaluate.py --network=runs/finetune --split=validation --mode=sequence
    python experiments/evaluate.py --network=runs/finetune --data=other_views.npz --split=all

Frame rate, stride and joints are those that the network was trained with. Give the data flags of
training again: they decide which subjects are held out. Errors are root-relative, in millimetres
(MPJPE, P-MPJPE, N-MPJPE; velocity error in mm per frame), PCK and AUC shares from 0 to 1.

Leaves in --workdir: config.json, metrics.json, metrics.csv, tables.md, joint_errors.png, examples.png, clip.gif.
"""

from absl import flags

from mpm_keras import command_line, flag_sets

flag_sets.define_run_flags("evaluate")
flag_sets.define_source_flags()
flags.DEFINE_string("network", None, "Run folder of finetune.py, or a preset folder.")
flags.DEFINE_enum(
    "split",
    "test",
    ["test", "validation", "train", "all"],
    "Subjects to evaluate on; all takes every clip there is, for data that the network was not trained with.",
)
flags.DEFINE_enum(
    "mode",
    "both",
    ["center", "sequence", "both"],
    "center runs a window per frame; sequence blends all poses of overlapping windows and is much cheaper.",
)
flags.DEFINE_boolean("flip", True, "Average with the mirrored prediction of the mirrored input.")
flags.DEFINE_integer(
    "frame_step",
    1,
    "Errors are taken at every so many frames. Center mode lifts only these, and so has no velocity error.",
    lower_bound=1,
)
flags.DEFINE_integer("max_clips", 0, "Evaluate so many clips, spread evenly; 0 for all.", lower_bound=0)
flags.DEFINE_float(
    "confidence_threshold",
    None,
    "Joints whose detector confidence is lower count as hidden; 0 trusts all. By default as in training.",
    0.0,
    1.0,
)
flags.DEFINE_enum(
    "detector",
    None,
    ["none", "exact", "noisy", "occluded"],
    "Who sees the 2D, as in finetune.py. By default as in training.",
)
flags.DEFINE_integer(
    "nearest",
    0,
    "Compare also with the nearest of so many training poses, by their 2D; 0 for no such baseline. Takes the "
    "training subjects of --data.",
    0,
    1_000_000,
)
flags.DEFINE_integer("pictures", 6, "Examples to draw; 0 draws no pictures at all.", 0, 100)
flags.DEFINE_boolean("progress", True, "Show a progress bar.")


def main():
    config = command_line.settings()
    if not config["network"]:
        command_line.fail("--network is needed: the run folder of finetune.py, or a preset folder")
    from mpm_keras.errors import printable
    from mpm_keras.inference.evaluate_run import evaluate  # after the flags: --help needs no backend
    from mpm_keras.inference.report import predictors_of, tables

    metrics = evaluate(config)
    clips, frames = f"{metrics['clips']} clips", f"{metrics['frames']} frames"
    found = printable(tables(metrics, predictors_of(metrics)))
    print(f"\n{metrics['network']} on {metrics['split']}: {clips}, {frames}\n\n{found}")
    print(f"\n{config['workdir']}/metrics.json")


if __name__ == "__main__":
    command_line.run(main)
