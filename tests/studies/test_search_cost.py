"""What a search is said to cost."""

from types import SimpleNamespace

import pytest

from mpm_keras.studies.search_cost import Cost, alternating, budget_left, duration, rounds, stage_samples

pytestmark = pytest.mark.numpy_only


def plan(tuner="grid", trials=0, parts=9, factor=3):
    full = parts if tuner == "hyperband" else 1
    return SimpleNamespace(tuner=tuner, trials=trials, parts=parts, factor=factor, full=full)


def test_trials_of_a_product():
    assert rounds(plan(), 25) == [(25, 1, 0)] and rounds(plan(trials=7), 25) == [(7, 1, 0)]
    assert rounds(plan("random", 40), 25) == [(25, 1, 0)]


def test_hyperband_as_kerastuner_counts_it():
    everything = [(9, 1, 0), (3, 3, 1), (1, 9, 3), (5, 3, 0), (2, 9, 3), (3, 9, 0)]
    assert rounds(plan("hyperband"), 100) == everything and rounds(plan("hyperband"), 17) == everything
    assert rounds(plan("hyperband"), 9) == everything[:3]
    assert rounds(plan("hyperband"), 12) == [*everything[:3], (3, 3, 0)]


def test_what_is_left_to_train():
    assert budget_left(plan(), 25, 20) == 5
    # Of nine parts: 9 trials with 1, then 3 with 3, whose pre-training only goes on with 2: (9 + 3 * (2 + 3) / 2) / 9.
    whole = budget_left(plan("hyperband"), 9, 0)
    assert whole - budget_left(plan("hyperband"), 9, 12) == pytest.approx((9 + 3 * 2.5) / 9)
    assert budget_left(plan("hyperband"), 9, 13) == 0


def test_samples_of_a_stage():
    settings = {"steps": 240, "epochs": 0, "batch_size": 32}
    assert (
        stage_samples(settings, "pretrain", None) == 120 * 32 and stage_samples(settings, "finetune", None) == 240 * 32
    )
    assert stage_samples({**settings, "schedule": "joint"}, "pretrain", None) == 240 * 32
    assert stage_samples({**settings, "epochs": 2}, "finetune", 1000) == 2000
    assert alternating({"weight_3d": "0", "weight_lift": "1"}, "pretrain") == 2


def test_the_estimate_is_plain_words():
    assert duration(59.6) == "60 s" and duration(600) == "10 min" and duration(7200 * 5) == "10.0 h"
    text = Cost(9, 4, 12345.0, 130.0, "at the speed given").text()
    assert (
        text == "9 trials, 4 of them done; still to do: 12,345 samples, about 2 min on one worker (at the speed given)"
    )
    assert "unknown time" in Cost(9, 0, None, None, "").text()
