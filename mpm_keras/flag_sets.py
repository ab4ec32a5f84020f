"""The flags that scripts share, in sets: the same names and meanings everywhere. Imports no backend."""

from absl import flags

MOST = 2**31 - 1  # of numbers that only count or seed


def define_run_flags(name, batch_size=64):
    """The flags that every script has: what goes in, where results go, how much at a time."""
    flags.DEFINE_list(
        "data",
        ["synthetic"],
        "Where motion comes from, several separated by commas: 'synthetic', the open motion archive (.npz), BVH "
        "files, AMC files beside their ASF, a folder of those, or archives that prepare_data.py made (.npz).",
    )
    flags.DEFINE_string("workdir", f"runs/{name}", "Folder of the run. The same command again resumes it.")
    define_config_flag()
    flags.DEFINE_integer("batch_size", batch_size, "Windows in a batch.", 1, 1 << 20)


def define_config_flag():
    """The flag that every script with `command_line.settings` needs."""
    flags.DEFINE_string(
        "config",
        None,
        "JSON file of flag values, or the name of one in configs/ beside the script. Flags on the command line win.",
    )


def define_keypoint_flags():
    """Flags of scripts that take a detector's keypoints: what lifts them, and what their file does not tell."""
    flags.DEFINE_string(
        "preset", "detector_27", "Name of a preset that comes with the package, or a run or preset folder."
    )
    flags.DEFINE_string("layout", None, "Joints of plain arrays where their number does not tell: coco17, h36m17, ...")
    flags.DEFINE_string("image_size", None, "WIDTHxHEIGHT of the video in pixels, where the file does not say.")
    flags.DEFINE_float("fps", None, "Frames a second of the video, where the file does not say.", 1.0, 1000.0)
    flags.DEFINE_string("video", None, "Which video of a file that holds several.")
    flags.DEFINE_boolean("mend", True, "Put left and right back where the detector exchanged them.")


def define_common_flags(name, *, steps, frames=27, stride=2, layers=4, batch_size=64):
    """The flags of every script that makes a network, under the same names."""
    define_run_flags(name, batch_size)
    flags.DEFINE_integer("frames", frames, "Poses in a window.", 1, 1024)
    flags.DEFINE_integer("layers", layers, "Shared temporal transformer blocks.", 1, 256)
    define_window_flags(stride)
    define_schedule_flags(steps)


def define_window_flags(stride=2):
    """Flags of what a window of poses is, beside its length."""
    flags.DEFINE_integer("stride", stride, "Distance of a window's poses, in frames.", 1, 1000)
    flags.DEFINE_enum(
        "normalization",
        "screen",
        ["screen", "window"],
        "Of 2D: the paper's screen coordinates, or each window with its own centre and size taken out.",
    )


def define_schedule_flags(steps):
    """Flags of how long a script trains, and of its random numbers."""
    flags.DEFINE_integer("epochs", 0, "Passes over the windows; 0 for as many as --steps takes.", 0, MOST)
    flags.DEFINE_integer(
        "steps", steps, "Stop after so many optimiser steps, at the end of a batch; 0 for no limit.", 0, MOST
    )
    flags.DEFINE_integer("seed", 0, "Of weights, masks, dropout and the order of windows.", 0, MOST)


def define_source_flags(cameras=2):
    """Flags of what is seen of the sources, and by whom: the same in training and in evaluation."""
    flags.DEFINE_integer("cameras", cameras, "Virtual cameras per clip of 3D motion.", 1, 64)
    flags.DEFINE_list(
        "val_subjects",
        [],
        "Subjects held out for validation; by default the open motion protocol's, or about a tenth of all.",
    )
    flags.DEFINE_list(
        "test_subjects",
        [],
        "Subjects kept from training and validation; by default the open motion protocol's, or about a tenth of all.",
    )
    flags.DEFINE_list("without_licenses", [], "Leave out clips under these licences, such as 'CC BY-SA 3.0'.")
    flags.DEFINE_integer("data_seed", 0, "Of virtual cameras, synthetic motion and validation masks.", 0, MOST)
    flags.DEFINE_integer("synthetic_clips", 240, "Clips of synthetic motion, 10 seconds each.", 2, 20_000)


def define_data_flags(cameras=2):
    """Flags of scripts that read motion to train on."""
    define_source_flags(cameras)
    flags.DEFINE_float("fps", 50.0, "Frames a second that motion is resampled to.", 1.0, 1000.0)
    flags.DEFINE_enum(
        "detector",
        "none",
        ["none", "exact", "noisy", "occluded"],
        "Who sees the 2D: the projected joints of the source, or the joints of a detector as in lift.py, under wide "
        "ranges of cameras: exact, with a detector's errors, or with limbs besides that some films never show.",
    )
    flags.DEFINE_float(
        "roll",
        None,
        "Largest tilt of virtual cameras to either side, degrees; by default 20 with a detector and 5 without.",
        0.0,
        180.0,
    )
    flags.DEFINE_enum("skeleton", "h36m17", ["h36m17", "h36m16"], "Joints to train with.")
    flags.DEFINE_list(
        "data_weights",
        [],
        "How many times as often windows of each source of --data are drawn in training, such as 2,0.5; 1 by default.",
    )
    flags.DEFINE_enum(
        "mixture",
        None,
        ["small", "base", "large"],
        "The paper's Table E, in place of --data_weights: half of h36m and a quarter of 3dhp; h36m and half of 3dhp; "
        "h36m, 3dhp and amass.",
    )
    flags.DEFINE_float(
        "train_share",
        None,
        "Train on this share of each source, by whole clips of the training subjects: the same clips in every run, a "
        "smaller share within a larger one. Epochs stay as long as with all of them, the default.",
        0.001,
        1.0,
    )


def define_training_flags(learning_rate):
    """Flags of scripts that train."""
    flags.DEFINE_integer("val_windows", 1024, "Validation windows, spread evenly over the held-out clips.", 1, 1 << 20)
    flags.DEFINE_integer(
        "window_step",
        0,
        "Distance of the centres of training windows, in frames; 0 chooses one that gives about 20,000 windows.",
        lower_bound=0,
    )
    flags.DEFINE_boolean("flip", True, "Mirror every other training window, drawn at random.")
    flags.DEFINE_float("learning_rate", learning_rate, "AdamW learning rate of the first epoch.", lower_bound=0.0)
    flags.DEFINE_float("lr_decay", 0.97, "Factor on the learning rate after every epoch.", 0.0, 1.0)
    flags.DEFINE_integer(
        "lr_decay_steps", None, "Optimiser steps between two such falls; by default those of an epoch.", 1, MOST
    )
    flags.DEFINE_float("weight_decay", 0.01, "AdamW weight decay.", lower_bound=0.0)
    flags.DEFINE_enum(
        "dtype", "float32", ["float32", "mixed_bfloat16", "mixed_float16"], "Keras dtype policy of the network."
    )
    flags.DEFINE_enum(
        "pipeline",
        "auto",
        ["auto", "numpy", "tfdata", "device"],
        "Who prepares batches: NumPy, tf.data, or the device, where all frames then live. auto is the device where "
        "there is an accelerator and the frames fit, else tf.data with the TensorFlow backend and NumPy elsewhere. All "
        "give the same.",
    )
    flags.DEFINE_enum(
        "jit_compile",
        "auto",
        ["auto", "true", "false"],
        "Compile training: TensorFlow and JAX by XLA, PyTorch (on a GPU only) by its own compiler. auto is true with "
        "PyTorch on a GPU, and otherwise what Keras chooses.",
    )
    flags.DEFINE_integer("keep", 3, "Checkpoints to keep.", lower_bound=1)
    flags.DEFINE_float(
        "checkpoint_seconds",
        300.0,
        "Seconds between checkpoints within an epoch, beside the one at its end; 0 saves after every batch.",
        lower_bound=0.0,
    )
    flags.DEFINE_integer(
        "skip_bad_batches",
        0,
        "Batches whose loss or gradients are NaN or infinite that may be skipped, without a trace; one more stops.",
        lower_bound=0,
    )
    flags.DEFINE_boolean(
        "deterministic",
        False,
        "Only kernels that give the same bits in every run, on a GPU too, where they are slower.",
    )
    flags.DEFINE_boolean("progress", True, "Show a progress bar.")


def define_device_flags():
    """Flags of scripts that train on several devices."""
    flags.DEFINE_integer(
        "devices",
        1,
        "Devices of this host to train on, each on its part of a batch; 0 takes all. Without a GPU, parts of the CPU.",
        0,
        1024,
    )
    flags.DEFINE_enum(
        "processes",
        "auto",
        ["auto", "slurm", "none"],
        "Who tells a process that it is one of several of a run: RANK and WORLD_SIZE, or KERAS_DISTRIBUTION_* (auto), "
        "SLURM (slurm), or nobody.",
    )


def define_lifter_flags():
    """Flags of scripts that train stage II networks."""
    flags.DEFINE_string(
        "pretrained",
        None,
        "Run folder of pretrain.py, or of finetune.py to go on from a lifter, or a preset folder; none trains from "
        "scratch.",
    )
    flags.DEFINE_enum(
        "freeze",
        "none",
        ["none", "encoder", "shared", "backbone"],
        "What of the lifter keeps its pre-trained weights: the 2D encoder, the shared layers, or both.",
    )
    flags.DEFINE_float("weight_center", 1.0, "Loss weight of the centre pose.", lower_bound=0.0)
    flags.DEFINE_float("weight_sequence", 1.0, "Loss weight of the whole sequence.", lower_bound=0.0)
    flags.DEFINE_integer("width", 256, "Channels of the transformer.", 8, 16384)
    flags.DEFINE_integer("encoder_width", 512, "Channels of the encoder and the spatial MLP.", 8, 16384)
    flags.DEFINE_integer("heads", 8, "Attention heads; they divide --width.", 1, 1024)
    flags.DEFINE_enum(
        "decoder",
        "stage2",
        ["stage2", "stage1"],
        "3D decoder of the centre pose: the strided one of stage II, or that of stage I, pre-trained (Table A).",
    )
    flags.DEFINE_float("dropout", 0.1, "Dropout rate of the transformer.", 0.0, 0.99)
    flags.DEFINE_float("encoder_dropout", 0.2, "Dropout rate of the encoder and the spatial MLP.", 0.0, 0.99)


def define_search_flags(name, *, pretrain_steps, finetune_steps, batch_size=32, clips=60, val_windows=256):
    """The flags of searches: those that both stages share, each stage's budget, and how to search."""
    define_run_flags(name, batch_size)
    define_window_flags()
    define_data_flags()
    define_training_flags(learning_rate=1e-3)
    for small, value in (("synthetic_clips", clips), ("val_windows", val_windows)):
        flags.FLAGS.set_default(small, value)
    flags.DEFINE_integer("seed", 0, "Of the search, and of weights, masks and batches in its trials.", 0, MOST)
    for stage, steps in (("pretrain", pretrain_steps), ("finetune", finetune_steps)):
        flags.DEFINE_integer(f"{stage}_steps", steps, f"--steps of {stage}.py in every trial.", 0, MOST)
        flags.DEFINE_integer(f"{stage}_epochs", 0, f"--epochs of {stage}.py in every trial.", 0, MOST)
        flags.DEFINE_multi_string(stage, [], f"NAME=VALUE of any other flag of {stage}.py; may be given several times.")
    flags.DEFINE_enum("tuner", "grid", ["grid", "random", "bayesian", "hyperband"], "Which of KerasTuner's tuners.")
    flags.DEFINE_integer("trials", 0, "At most so many trials; 0 for all combinations. Not for Hyperband.", 0, MOST)
    flags.DEFINE_integer("hyperband_parts", 9, "Hyperband: the full budget is so many times the smallest.", 2, 10_000)
    flags.DEFINE_integer("hyperband_factor", 3, "Hyperband: by which budgets grow and rounds shrink.", 2, 100)
    flags.DEFINE_float(
        "samples_per_second",
        0.0,
        "Training speed, for the estimate that is printed first; 0 measures it with a few steps.",
        lower_bound=0.0,
    )
    flags.DEFINE_boolean("retry_failed", False, "Run trials that failed at an earlier start again.")
