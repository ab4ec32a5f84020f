"""Searches the mask of stage I: joints hidden per frame (r_s) by share of frames hidden (r_t), Figure 6 and Table C.

    python tuning/mask_search.py
    python tuning/mask_search.py --tuner=bayesian --trials=6 --spatial_mask=2,3,5,7,9
    python tuning/mask_search.py --config=paper_masks --data=h36m.npz --workdir=runs/figure_6

Every trial is a short pre-training and a short fine-tuning; the objective is the validation MPJPE of the lifted
pose. Leaves in --workdir: trials.csv, table.md, surface.png, heatmap.png, best.json (a --config of pretrain.py),
metrics.json and tensorboard/ with HParams. The same command again goes on. docs/search.md tells more.
"""

from absl import flags

from mpm_keras import command_line, flag_sets

flag_sets.define_search_flags("mask_search", pretrain_steps=240, finetune_steps=160)
flags.DEFINE_list("spatial_mask", ["2", "5", "9"], "r_s: joints hidden in each frame, the values to try.")
flags.DEFINE_list("temporal_mask", ["0.4", "0.6", "0.8"], "r_t: share of the frames hidden, the values to try.")
flags.DEFINE_integer("frames", 27, "Poses in a window.", 1, 1024)
flags.DEFINE_integer("layers", 2, "Shared temporal transformer blocks.", 1, 256)
flags.DEFINE_integer("width", 64, "Channels of the transformer.", 8, 16384)
flags.DEFINE_integer("encoder_width", 128, "Channels of the encoders and the spatial MLP.", 8, 16384)


def main():
    config = command_line.settings()
    from mpm_keras.studies.search import run_search  # after the flags: --help needs no more
    from mpm_keras.studies.search_figures import draw_masks
    from mpm_keras.studies.search_settings import numbers
    from mpm_keras.studies.space import Dimension, Space

    space = Space(
        [
            Dimension("spatial_mask", numbers(config, "spatial_mask", int), ("pretrain",)),
            Dimension("temporal_mask", numbers(config, "temporal_mask", float), ("pretrain",)),
        ]
    )
    command_line.print_metrics(run_search("mask_search", config, space, draw_masks))


if __name__ == "__main__":
    command_line.run(main)
