"""Evaluates a trained lifter on MPI-INF-3DHP's test set by its own protocol.

    python experiments/evaluate_3dhp.py mpi_inf_3dhp_test_set --network=runs/finetune
    python experiments/evaluate_3dhp.py data_test_3dhp.npz --network=runs/finetune --joints=17

Takes the original TS1 to TS6 (annot_data.mat) or P-STMO's archive. Lifts all frames, counts the valid
ones: MPJPE in millimetres over 17 joints, PCK@150mm and AUC over 14 (or 17), per sequence, per activity
and over all frames. The test set is at 25 frames a second by all that is known: choose --stride
accordingly. Leaves metrics.json in --workdir.
"""

from absl import flags

from mpm_keras import command_line, flag_sets

flag_sets.define_config_flag()
flags.DEFINE_string("network", None, "Run folder of finetune.py, or a preset folder.")
flags.DEFINE_string("workdir", "runs/evaluate_3dhp", "Where metrics.json goes.")
flags.DEFINE_enum("joints", "14", ["14", "17"], "Joints of PCK and AUC: without pelvis, spine and head, or all.")
flags.DEFINE_enum("mode", "center", ["center", "sequence"], "A window per frame, or overlapping windows blended.")
flags.DEFINE_integer(
    "stride", 0, "Distance of a window's poses in frames; 0 for as in the network's training.", 0, 1000
)
flags.DEFINE_boolean("flip", True, "Average with the mirrored prediction of the mirrored input.")
flags.DEFINE_integer("batch_size", 64, "Windows at a time.", 1, 1 << 20)


def main(words):
    config = command_line.settings()
    if not config["network"]:
        command_line.fail("--network is needed: the run folder of finetune.py, or a preset folder")
    from mpm_keras.data.mpi_inf_3dhp import read_sequences  # after the flags: --help needs no backend
    from mpm_keras.errors import InputError
    from mpm_keras.inference.facts import network_facts
    from mpm_keras.inference.protocol_3dhp import evaluate_3dhp, lift_3dhp, table
    from mpm_keras.models.lifter import MPMLifter
    from mpm_keras.models.presets import load_network
    from mpm_keras.training.workdir import Workdir

    network = load_network(config["network"], MPMLifter)
    facts = network_facts(config["network"], network)
    if facts.skeleton != "h36m17":
        raise InputError(f"{config['network']}: a network of {facts.skeleton}; the protocol needs all 17 joints")
    sequences = [s for s in read_sequences(words) if s.name.startswith("TS") and s.valid.any()]
    if not sequences:
        raise InputError(f"{', '.join(words)}: no test sequence, TS1 to TS6, with valid frames")
    options = {"stride": config["stride"] or facts.stride, **{k: config[k] for k in ("mode", "flip", "batch_size")}}
    results = evaluate_3dhp(lift_3dhp(network, sequences, **options), sequences, int(config["joints"]))
    workdir = Workdir({**config, "paths": words})
    workdir.begin()
    workdir.write_metrics({"network": config["network"], "joints": config["joints"], **options, **results})
    print(f"{table(results)}\n\n{workdir.path / 'metrics.json'}")


if __name__ == "__main__":
    command_line.run(main, positional="PATH...")
