"""The arithmetic of the benchmarks' report."""

import pytest
import report
import run

pytestmark = pytest.mark.numpy_only
CASE = {"what": "infer", "frames": 27, "batch_size": 8, "dtype": "float32"}


def test_ratio_is_the_median_of_quotients_round_by_round():
    base = {**CASE, "who": "eager", "rates": [10.0, 5.0, 20.0], "cpu_rates": [1.0] * 3}
    ours = {**CASE, "who": "jax", "rates": [20.0, 15.0, 20.0], "cpu_rates": [4.0, 2.0, 3.0]}
    elsewhere = {**CASE, "frames": 81, "who": "jax", "rates": [1.0] * 3, "cpu_rates": [1.0] * 3}
    found = {(r["who"], r["frames"]): r for r in report.ratios([base, ours, elsewhere])}
    assert found["jax", 27]["ratio"] == 2.0  # of 2, 3 and 1; the quotient of medians is 2 too
    assert found["jax", 27]["cpu_ratio"] == 3.0
    assert found["eager", 27]["ratio"] == 1.0
    assert found["jax", 81]["ratio"] is None
    assert found["jax", 27]["median"] == 20.0


def test_fresh_figures_of_a_case_replace_the_old_ones():
    old = [{**CASE, "who": who, "n": 1} for who in ("eager", "jax")] + [{**CASE, "frames": 81, "who": "jax", "n": 1}]
    found = report.replaced(old, [{**CASE, "who": "eager", "n": 2}])
    assert [(r["frames"], r["who"], r["n"]) for r in found] == [(81, "jax", 1), (27, "eager", 2)]


def test_figures_of_another_machine_are_not_added_to():
    before = {"machine": {"cores": 2}, "cores": 2, "load": 0.5, "results": [1], "startup": {}}
    assert run.added({"machine": {"cores": 2}, "cores": 2, "load": 0.1}, before) == before
    with pytest.raises(SystemExit, match="measured before with another machine"):
        run.added({"machine": {"cores": 8}, "cores": 2, "load": 0.1}, before)


def test_spread_is_half_the_distance_of_the_quartiles():
    assert report.spread([90.0, 95.0, 100.0, 105.0, 110.0]) == pytest.approx(0.05)


def test_exponent():
    assert report.exponent([1, 2, 4], [3.0, 12.0, 48.0]) == pytest.approx(2.0)
    assert report.exponent([10, 100, 1000], [5.0, 50.0, 500.0]) == pytest.approx(1.0)


def test_flags_and_cases():
    options = run.parse(["--quick", "--frames=27,81", "--backends=jax", "--dtypes=float32,mixed_bfloat16"])
    assert [(c.frames, c.dtype) for c in run.cases("train2", options)] == [
        (27, "float32"), (27, "mixed_bfloat16"), (81, "float32"), (81, "mixed_bfloat16"),
    ]  # fmt: skip
    assert len(list(run.cases("pipeline", options))) == 2
    assert run.contestants("train1", options) == ["eager", "compiled", "jax"]
    assert "jax:copy" in run.contestants("pipeline", options)


def test_unknown_work_is_refused(capsys):
    with pytest.raises(SystemExit):
        run.parse(["--what=sleep"])
    assert "unknown sleep" in capsys.readouterr().err


def result(what, who, rate, **case):
    return {**CASE, "what": what, "who": who, "rates": [rate], "cpu_rates": [rate], "median": rate, "spread": 0.01,
            "ratio": None, "cpu_ratio": None, "first_s": 1.0, "peak_memory_mb": 100.0, **case}  # fmt: skip


def test_a_row_for_each_case_and_a_column_for_each_contestant():
    case = {"frames": 27, "batch_size": 64, "dtype": "mixed_bfloat16"}
    results = report.ratios(
        [result("infer", who, rate, **case) for who, rate in (("eager", 10), ("jax", 25), ("torch", 170))]
    )
    lines = report.ratio_table(results).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[0] == ["", "frames, batch", "TensorFlow", "JAX", "PyTorch", "`torch.compile`"]
    assert cells[2] == ["infer, bfloat16", "27, 64", "", "2.50", "17", ""] and len(cells) == 3


def test_floors_with_the_step_and_the_batch_of_their_size():
    case = {"frames": 27, "batch_size": 64, "dtype": "float32"}
    other = {**case, "frames": 81}
    part = {"seconds": 0.002, "times_floor": 3.0, "bound": "memory"}
    facts = {**case, "matmul_flops": 1e12, "train_flops_per_window": 4e8, "modules": {"block": part}}
    results = [
        result("train2", "jax", 1000.0, **case), result("train2", "jax", 5.0, **other),
        result("train2", "torch", 7.0, **case), result("pipeline", "jax:device", 50_000.0, **case),
    ]  # fmt: skip
    table = report.floor_table({"modules": {"jax": facts}, "results": results})
    assert "| jax | block | 2.00 | 3.0 times its floor (memory) |" in table
    assert "| jax | a step | 64.00 | 40% of the rate of a large product |" in table
    assert "| jax | its batch, jax:device | 1.28 | 2.0% of the step |" in table
    assert len(table.splitlines()) == 5
    assert report.floor_table({"results": results}) == ""


def test_a_page_of_all_figures():
    machine = {
        "cores": 2,
        "platform": "Linux",
        "keras": "3",
        "tensorflow": None,
        "jax": "0.1",
        "torch": None,
        "numpy": "2",
    }
    found = {"machine": machine, "results": report.ratios([result("infer", "eager", 10.0)]),
             "startup": {"import torch": {"median_s": 1.25}}}  # fmt: skip
    text = report.page(found)
    assert "on 2 cores (Linux): Keras 3, JAX 0.1, NumPy 2." in text
    assert "| import torch | 1.25 |" in text and "Modules" not in text
