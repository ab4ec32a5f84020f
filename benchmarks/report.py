"""The arithmetic of results: medians, spread, ratios; tables and charts of them."""

import statistics

import numpy as np

from mpm_keras.markdown import markdown

COLUMNS = ("case", "contestant", "units/s", "spread", "ratio", "cpu ratio", "first call s", "peak MB")
KEY = ("what", "frames", "batch_size", "dtype")
ORDER = ("train1", "train2", "infer", "center", "sequence", "stream", "pipeline")


def spread(values) -> float:
    """Half the distance of the quartiles over the median: 0.05 is 5 % up or down."""
    low, middle, high = np.percentile(values, [25, 50, 75])
    return float((high - low) / 2 / middle)


def ratios(results, reference="eager") -> list[dict]:
    """Results with `median` and `spread` of their rates, `ratio` and `cpu_ratio`.

    Ratios are medians of a contestant's rates over the reference's in the same case, round by round; None where the
    reference is absent.
    """
    by_case = {}
    for result in results:
        by_case.setdefault(tuple(result[k] for k in KEY), {})[result["who"]] = result
    done = []
    for entries in by_case.values():
        base = next((entries[who] for who in entries if who.split(":")[0] == reference), None)
        for result in entries.values():
            found = {"median": statistics.median(result["rates"]), "spread": spread(result["rates"])}
            for name, rates in (("ratio", "rates"), ("cpu_ratio", "cpu_rates")):
                found[name] = base and quotient(result[rates], base[rates])
            done.append({**result, **found})
    return done


def replaced(results, fresh) -> list[dict]:
    """Results in which those of the fresh ones' cases have made room for them."""
    cases = {tuple(result[k] for k in KEY) for result in fresh}
    return [result for result in results if tuple(result[k] for k in KEY) not in cases] + fresh


def quotient(rates, others) -> float:
    """The median of quotients, pair by pair."""
    return statistics.median(own / other for own, other in zip(rates, others, strict=True))


def exponent(sizes, costs) -> float:
    """The slope of log(cost) over log(size): 1 where cost grows like size, 2 where like its square."""
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])


def in_order(results) -> list[dict]:
    """Results by kind of work, precision and frames; contestants as they were."""
    return sorted(results, key=lambda r: (ORDER.index(r["what"]), r["dtype"], r["frames"], r["batch_size"]))


def table(results) -> str:
    """Markdown."""
    rows = [COLUMNS]
    for r in in_order(results):
        shares = ["" if r[name] is None else f"{r[name]:.2f}" for name in ("ratio", "cpu_ratio")]
        case = f"{r['what']} F{r['frames']} B{r['batch_size']} {r['dtype']}"
        cells = (case, r["who"], f"{r['median']:.4g}", f"{100 * r['spread']:.0f} %", *shares)
        rows.append((*cells, f"{r['first_s']:.1f}", f"{r['peak_memory_mb']:.0f}"))
    return markdown(rows)


WORK = {
    "train1": "train, stage I", "train2": "train, stage II", "infer": "infer", "center": "a clip, centre mode",
    "sequence": "a clip, sequence mode", "stream": "a frame, streaming",
}  # fmt: skip
WHO = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch", "compiled": "`torch.compile`"}


def ratio_table(results) -> str:
    """Markdown: the ratio to the eager yardstick, a row for each case and a column for each contestant."""
    cases = {}
    for r in in_order(results):
        if r["what"] in WORK and r["ratio"] is not None:
            cases.setdefault(tuple(r[k] for k in KEY), {})[r["who"]] = r["ratio"]
    rows = [("", "frames, batch", *WHO.values())]
    for (what, frames, size, dtype), ratios_of in cases.items():
        name = WORK[what] + ("" if dtype == "float32" else f", {dtype.removeprefix('mixed_')}")
        shown = [f"{ratios_of[who]:.{2 if ratios_of[who] < 10 else 0}f}" if who in ratios_of else "" for who in WHO]
        rows.append((name, f"{frames}, {size}", *shown))
    return markdown(rows)


def floor_table(found) -> str:
    """Markdown: what each module takes over its floor, and steps of stage II of the same size, see `step_rows`."""
    rows = []
    for backend, facts in found.get("modules", {}).items():
        for name, part in facts.get("modules", {}).items():
            rows.append(
                (backend, name, part["seconds"], f"{part['times_floor']:.1f} times its floor ({part['bound']})")
            )
        rows += step_rows(found["results"], backend, facts)
    if not rows:
        return ""
    return markdown([("backend", "", "ms", ""), *((b, name, f"{1e3 * s:.2f}", text) for b, name, s, text in rows)])


def step_rows(results, backend, facts) -> list[tuple]:
    """(backend, what, seconds, a remark): a step of the size that `facts` hold for, and its batch beside it."""
    frames, size = facts.get("frames"), facts.get("batch_size")
    rates = {(r["what"], r["who"]): r["median"] for r in results if (r["frames"], r["batch_size"]) == (frames, size)
             and (r["what"] == "pipeline" or r["dtype"] == facts["dtype"])}  # fmt: skip
    if not (rate := rates.get(("train2", backend))):
        return []
    share = rate * facts["train_flops_per_window"] / facts["matmul_flops"]
    rows = [(backend, "a step", size / rate, f"{share:.0%} of the rate of a large product")]
    for (what, who), batches in rates.items():
        if what == "pipeline" and who.startswith(f"{backend}:") and not who.endswith(":copy"):
            rows.append((backend, f"its batch, {who}", size / batches, f"{rate / batches:.1%} of the step"))
    return rows


def page(found) -> str:
    """Markdown: all figures of a run, and where they were measured."""
    m = found["machine"]
    versions = ", ".join(f"{name} {m[key]}" for name, key in (("Keras", "keras"), ("TensorFlow", "tensorflow"),
                         ("JAX", "jax"), ("PyTorch", "torch"), ("NumPy", "numpy")) if m[key])  # fmt: skip
    parts = [
        "# Speed: all figures",
        f"By `benchmarks/run.py`, on {m['cores']} cores ({m.get('processor', m['platform'])}): {versions}. Units a "
        "second are windows or frames; the ratio is to the eager yardstick in the same rounds, by the clock and by "
        "processor time. `pipeline` names backend and kind; `eager:2` loads with two processes.",
        table(found["results"]),
    ]
    if floors := floor_table(found):
        parts += ["Modules alone, forward and backward, and their floors:", floors]
    if "startup" in found:
        times = [(what, f"{facts['median_s']:.2f}") for what, facts in found["startup"].items()]
        parts += ["Start-up, whole processes:", markdown([("", "seconds"), *times])]
    return "\n\n".join(parts) + "\n"


def draw(results, path):
    """Bars of ratios to the eager yardstick, a panel for each case; without copies, which would dwarf all else."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    shown = [r for r in in_order(results) if r["ratio"] is not None and not r["who"].endswith(":copy")]
    cases = list(dict.fromkeys(tuple(r[k] for k in KEY) for r in shown))
    if not cases:
        return
    columns = min(3, len(cases))
    lines = -(-len(cases) // columns)
    figure, panels = pyplot.subplots(lines, columns, figsize=(4.2 * columns, 2.4 * lines), squeeze=False)
    for panel in panels.flat[len(cases) :]:
        panel.axis("off")
    for case, panel in zip(cases, panels.flat, strict=False):
        entries = [r for r in shown if tuple(r[k] for k in KEY) == case]
        values = [r["ratio"] for r in entries]
        colors = ["tab:gray" if r["who"].split(":")[0] in ("eager", "compiled") else "tab:blue" for r in entries]
        panel.barh([r["who"] for r in entries], values, xerr=[r["ratio"] * r["spread"] for r in entries], color=colors)
        panel.axvline(1.0, color="black", linewidth=0.8)
        panel.invert_yaxis()
        panel.set_title("{} · {} frames · batch {} · {}".format(*case), fontsize=8)
        panel.tick_params(labelsize=8)
    figure.supxlabel("times the eager yardstick", fontsize=9)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def draw_growth(curves, path):
    """Time and memory over size, both axes logarithmic; a curve is {"name", "sizes", "seconds", "memory_mb"}."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot, ticker

    figure, panels = pyplot.subplots(2, len(curves), figsize=(3.4 * len(curves), 5.4), squeeze=False)
    for curve, (upper, lower) in zip(curves, panels.T, strict=True):
        for panel, name in ((upper, "seconds"), (lower, "memory_mb")):
            panel.loglog(curve["sizes"], curve[name], "o-")
            for axis, values in ((panel.xaxis, curve["sizes"]), (panel.yaxis, [curve[name][0], curve[name][-1]])):
                axis.set_ticks(values, [f"{round(v):,}" if v >= 100 else f"{v:.2g}" for v in values])
                axis.set_minor_locator(ticker.NullLocator())
            label = f"{name.replace('_', ' ')} ~ {curve['name']}^{exponent(curve['sizes'], curve[name]):.2f}"
            panel.set_title(label, fontsize=8)
            panel.tick_params(labelsize=7, which="both")
        lower.set_xlabel(curve["name"], fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
