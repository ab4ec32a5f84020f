"""How a lifter does under noise, occlusion, exchanged sides, slow films and odd cameras, beside baselines.

    python experiments/evaluate_noise.py --data=open_mocap_h36m17.npz --network=detector_27
    python experiments/evaluate_noise.py --network=runs/finetune --groups="Detector,Left and right exchanged"

Held-out subjects are filmed by virtual cameras and seen by a simulated detector; from there on it goes
the way of lift.py. One thing differs at a time. Give the data flags of training again: they decide
which subjects are held out, and which poses the nearest one is looked for in.

Leaves in --workdir: config.json, metrics.json, conditions.csv, conditions.md, conditions.png.
"""

from absl import flags

from mpm_keras import command_line, flag_sets

flag_sets.define_run_flags("evaluate_noise")
flag_sets.define_source_flags()
flags.DEFINE_string(
    "network", "detector_27", "Name of a preset that comes with the package, or a run or preset folder."
)
flags.DEFINE_enum("split", "test", ["test", "validation", "train", "all"], "Subjects to evaluate on.")
flags.DEFINE_list("groups", [], "Only these groups of conditions, such as 'Camera,Frames a second'; all by default.")
flags.DEFINE_integer("max_clips", 36, "Clips, spread evenly over all there are; 0 for all.", lower_bound=0)
flags.DEFINE_float("seconds", 4.0, "So much of each clip, from its middle.", 0.2, 600.0)
flags.DEFINE_integer(
    "nearest", 30000, "Compare with the nearest of so many training poses; 0 for no such baseline.", 0, 1_000_000
)
flags.DEFINE_boolean("progress", True, "Show a progress bar.")


def main():
    config = command_line.settings()
    from mpm_keras.inference.robustness_run import evaluate_conditions  # after the flags: --help needs no backend

    evaluate_conditions(config)
    with open(f"{config['workdir']}/conditions.md", encoding="utf-8") as file:
        print(f"\n{file.read()}\n{config['workdir']}/metrics.json")


if __name__ == "__main__":
    command_line.run(main)
