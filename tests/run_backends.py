"""Runs the tests on every backend: python tests/run_backends.py [--backends=jax,torch] [pytest arguments]

One pytest process per backend, with KERAS_BACKEND set. What is marked `numpy_only` runs with the first backend
alone, what is marked `once` with PyTorch alone (or the first), which starts fastest and compiles nothing. Ends with
a table and the sum, alone on the last line.
"""

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BACKENDS = ("tensorflow", "jax", "torch")
NO_TESTS = 5  # pytest's exit code when nothing was selected

# One worker per core with one thread each: threads of several workers would fight for the cores.
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    # Programs of tests are small: compiling them well takes longer than running them badly.
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false --xla_backend_optimization_level=0 "
    "--xla_llvm_disable_expensive_passes=true",
    "TF_CPP_MIN_LOG_LEVEL": "2",
    # Many tests compile the same small programs: once for all of them, and for both workers.
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.1",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}


def left_out(backend: str, backends: list[str]) -> list[str]:
    """The marks that a backend leaves to another one."""
    once = "torch" if "torch" in backends else backends[0]
    return [mark for mark, home in (("numpy_only", backends[0]), ("once", once)) if backend != home]


def run(backend: str, skipped: list[str], arguments: list[str], report: Path) -> int:
    """Runs pytest on a backend without some marks; returns its exit code, 0 also when nothing was selected."""
    workers = ["-n", str(os.cpu_count() or 1)] if importlib.util.find_spec("xdist") else []
    selection = ["-m", " and ".join(f"not {mark}" for mark in skipped)] if skipped else []
    command = [sys.executable, "-m", "pytest", f"--junitxml={report}", *workers, *selection, *arguments]
    cache = {"JAX_COMPILATION_CACHE_DIR": str(report.parent / "compiled")}
    environment = {**ONE_THREAD, **cache, **os.environ, "KERAS_BACKEND": backend}
    code = subprocess.run(command, cwd=ROOT, env=environment).returncode
    return 0 if code == NO_TESTS else code


def counts(report: Path, code: int) -> tuple[int, int, int]:
    """(passed, failed, skipped) of a run; errors count as failed, and so does a run that broke off."""
    suites = list(ElementTree.parse(report).getroot().iter("testsuite")) if report.exists() else []
    total, failures, errors, skipped = (
        sum(int(suite.get(name, 0)) for suite in suites) for name in ("tests", "failures", "errors", "skipped")
    )
    failed = failures + errors
    return total - failed - skipped, max(failed, int(code != 0)), skipped


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backends", default=",".join(BACKENDS), help="which, separated by commas")
    options, arguments = parser.parse_known_args()
    backends = options.backends.split(",")
    if unknown := set(backends) - set(BACKENDS):
        parser.error(f"unknown backend {', '.join(sorted(unknown))}; known: {', '.join(BACKENDS)}")

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for backend in backends:
            print(f"\n{backend}", flush=True)
            report, began = Path(folder) / f"{backend}.xml", time.monotonic()
            code = run(backend, left_out(backend, backends), arguments, report)
            rows.append((backend, *counts(report, code), time.monotonic() - began))

    print(f"\n{'backend':12}{'passed':>8}{'failed':>8}{'skipped':>9}{'seconds':>9}")
    for backend, passed, failed, skipped, seconds in rows:
        print(f"{backend:12}{passed:8}{failed:8}{skipped:9}{seconds:9.0f}")
    passed, failed, skipped = (sum(row[i] for row in rows) for i in (1, 2, 3))
    print(f"\n{passed} passed, {failed} failed, {skipped} skipped", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
