"""Oracles that go on from a journal, and trials that change hands."""

import pytest
from fake_runs import FakeRuns, bowl

from mpm_keras.studies.journal import Journal
from mpm_keras.studies.space import Dimension, Space
from mpm_keras.studies.trials import OBJECTIVE, Trials

pytestmark = pytest.mark.once  # KerasTuner needs Keras, but no certain backend

SPACE = Space(
    [Dimension("spatial_mask", (2, 5, 9), ("pretrain",)), Dimension("temporal_mask", (0.4, 0.6), ("pretrain",))]
)


@pytest.fixture
def oracle(tmp_path):
    """oracle(plan): a new one, led through the journal of those before it."""
    from mpm_keras.studies import tuners

    def make(**plan):
        trials = Trials(tmp_path, SPACE, {}, run=FakeRuns(bowl))
        journal = Journal(tmp_path / "journal.jsonl")
        return tuners.make_tuner(tuners.Plan(**plan), trials, journal, tmp_path / "kt", "chief").oracle

    return make


def end(oracle, trial, error=100.0):
    oracle.update_trial(trial.trial_id, {OBJECTIVE: error})
    trial.status = "COMPLETED"
    oracle.end_trial(trial)


def ids(oracle, *names) -> list[str]:
    return [oracle.create_trial(name).trial_id for name in names]


def test_running_trials_go_to_whoever_asks_first(oracle):
    first = oracle()
    assert ids(first, "one", "two", "three") == ["0", "1", "2"] and len(first.ongoing_trials) == 3
    end(first, first.get_trial("1"))

    again = oracle()
    assert again.get_trial("1").score == 100.0 and set(again.ongoing_trials) == {"one", "three"}
    assert again.create_trial("three").trial_id == "2"  # its own
    assert again.create_trial("four").trial_id == "0"  # that of one, who may be gone
    assert ids(again, "two", "one") == ["3", "4"]
    assert {trial.trial_id for trial in oracle().ongoing_trials.values()} == {"0", "2", "3", "4"}
    end(again, again.get_trial("0"), 90.0)  # one was not gone, and is the first to end
    end(again, again.get_trial("0"), 80.0)
    assert again.end_order == ["1", "0"] and again.get_trial("0").score == 90.0
    for name in ("one", "four", "three", "two"):
        while (trial := again.create_trial(name)).status == "RUNNING":
            end(again, trial)
    assert sorted(again.end_order) == sorted(again.trials) == [str(i) for i in range(6)]
    assert not again.ongoing_trials and not again.tuner_ids  # what the chief waits for


def test_a_journal_that_this_oracle_would_not_write_is_dropped_from_there(oracle, tmp_path):
    first = oracle(tuner="random", seed=1)
    for _ in range(3):
        end(first, first.create_trial("tuner0"))
    journal = Journal(tmp_path / "journal.jsonl")
    events = journal.read()
    other = [*events[:2], {**events[2], "values": {"spatial_mask": 7, "temporal_mask": 7}}, *events[3:]]
    journal.rewrite(other)
    again = oracle(tuner="random", seed=1)
    assert list(again.trials) == ["0"] and journal.read() == events[:2]
    assert again.create_trial("tuner0").hyperparameters.values == events[2]["values"]


def test_a_seed_of_zero_is_a_seed(oracle, tmp_path):
    values = []
    for _ in range(2):
        values.append([oracle(tuner="random").create_trial("tuner0").hyperparameters.values for _ in range(2)])
        (tmp_path / "journal.jsonl").unlink()
    assert values[0] == values[1]
