"""How all scripts run: their settings from flags and configs, and their exit codes. Imports no backend."""

import errno
import importlib.util
import json
import math
import os
import sys
import traceback
from pathlib import Path

from absl import app, flags

from mpm_keras import flag_sets
from mpm_keras.memory import keep_freed_memory

# TensorFlow's start-up log is not for users; an explicit setting wins.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

EXIT_BAD_INPUT = 2
LAUNCHED = "MPM_KERAS_LAUNCHED"  # in the environment of processes that this command started for its devices
EXIT_INTERRUPTED = 130  # as shells report SIGINT
EXIT_RUN_AGAIN = 75  # EX_TEMPFAIL of sysexits.h: stopped from outside, the same command goes on
# A disk that is full, beyond its quota, read-only (as a disk becomes on errors) or broken, and what one may not write.
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EACCES, errno.EPERM)
BACKENDS = ("tensorflow", "jax", "torch")
# Together, these would fill the memory long before a message: {flags: (largest product, what it is)}.
PRODUCTS = {
    ("batch_size", "frames"): (1 << 24, "poses in a batch"),
    ("val_windows", "frames"): (1 << 24, "poses of validation"),
    ("eval_windows", "frames"): (1 << 24, "poses to evaluate"),
    ("synthetic_clips", "cameras"): (20_000, "synthetic clips before cameras"),
}


def settings() -> dict:
    """{flag: value} of the script's own flags: command line over --config over defaults.

    Raises `InputError` for a config file that is missing, not JSON, or names an unknown flag or a
    value that the flag does not take, and for numbers that are not finite or far too large together.
    """
    from mpm_keras.errors import InputError
    from mpm_keras.files import read_json

    own = own_flags()
    path = flags.FLAGS.config
    if path:
        file = config_path(path)
        values = read_json(file, "a JSON object of flag values")
        if not isinstance(values, dict):
            raise InputError(f"{file}: expected a JSON object of flag values, found {type(values).__name__}")
        for name, value in values.items():
            if name not in own or name == "config":
                raise InputError(f"{file}: unknown flag {name[:80]!r}")
            if not own[name].present:
                try:
                    own[name].value = parsed(own[name], value)
                except (ValueError, TypeError, AttributeError, OverflowError) as error:
                    raise InputError(f"{file}: {name}: {str(error)[:200]}") from error
    found = {name: flag.value for name, flag in sorted(own.items())}
    for name, value in found.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"--{name}: expected a finite number, found {value}")
    for (one, two), (most, what) in PRODUCTS.items():
        numbers = [found[name] for name in (one, two) if isinstance(found.get(name), int)]  # a search has lists
        if len(numbers) == 2 and math.prod(numbers) > most:
            raise InputError(f"--{one}={found[one]} and --{two}={found[two]} make more than {most} {what}")
    if found.get("deterministic"):
        # What cuBLAS and XLA read when they start; the training job asks the backend for the rest.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_gpu_deterministic_ops=true".strip()
    return found


def parsed(flag, value):
    """A value of a config file as the flag takes it; a list for flags of several words."""
    if isinstance(flag.parser, flags.ListParser):
        if not isinstance(value, (str, list)) or not all(isinstance(word, str) for word in value):
            raise ValueError(f"expected text or a list of text, found {str(value)[:80]}")
    elif isinstance(flag, flags.MultiFlag):
        return [flag.parser.parse(word) for word in (value if isinstance(value, list) else [value])]
    return flag.parser.parse(value)


def own_flags() -> dict:
    """{name: flag} of what `flag_sets` and the script that runs define; absl has flags of its own."""
    by_module = flags.FLAGS.flags_by_module_dict()
    return {flag.name: flag for module in (flag_sets.__name__, sys.argv[0]) for flag in by_module.get(module, [])}


def config_path(name) -> Path:
    """A config by path, or by its name in configs/ beside the script."""
    from mpm_keras.errors import InputError

    folder = Path(sys.argv[0]).parent / "configs"
    for path in (Path(name), folder / f"{name}.json"):
        if path.is_file():
            return path
    known = ", ".join(sorted(p.stem for p in folder.glob("*.json")))
    raise InputError(f"--config: no file {name!r} and no config of that name; known: {known}")


def run(main, positional=None):
    """Runs a script: bad input and a missing backend end with one line on stderr and exit code 2.

    Args:
        main: called without arguments; with the list of positional ones where these have a name.
        positional: what positional arguments are called, such as "KEYPOINTS"; None allows none.
    """

    def parse(argv):
        if {"--help", "-help", "-h"} & set(argv):
            print_help()
        try:
            rest = flags.FLAGS(argv)
        except flags.Error as error:
            fail(error)
        if len(rest) > 1 and not positional:
            fail(f"unexpected argument {rest[1]!r}; flags begin with --")
        if len(rest) < 2 and positional:
            fail(f"{positional} is needed; --help tells more")
        return rest

    def guarded(argv):
        from mpm_keras.errors import InputError, Preempted, WorkerLost

        check_backend()
        if backend_name() == "torch":
            keep_freed_memory()
        try:
            start_workers()
            main(argv[1:]) if positional else main()
        except InputError as error:
            fail(error)
        except FloatingPointError as error:  # a training that diverged
            fail_together(error, 1)
        except Preempted as error:
            fail_together(error, EXIT_RUN_AGAIN)
        except WorkerLost as error:
            if LAUNCHED not in os.environ:  # the launcher says which one
                fail(error, code=EXIT_RUN_AGAIN)
            leave(EXIT_RUN_AGAIN)
        except KeyboardInterrupt as error:
            fail_together(error if error.args else "interrupted", EXIT_INTERRUPTED)
        except OSError as error:
            if error.errno not in DISK_ERRORS:
                raise
            fail(f"{error.filename or 'the disk'}: {error.strerror}; what was saved before is whole", code=1)
        except Exception:
            if not among_others():
                raise
            traceback.print_exc()
            leave(1)

    app.run(guarded, flags_parser=parse)


def start_workers():
    """With PyTorch and several --devices, runs this command in a process for each of them, and ends with their code."""
    if "devices" not in flags.FLAGS or backend_name() != "torch":
        return
    chosen = settings()
    if chosen["devices"] == 1:
        return
    from mpm_keras.training import cluster, launch

    if cluster.member(chosen["processes"]) is not None:
        launch.follow_launcher()
    elif (count := chosen["devices"] or launch.count_gpus()) > 1:
        sys.exit(launch.run_workers(count))


def among_others() -> bool:
    """Whether this process is one of several of a run."""
    from mpm_keras.replicas import processes

    return processes().count > 1


def leave(code):
    """Ends the process; one of several at once, since the others may no longer be there to say goodbye to."""
    if among_others():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def check_backend():
    """Ends the process if the backend that Keras is going to load is unknown or not installed."""
    name = backend_name()
    if name not in BACKENDS:
        fail(f"KERAS_BACKEND={name}: expected {', '.join(BACKENDS[:-1])} or {BACKENDS[-1]}")
    if importlib.util.find_spec(name) is None:
        others = " or ".join(backend for backend in BACKENDS if backend != name)
        fail(f"the backend {name} is not installed: pip install {name}, or set KERAS_BACKEND to {others}")


def backend_name() -> str:
    """The backend that Keras is going to load."""
    return os.environ.get("KERAS_BACKEND") or configured_backend()


def configured_backend() -> str:
    """The backend of Keras's own configuration file, TensorFlow where there is none."""
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    try:
        return json.loads((home / "keras.json").read_text())["backend"]
    except (OSError, ValueError, KeyError, TypeError):
        return "tensorflow"


def print_help():
    """Prints the script's description and flags, and ends the process with code 0."""
    print(sys.modules["__main__"].__doc__)
    for module in (sys.argv[0], flag_sets.__name__):
        print(flags.FLAGS.module_help(module))
    sys.exit(0)


def fail(error, code=EXIT_BAD_INPUT):
    """Ends the process with one line and an exit code."""
    from mpm_keras.errors import printable

    line = printable(" ".join(str(error).split()))
    print(f"{Path(sys.argv[0]).name}: {line}", file=sys.stderr)
    leave(code)


def fail_together(error, code):
    """As `fail`, for what all processes of a run know alike: the first tells it."""
    from mpm_keras.replicas import is_first

    if not is_first():
        leave(code)
    fail(error, code)


def print_metrics(metrics):
    """Prints the plain numbers of metrics.json, one a line; of several processes the first does."""
    from mpm_keras.replicas import is_first

    if not is_first():
        return
    print(f"\n{Path(flags.FLAGS.workdir) / 'metrics.json'}")
    for name, value in metrics.items():
        if isinstance(value, (int, float, str)):
            print(f"  {name:38} {f'{value:.4g}' if isinstance(value, float) else value}")
