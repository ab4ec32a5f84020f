"""Runs the scripts of experiments/ and tuning/ in this process: one of its own takes seconds to import a backend."""

import contextlib
import dataclasses
import io
import os
import runpy
import sys
import warnings
from pathlib import Path

import pytest
from absl import flags

# What Python does not show to users.
UNSEEN = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)
SCRIPTS = Path(__file__).resolve().parents[1] / "experiments"


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a script ended: exit code, lines on stderr (warnings too) and what it printed."""

    code: int
    lines: list[str]
    printed: str


def run_script(name: str, *arguments) -> Ended:
    """Runs NAME.py as `python experiments/NAME.py ARGUMENTS...` would; other exceptions come through."""
    folder = SCRIPTS if (SCRIPTS / f"{name}.py").exists() else SCRIPTS.parent / "tuning"
    script = str(folder / f"{name}.py")
    environment, shown = dict(os.environ), warnings.formatwarning
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        warnings.catch_warnings(record=True) as caught,
    ):
        patch.setattr(sys, "argv", [script, *map(str, arguments)])
        patch.setattr("absl.app.run", plain_run)
        warnings.resetwarnings()
        for kind in UNSEEN:
            warnings.simplefilter("ignore", kind)
        try:
            runpy.run_path(script, run_name="__main__")
            code = 0
        except SystemExit as end:
            code = end.code or 0
        finally:
            forget_flags(script)
            warnings.formatwarning = shown
            os.environ.clear()
            os.environ.update(environment)
    return Ended(code, [*(str(w.message) for w in caught), *err.getvalue().splitlines()], out.getvalue())


def plain_run(main, flags_parser):
    """`app.run` without what it does once a process, such as changing the handlers of logs."""
    sys.exit(main(flags_parser(sys.argv)))


def forget_flags(script: str):
    """Undefines the flags of a script: the next one has flags of the same names."""
    by_module = flags.FLAGS.flags_by_module_dict()
    for module in (script, "mpm_keras.flag_sets"):
        for flag in list(by_module.get(module, ())):
            if flag.name in flags.FLAGS:
                delattr(flags.FLAGS, flag.name)


def contents(folder) -> dict:
    """{file or folder below: (size, time of change)}; what a script must leave as it was."""
    found = {}
    for path in sorted(Path(folder).rglob("*")):
        state = path.lstat()
        found[str(path.relative_to(folder))] = None if path.is_dir() else (state.st_size, state.st_mtime_ns)
    return found
