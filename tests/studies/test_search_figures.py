"""Pictures of searches: what they say, read off their axes."""

import numpy as np
import pytest

from mpm_keras.studies import search_figures
from mpm_keras.studies.search_figures import draw_layers, grid, heat_map, surface
from mpm_keras.studies.space import Dimension, Space
from mpm_keras.studies.trials import OBJECTIVE

pytestmark = pytest.mark.numpy_only

MASKS = Space([Dimension("spatial_mask", (2, 5, 9)), Dimension("temporal_mask", (0.4, 0.6))])


def record(error, **values):
    status = {"status": "failed"} if error is None else {"status": "completed", OBJECTIVE: error}
    return {"values": values, "parts": 1, "of": 1, **status}


@pytest.fixture
def errors():
    """r_s = 2, 5, 9 by r_t = 0.4, 0.6; one has failed and one is missing."""
    cells = {(2, 0.4): 103.0, (2, 0.6): 101.0, (5, 0.4): 99.0, (9, 0.4): None, (9, 0.6): 110.0}
    records = [record(error, spatial_mask=s, temporal_mask=t) for (s, t), error in cells.items()]
    return grid(*MASKS.dimensions, records)


def test_errors_have_their_places(errors):
    np.testing.assert_array_equal(errors, [[103, 101], [99, np.nan], [np.nan, 110]])


def test_the_heat_map_says_every_number(errors):
    axes = heat_map(errors, *MASKS.dimensions).axes[0]
    texts = {(text.get_position()): text for text in axes.texts}
    assert {place: text.get_text() for place, text in texts.items()} == {
        (0, 0): "103.0", (1, 0): "101.0", (0, 1): "99.0", (1, 1): "no result", (0, 2): "no result", (1, 2): "110.0"
    }  # fmt: skip
    assert texts[(0, 1)].get_weight() == "bold" and texts[(0, 0)].get_weight() == "normal"
    # The smallest error is yellow, the largest dark.
    assert texts[(0, 1)].get_color() == "black" and texts[(1, 2)].get_color() == "white"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["2", "5", "9"]


def test_the_surface_marks_the_best(errors):
    axes = surface(errors, *MASKS.dimensions).axes[0]
    assert [text.get_text() for text in axes.texts] == ["99.0"] and "$r_s$" in axes.get_xlabel()


def test_a_line_for_every_other_setting(tmp_path, monkeypatch):
    space = Space([Dimension("layers", (2, 3)), Dimension("frames", (9,)), Dimension("decoder", ("stage1", "stage2"))])
    records = [
        record(error, layers=layers, frames=9, decoder=decoder)
        for layers, decoder, error in [
            (3, "stage1", 90.0),
            (2, "stage1", 95.0),
            (2, "stage2", 80.0),
            (3, "stage2", None),
        ]
    ]
    saved = []
    monkeypatch.setattr(search_figures, "save", lambda figure, path: saved.append((figure, path)))
    draw_layers(tmp_path, space, records)
    figure, path = saved[0]
    axes = figure.axes[0]
    assert path == tmp_path / "layers.png"
    lines = {line.get_label(): line.get_xydata().tolist() for line in axes.lines}
    assert lines == {"3D decoder stage2": [[2, 80]], "3D decoder stage1": [[2, 95], [3, 90]]}
    assert axes.texts[0].get_text() == "80.0"
