"""The paper's ablations as tables with mean and spread over seeds, and the curve over the share of labels.

    python experiments/ablate.py labels
    python experiments/ablate.py tasks --data=open_mocap.npz --seeds=0,1,2
    python experiments/ablate.py masks --data=open_mocap.npz,synthetic
    python experiments/ablate.py scale --data=h36m.npz,3dhp.npz,amass.npz --settings=skeleton=h36m16
    python experiments/ablate.py cost

masks (Table B), tasks (6), scale (E): pre-training and fine-tuning runs, and an evaluation of each; cost (5 and D):
parameters and operations, without training; labels: errors over the share of labelled pairs.

Leaves in --workdir: TABLE.md, TABLE.csv, TABLE.png and TABLE.json, and the runs in runs/. The same command again
resumes; runs that tables or rows share are run once. docs/ablations.md tells more.
"""

import sys

from absl import flags

from mpm_keras import command_line, flag_sets

flag_sets.define_config_flag()
flags.DEFINE_list("data", ["synthetic"], "Sources, as in pretrain.py: all at once; in `masks` each by itself.")
flags.DEFINE_list("finetune_data", [], "Of stage II in `scale`; by default 3dhp of Table E's datasets, or --data.")
flags.DEFINE_string("workdir", "runs/ablations", "Folder of the tables and their runs. The same command again resumes.")
flags.DEFINE_list("seeds", ["0", "1", "2"], "Of weights, masks and order: a run of each row for each of them.")
flags.DEFINE_list(
    "rows",
    [],
    "Some rows of the table: spatiotemporal,tube,temporal; none,2d,3d,2d+3d,2d+3d+lift (tasks; of labels "
    "by default none,2d+3d); small,base,large.",
)
flags.DEFINE_list("shares", ["1", "3", "10", "30", "100"], "Percentages of labelled pairs, for `labels`.")
flags.DEFINE_list(
    "budget",
    [],
    "How `tasks` compares several tasks with one: steps (the same in all), updates (the same of each), or both, the "
    "default.",
)
flags.DEFINE_integer("pretrain_steps", 2000, "Optimiser steps of every pre-training.", 1, flag_sets.MOST)
flags.DEFINE_integer("finetune_steps", 800, "Optimiser steps of every fine-tuning.", 1, flag_sets.MOST)
flags.DEFINE_float(
    "final_rate", 0.05, "Share of the learning rate that is left at the end of either; it falls in steps.", 1e-6, 1.0
)
flags.DEFINE_list("settings", [], "More settings of all runs: flags of the scripts as NAME=VALUE, or a config.")
flags.DEFINE_list("pretrain", [], "More settings of stage I.")
flags.DEFINE_list("finetune", [], "More settings of stage II.")
flags.DEFINE_enum(
    "evaluate",
    "test",
    ["test", "validation", "none"],
    "Subjects for evaluate.py after each fine-tuning, which has its own error on validation subjects already.",
)
flags.DEFINE_integer("frame_step", 10, "It evaluates every so many frames.", lower_bound=1)
flags.DEFINE_boolean("render", False, "Only write the table anew, out of the runs that are finished.")


def main(words):
    config = command_line.settings()
    from mpm_keras.studies.ablate_run import run_table

    if not config["render"]:
        from mpm_keras.data.sources import check_archives  # imports Keras

        check_archives([*config["data"], *config["finetune_data"]])
    stem, failures = run_table(words, config, " ".join(["python", "experiments/ablate.py", *sys.argv[1:]]))
    print(f"{stem.with_suffix('.md').read_text()}\n{stem}.md")
    if failures:
        name, reason = next(iter(failures.items()))
        command_line.fail(f"{len(failures)} runs failed, the first {name}: {reason}", code=1)


if __name__ == "__main__":
    command_line.run(main, positional="TABLE")
