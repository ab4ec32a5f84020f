"""Packs a trained lifter, and a completion network if named, into a preset folder to ship.

    python experiments/make_preset.py --network=runs/finetune --out=presets/mine
    python experiments/make_preset.py --network=runs/lift --completion=runs/complete/partial_3d --storage=float16 \
        --out=presets/small

Weights are stored in half precision if asked for; the difference this makes to predictions is measured
on synthetic motion and kept in preset.json. A model card, README.md, is yours to write.
"""

from absl import flags

from mpm_keras import command_line, flag_sets

flag_sets.define_config_flag()
flags.DEFINE_string("network", None, "Run folder of finetune.py, or a preset folder.")
flags.DEFINE_string("completion", None, "Run folder of a completion network (complete.py's partial_3d).")
flags.DEFINE_string("out", None, "Folder of the preset; must not hold one.")
flags.DEFINE_enum("storage", "float32", ["float32", "float16"], "How weights are stored.")


def main():
    config = command_line.settings()
    for name in ("network", "out"):
        if not config[name]:
            command_line.fail(f"--{name} is needed")
    from mpm_keras.inference.packing import pack  # after the flags: --help needs no backend

    facts = pack(config["network"], config["out"], config["completion"], config["storage"])
    print(f"{config['out']}: stored as {facts['stored_as']}, largest difference {facts['stored_difference_mm']:.3g} mm")


if __name__ == "__main__":
    command_line.run(main)
