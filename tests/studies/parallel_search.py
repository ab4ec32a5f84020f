"""A process of a parallel search over runs that take no time: `parallel_search.py FOLDER DIE_AT TUNER`."""

import json
import os
import signal
import sys
import time
from pathlib import Path

from fake_runs import FakeRuns, bowl
from test_search import config, no_pictures, space

from mpm_keras.errors import InputError
from mpm_keras.studies.search import run_search


def main(folder, die_at, tuner):
    runs = FakeRuns(bowl)

    def run(script, settings, workdir, environment=None):
        metrics, before = None, len(runs.started)
        metrics = runs(script, settings, workdir)
        if len(runs.started) > before and script == "finetune":
            with open(folder / "started.jsonl", "a") as file:
                file.write(json.dumps([os.environ["KERASTUNER_TUNER_ID"], settings["pretrained"]]) + "\n")
            if before + 1 == die_at:
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(0.1)
        return metrics

    try:
        found = run_search(
            "mask_search", config(folder / "search", tuner=tuner, samples_per_second=9.0), space(), no_pictures, run
        )
    except InputError as error:
        sys.exit(f"parallel_search.py: {error}")
    print(json.dumps({k: v for k, v in found.items() if k != "best"}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
