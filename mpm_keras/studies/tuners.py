"""KerasTuner's oracles and tuner, made to survive a kill and a failing trial.

What an oracle decided stands in a journal, one line per event; at the next start a new oracle is led through the
same events. So nothing rests on the JSON files of KerasTuner, which it rewrites in place and from which version
1.4.8 cannot go on with a grid; random states are right, and trials that workers have at hand stay known.

Imports KerasTuner, and with it Keras; see `search.import_tuners`.
"""

import dataclasses
import math
import random
import time
import warnings

import grpc
import keras_tuner as kt
from keras_tuner.engine.base_tuner import BaseTuner

from mpm_keras.errors import InputError
from mpm_keras.studies.journal import Journal
from mpm_keras.studies.space import Space
from mpm_keras.studies.trials import COMPLETED, OBJECTIVE, Budget, Trials

IDLE_SECONDS = 0.25  # between questions of a worker that has to wait for another


class Stopped(kt.errors.FatalError):
    """Leaves the tuner's loop, which holds any other error for a failed trial."""


class NoChief(Exception):
    """The chief of this worker does not answer, or does not know its trial."""


class Journaled:
    """What an oracle must have: a journal, trials of which no worker is left, and news for who watches.

    Args:
        journal: `Journal`, or None in a worker, whose oracle does nothing.
        space: `Space` of the search.
        on_end: called with every trial of KerasTuner's that has ended.
    """

    def __init__(self, *args, journal: Journal | None, space: Space, on_end=None, **kwargs):
        hyperparameters = kt.HyperParameters()
        for dimension in space.free:
            hyperparameters.Int(dimension.name, 0, len(dimension.values) - 1)
        super().__init__(
            *args, objective=kt.Objective(OBJECTIVE, "min"), hyperparameters=hyperparameters,
            allow_new_entries=False, tune_new_entries=False, max_consecutive_failed_trials=1 << 60, **kwargs,
        )  # fmt: skip
        self.journal, self.space, self.on_end, self.left = journal, space, on_end, []
        self.verbose = 0

    @kt.synchronized
    def create_trial(self, tuner_id):
        self.left = [(owner, trial) for owner, trial in self.left if owner != tuner_id]  # it is there, and has its own
        if tuner_id not in self.ongoing_trials and (trial := self.take_over(tuner_id)):
            return trial
        known = len(self.trials)
        trial = super().create_trial(tuner_id)
        if len(self.trials) > known:
            values = trial.hyperparameters.values
            self.journal.append({"begin": trial.trial_id, "tuner": tuner_id, "values": values})
        return trial

    def take_over(self, tuner_id):
        """A trial that was running when the search was stopped, for whoever asks first; its worker may be gone.

        Where the worker is not gone, the new one waits for its runs and reads their results.
        """
        while self.left:
            owner, trial = self.left.pop(0)
            if self.ongoing_trials.get(owner) is trial:
                del self.ongoing_trials[owner]
                self.ongoing_trials[tuner_id] = trial
                self.tuner_ids.add(tuner_id)
                return trial
        return None

    @kt.synchronized
    def end_trial(self, trial):
        if trial.trial_id in self.end_order:  # two workers had it, see `take_over`
            return
        self.tuner_ids |= {name for name, other in self.ongoing_trials.items() if other.trial_id == trial.trial_id}
        super().end_trial(trial)
        trial = self.trials[trial.trial_id]
        self.journal.append({"end": trial.trial_id, "status": trial.status, "score": trial.score})
        if self.on_end:
            self.on_end(trial)

    def replay(self) -> bool:
        """Repeats what the journal says. Returns whether this oracle, a new one, decided alike.

        Otherwise, which takes another version of a library, the rest of the journal is dropped and this oracle is
        of no use. Results are not lost with it.
        """
        events = self.journal.read()
        for done, event in enumerate(events):
            if not self.repeat(event):
                self.journal.rewrite(events[:done])
                return False
        # The chief waits for every name in `tuner_ids` to be told the end; some of these may be gone.
        self.left, self.tuner_ids = list(self.ongoing_trials.items()), set()
        return True

    def repeat(self, event: dict) -> bool:
        if "begin" in event:
            if taken := self.ongoing_trials.pop(event["tuner"], None):  # by another, so that this one was free
                self.ongoing_trials[f"left {taken.trial_id}"] = taken
            trial = super().create_trial(event["tuner"])
            return (trial.trial_id, trial.hyperparameters.values) == (event["begin"], event["values"])
        trial = self.trials[event["end"]]
        if event["status"] == "COMPLETED":
            self.update_trial(trial.trial_id, {OBJECTIVE: event["score"]})
        trial.status = event["status"]
        super().end_trial(trial)
        return True


class Fresh:
    """An oracle that never tries the same settings twice while others are left.

    KerasTuner's Bayesian optimisation rounds its choice to values that may have been tried, and its random search
    gives up after a number of repetitions.
    """

    def populate_space(self, trial_id):
        found = super().populate_space(trial_id)
        tried = [trial.hyperparameters.values for trial in self.trials.values()]
        values = found.get("values")
        if values is not None and values not in tried:
            return found
        untried = [v for v in self.space.combinations() if v not in tried]
        if not untried:
            return {"status": "STOPPED", "values": None}
        if values is None:
            nearest = random.Random(self.seed + len(tried)).choice(untried)
        else:
            nearest = min(untried, key=lambda other: self.distance(values, other))
        return {"status": "RUNNING", "values": nearest}

    def distance(self, one: dict, other: dict) -> float:
        """Between two settings, in shares of what each dimension spans."""
        return math.dist(
            [one[d.name] / (len(d.values) - 1) for d in self.space.free],
            [other[d.name] / (len(d.values) - 1) for d in self.space.free],
        )


class GridOracle(Journaled, kt.Oracle):
    """Every combination, in the order of `Space.combinations`.

    KerasTuner's own grid waits for a trial to end before it hands out the next, since the trial might bring new
    hyper-parameters: its workers would take turns.
    """

    def populate_space(self, trial_id):
        values = self.space.combinations()[len(self.trials)]  # there is one: `max_trials` is at most their number
        return {"status": "RUNNING", "values": values}


class RandomOracle(Fresh, Journaled, kt.oracles.RandomSearchOracle):
    """Combinations drawn at random."""


class BayesianOracle(Fresh, Journaled, kt.oracles.BayesianOptimizationOracle):
    """A Gaussian process decides what to try; its first trials are random."""

    def populate_space(self, trial_id):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of scikit-learn, about a process that has seen few points
            return super().populate_space(trial_id)


class HyperbandOracle(Journaled, kt.oracles.HyperbandOracle):
    """Many trials with a small budget, the best of them with a larger one."""


class TrialTuner(BaseTuner):
    """Runs the trials that an oracle, here or with the chief, hands out.

    Args:
        oracle: one of the above.
        trials: `Trials`.
        folder: for KerasTuner's own files, in `folder/name`; nothing is read from them.
        parts: into how many parts Hyperband divides the full budget.
    """

    def __init__(self, oracle, trials: Trials, folder, name: str, parts: int):
        super().__init__(oracle=oracle, directory=str(folder), project_name=name, overwrite=True)
        self.all_trials, self.parts, self.waiting = trials, parts, False

    def pre_create_trial(self):
        if self.waiting:
            time.sleep(IDLE_SECONDS)
        self.waiting = True

    def on_trial_begin(self, trial):
        self.waiting = False

    def run_trial(self, trial):
        values = trial.hyperparameters.values
        parts = int(values.get("tuner/epochs", self.parts))
        try:
            record = self.all_trials.result(self.all_trials.space.settings(values), Budget(parts, self.parts))
        except Exception as error:  # of this process; a trial that fails has a record
            raise Stopped from error
        if record["status"] == COMPLETED:
            return record[OBJECTIVE]
        if "tuner/epochs" in values:  # a round with a failure would wait for it, and its best never go on
            return math.inf
        raise kt.errors.FailedTrialError(record["reason"])

    def search(self):
        """Runs trials until there are no more. Raises what stopped them; `NoChief` where a worker has lost it."""
        try:
            super().search()
        except Stopped as stopped:
            raise stopped.__cause__ from None
        except grpc.RpcError as error:
            raise NoChief(error.code().name) from error


ORACLES = {"grid": GridOracle, "random": RandomOracle, "bayesian": BayesianOracle, "hyperband": HyperbandOracle}


@dataclasses.dataclass(frozen=True)
class Plan:
    """How a search goes through its space.

    Args:
        tuner: "grid", "random", "bayesian" or "hyperband".
        trials: at most so many; 0 for all of the space, and for Hyperband, which has its own number.
        seed: of what is random.
        parts: Hyperband divides the full budget into so many; the smallest budget is one of them.
        factor: by which Hyperband's budgets grow and its rounds shrink.
    """

    tuner: str = "grid"
    trials: int = 0
    seed: int = 0
    parts: int = 9
    factor: int = 3

    @property
    def full(self) -> int:
        """Parts of the full budget."""
        return self.parts if self.tuner == "hyperband" else 1


def make_oracle(plan: Plan, space: Space, journal: Journal | None, on_end=None):
    """The oracle of a plan. Raises `InputError` where scikit-learn is needed and missing."""
    special = {"max_trials": min(plan.trials, len(space)) or len(space)}
    if plan.tuner == "hyperband":
        special = {"max_epochs": plan.parts, "factor": plan.factor}
    try:
        # KerasTuner takes a seed of 0 for none.
        return ORACLES[plan.tuner](seed=plan.seed + 1, journal=journal, space=space, on_end=on_end, **special)
    except ImportError as error:
        raise InputError(f"--tuner={plan.tuner}: {error}") from error


def make_tuner(plan: Plan, trials: Trials, journal: Journal | None, folder, name: str, on_end=None) -> TrialTuner:
    """A tuner that goes on from where its journal ends; from nowhere in a worker, which has none."""
    while True:
        tuner = TrialTuner(make_oracle(plan, trials.space, journal, on_end), trials, folder, name, plan.full)
        if journal is None or tuner.oracle.replay():
            return tuner
