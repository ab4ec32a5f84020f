"""How a preset completes motion capture that loses joints for a while, beside interpolation and splines.

    python experiments/evaluate_completion.py --data=open_mocap_h36m17.npz --network=detector_27

Joints of held-out subjects' clips are hidden: one, an arm, both legs or all, for a tenth of a second to the
whole clip. Give the data flags of training again: they decide which subjects are held out.

Leaves in --workdir: config.json, metrics.json, gaps.csv, gaps.md.
"""

from absl import flags

from mpm_keras import command_line, flag_sets

flag_sets.define_run_flags("evaluate_completion")
flag_sets.define_source_flags()
flags.DEFINE_string(
    "network",
    "detector_27",
    "Name of a preset that comes with the package, or a preset folder with a completion network.",
)
flags.DEFINE_enum("split", "test", ["test", "validation"], "Subjects to evaluate on.")
flags.DEFINE_float("fps", 50.0, "Frames a second of the motion that has gaps.", 1.0, 1000.0)
flags.DEFINE_integer("max_clips", 60, "Clips, spread evenly over all there are; 0 for all.", lower_bound=0)
flags.DEFINE_boolean("progress", True, "Show a progress bar.")


def main():
    config = command_line.settings()
    from mpm_keras.inference.motion_gaps_run import evaluate_gaps  # after the flags: --help needs no backend

    evaluate_gaps(config)
    with open(f"{config['workdir']}/gaps.md", encoding="utf-8") as file:
        print(f"\n{file.read()}\n{config['workdir']}/metrics.json")


if __name__ == "__main__":
    command_line.run(main)
