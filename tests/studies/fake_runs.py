"""Stands for `run_script` in tests of searches: runs that take no time, with errors that follow from their settings."""

import json
from pathlib import Path

from mpm_keras.files import write_json
from mpm_keras.studies.runs import RunFailed, beside, run_record

USUAL = {"schedule": "alternate", "weight_2d": 2.0, "weight_3d": 3.0, "weight_lift": 0.0}


class FakeRuns:
    """Callable like `run_script`.

    Args:
        error_of: (settings of the pre-training, settings of the fine-tuning) -> error in mm.
        fails: settings -> reason, or None.
        stop_at: the start, counted from 1, at which `KeyboardInterrupt` comes; 0 for never.
    """

    def __init__(self, error_of, fails=lambda settings: None, stop_at=0):
        self.error_of, self.fails, self.stop_at = error_of, fails, stop_at
        self.started = []  # (stage, settings), in order

    def __call__(self, script, settings, workdir, environment=None):
        workdir = Path(workdir)
        record = run_record(workdir)
        if record.get("settings") == settings:
            return json.loads((workdir / "metrics.json").read_text())
        self.started.append((script, settings))
        if len(self.started) == self.stop_at:
            raise KeyboardInterrupt
        if reason := self.fails(settings):
            raise RunFailed(2, reason)
        workdir.mkdir(parents=True, exist_ok=True)
        metrics = {"steps": settings["steps"], "train_samples_per_second": 100.0, "train_windows": 1000}
        if script == "pretrain":
            metrics |= {"val_masked_3d_mpjpe_mm": 50.0, "val_masked_2d_error": 0.0125}
        else:
            pretrained = json.loads((Path(settings["pretrained"]) / "config.json").read_text())
            error = self.error_of(pretrained, settings)
            metrics |= {"val_center_mpjpe_mm": error, "val_sequence_mpjpe_mm": error + 5}
        usual = USUAL if script == "pretrain" else {}
        flags = {name: type(usual[name])(settings.get(name, usual[name])) for name in usual}
        write_json(workdir / "config.json", {**settings, **flags})
        write_json(workdir / "metrics.json", metrics)
        write_json(beside(workdir, "run.json"), {"settings": settings, "finished": True, "seconds": 2.0, "starts": 1})
        return metrics

    def stages(self, name) -> list[dict]:
        """Settings of the runs of one stage that were started, probes left out."""
        return [settings for stage, settings in self.started if stage == name and settings["val_windows"] == 256]


def bowl(pretrain: dict, _finetune: dict) -> float:
    """The smallest error at r_s = 5, r_t = 0.6."""
    return 100 + (pretrain["spatial_mask"] - 5) ** 2 + 100 * (pretrain["temporal_mask"] - 0.6) ** 2
