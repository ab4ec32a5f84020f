"""Speed, side by side with plain PyTorch, in one run on this machine.

    python benchmarks/run.py --quick
    python benchmarks/run.py --what=train2,infer --backends=jax,torch --frames=27,243 --dtypes=float32
    python benchmarks/run.py --add --what=              # tables and charts anew, of what was measured

Every contestant runs in a process of its own and is asked for one round after another, all in turn. What counts are
ratios to the eager yardstick (`yardstick.py`) in the same rounds; absolute times are this machine's today.
Writes `speed.json`, `speed.md`, `ratios.md`, `speed.png` and `growth.png` to --out.
"""

import argparse
import importlib.util
import json
import os
import platform
from pathlib import Path

import growth
import report
from material import Case
from rounds import race
from startup import startup
from worker import BACKENDS, YARDSTICKS

WHATS = ("train1", "train2", "infer", "center", "sequence", "stream", "pipeline", "startup", "growth", "modules")
FULL = {"frames": "27,81,243", "dtypes": "float32,mixed_bfloat16", "batch_sizes": "64", "rounds": 7, "seconds": 2.0}
QUICK = {"frames": "27", "dtypes": "float32", "batch_sizes": "16", "rounds": 3, "seconds": 0.5}


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--what", default=",".join(WHATS[:-1]), help=f"of {', '.join(WHATS)}")
    parser.add_argument("--backends", default=",".join(b for b in BACKENDS if importlib.util.find_spec(b)))
    parser.add_argument("--yardsticks", default=",".join(YARDSTICKS), help="of eager and compiled; eager is the 1")
    parser.add_argument("--quick", action="store_true", help="small sizes and few rounds: some minutes")
    for name, value in FULL.items():
        kind = type(value)
        parser.add_argument(f"--{name}", type=kind, help=f"default {value}; with --quick {QUICK[name]}")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--cores", type=int, help="keep to so many cores (Linux); one makes cpu ratios exact")
    parser.add_argument("--out", type=Path, default=Path("runs/speed"))
    parser.add_argument("--add", action="store_true", help="to what --out holds of other cases, measured here before")
    options = parser.parse_args(arguments)
    for name, value in (QUICK if options.quick else FULL).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    for name, known in (("what", WHATS), ("backends", BACKENDS), ("yardsticks", YARDSTICKS)):
        chosen = [value for value in getattr(options, name).split(",") if value]
        if unknown := set(chosen) - set(known):
            parser.error(f"--{name}: unknown {', '.join(sorted(unknown))}; known: {', '.join(known)}")
        setattr(options, name, chosen)
    for name in ("frames", "batch_sizes"):
        setattr(options, name, [int(value) for value in getattr(options, name).split(",")])
    options.dtypes = options.dtypes.split(",")
    return options


def cases(what, options):
    """The cases of one kind of work."""
    dtypes, sizes = options.dtypes, options.batch_sizes
    if what == "pipeline":
        dtypes = dtypes[:1]  # poses are float32 until they are in the network
    if what in ("center", "sequence", "stream"):
        sizes = sizes[:1]
    for frames in options.frames:
        for size in sizes:
            for dtype in dtypes:
                yield Case(what, frames, size, dtype, options.layers, seconds=options.seconds)


def contestants(what, options) -> list[str]:
    """Who takes part, the yardsticks first."""
    if what != "pipeline":
        return [*options.yardsticks, *options.backends]
    kinds = [f"{backend}:device" for backend in options.backends]
    kinds += ["tensorflow:tfdata"] * ("tensorflow" in options.backends)
    first = options.backends[0]
    return ["eager:0", f"eager:{os.cpu_count()}", f"{first}:numpy", *kinds, f"{first}:copy"]


def machine() -> dict:
    """What the figures hold for."""
    facts = {"platform": platform.platform(), "cores": os.cpu_count(), "python": platform.python_version()}
    names = Path("/proc/cpuinfo")
    if names.exists():
        lines = [line for line in names.read_text().splitlines() if line.startswith("model name")]
        facts["processor"] = lines[0].split(":")[1].strip() if lines else ""
    from importlib.metadata import PackageNotFoundError, version

    for package in ("keras", "tensorflow", "jax", "torch", "numpy"):
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            facts[package] = None
    return facts


def added(found, before) -> dict:
    """What was measured before, with the facts of this run. Raises `SystemExit` for figures of another machine."""
    if differing := [key for key in ("machine", "cores") if before[key] != found[key]]:
        raise SystemExit(f"--add: measured before with another {differing[0]}: {before[differing[0]]}")
    return {**before, "load": max(found["load"], before["load"])}


def main():
    options = parse()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.cores:  # before any worker starts: they inherit it, and their libraries count what they may use
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-options.cores :])
    found = {"machine": machine(), "cores": options.cores or os.cpu_count(), "load": os.getloadavg()[0], "results": []}
    if options.add:
        found = added(found, json.loads((options.out / "speed.json").read_text()))
    for what in options.what:
        if what == "startup":
            found["startup"] = startup(options.backends, options.rounds)
            print(json.dumps(found["startup"], indent=1), flush=True)
        elif what == "growth":
            found["growth"] = growth.growth(options)
        elif what == "modules":
            from modules import modules

            found["modules"] = modules(options)
        else:
            for case in cases(what, options):
                fresh = report.ratios(race(contestants(what, options), case, options.rounds))
                print(report.table(fresh), flush=True)
                found["results"] = report.replaced(found["results"], fresh)
        (options.out / "speed.json").write_text(json.dumps(found, indent=1))  # what is done, is kept
    if "growth" in found:
        report.draw_growth(found["growth"]["curves"], options.out / "growth.png")
    report.draw(found["results"], options.out / "speed.png")
    (options.out / "speed.md").write_text(report.page(found))
    (options.out / "ratios.md").write_text(report.ratio_table(found["results"]) + "\n")


if __name__ == "__main__":
    main()
