"""Searches the shape of the network: shared layers by frames by the 3D decoder, Table A; width and heads too.

    python tuning/layer_search.py
    python tuning/layer_search.py --layers=2,4 --width=32,64 --heads=4,8 --tuner=random --trials=4
    python tuning/layer_search.py --config=paper_layers --data=h36m.npz --workdir=runs/table_a

Every trial is a short pre-training and a short fine-tuning; trials that differ in the 3D decoder only share a
pre-training. The objective is the validation MPJPE of the lifted pose. Leaves in --workdir: trials.csv, table.md,
layers.png, best.json (a --config of pretrain.py), best_finetune.json, metrics.json and tensorboard/ with HParams.
The same command again goes on. docs/search.md tells more.
"""

from absl import flags

from mpm_keras import command_line, flag_sets

DECODERS = ["stage1", "stage2"]

flag_sets.define_search_flags("layer_search", pretrain_steps=240, finetune_steps=160)
flags.DEFINE_list("layers", ["2", "3", "4", "5"], "Shared temporal transformer blocks, the values to try.")
flags.DEFINE_list("frames", ["9"], "Poses in a window, the values to try.")
flags.DEFINE_list("decoder", DECODERS, "3D decoders of the lifter to try: that of stage I, of stage II.")
flags.DEFINE_list("width", ["64"], "Channels of the transformer, the values to try.")
flags.DEFINE_list("heads", ["8"], "Attention heads, the values to try; they divide the width.")
flags.DEFINE_integer("encoder_width", 128, "Channels of the encoders and the spatial MLP.", 8, 16384)


def main():
    config = command_line.settings()
    from mpm_keras.studies.search import run_search  # after the flags: --help needs no more
    from mpm_keras.studies.search_figures import draw_layers
    from mpm_keras.studies.search_settings import choices, numbers
    from mpm_keras.studies.space import Dimension, Space

    sizes = [Dimension(name, numbers(config, name, int)) for name in ("layers", "frames", "width", "heads")]
    decoders = Dimension("decoder", choices(config, "decoder", DECODERS), ("finetune",))
    command_line.print_metrics(run_search("layer_search", config, Space([*sizes, decoders]), draw_layers))


if __name__ == "__main__":
    command_line.run(main)
