"""Learning curves of runs."""

import matplotlib.image
import pytest

from mpm_keras.viz.curves import curves_figure, lines_of

pytestmark = pytest.mark.numpy_only
RUNS = {
    "pre": [{"epoch": 1, "val_loss": 3.0}],
    "fine": [{"epoch": 1, "val_mm": 9.0, "val_loss": 2.0}, {"epoch": 2, "val_mm": 8.0, "val_loss": 1.5}],
    "on": [{"epoch": 1, "val_mm": 7.0}],
}


def test_a_run_begins_where_the_one_before_it_ends():
    assert lines_of(RUNS, "val_mm") == {"fine": ([1, 2], [9.0, 8.0]), "on": ([3], [7.0])}
    assert lines_of(RUNS, "val_loss") == {"pre": ([1], [3.0]), "fine": ([2, 3], [2.0, 1.5])}


def test_a_panel_for_each_metric(tmp_path):
    sizes = []
    for metrics in (["val_mm"], ["val_mm", "val_loss"]):
        curves_figure(tmp_path / "curves.png", RUNS, metrics)
        sizes.append(matplotlib.image.imread(tmp_path / "curves.png").shape[1])
    assert sizes[1] > 1.5 * sizes[0]


def test_a_metric_that_no_run_has(tmp_path):
    with pytest.raises(ValueError, match="no run has epochs with 'val_cm'"):
        curves_figure(tmp_path / "curves.png", RUNS, ["val_cm"])
    assert not (tmp_path / "curves.png").exists()


def test_what_is_no_finite_number_is_left_out():
    runs = {"run": [{"epoch": 1, "a": float("nan")}, {"epoch": 2, "a": "x"}, {"epoch": 3, "a": 2}]}
    assert lines_of(runs, "a") == {"run": ([1], [2])}
