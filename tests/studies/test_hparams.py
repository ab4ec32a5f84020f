"""HParams as TensorBoard itself reads them."""

import subprocess
import sys

import pytest

from mpm_keras.studies.hparams import write_hparams
from mpm_keras.studies.space import Dimension, Space

pytestmark = pytest.mark.numpy_only

READ = """
import sys
sys.modules["tensorflow"] = None  # not needed
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata
def read(folder):
    events = EventAccumulator(folder).Reload()
    data = {t: m.plugin_data.content for t, m in events.summary_metadata.items() if t.startswith("_hparams_")}
    return events, data
_, data = read(sys.argv[1])
experiment = metadata.parse_experiment_plugin_data(data[metadata.EXPERIMENT_TAG])
print([info.name for info in experiment.hparam_infos], [m.name.tag for m in experiment.metric_infos][0])
print([v.string_value or v.number_value for v in experiment.hparam_infos[1].domain_discrete.values])
events, data = read(sys.argv[1] + "/layers-4_decoder-stage2_1of1")
session = metadata.parse_session_start_info_plugin_data(data[metadata.SESSION_START_INFO_TAG])
print(session.hparams["layers"].number_value, session.hparams["decoder"].string_value)
print(events.Scalars("val_center_mpjpe_mm")[0].value)
"""


def test_tensorboard_reads_what_is_written(tmp_path):
    space = Space([Dimension("layers", (2, 4)), Dimension("decoder", ("stage1", "stage2"))])
    done = {"status": "completed", "parts": 1, "of": 1, "val_center_mpjpe_mm": 91.5}
    failed = {"status": "failed", "parts": 1, "of": 1, "values": {"layers": 2, "decoder": "stage1"}}
    for _ in range(2):  # what was there goes
        write_hparams(tmp_path, space, [{**done, "values": {"layers": 4, "decoder": "stage2"}}, failed])
    read = subprocess.run([sys.executable, "-c", READ, tmp_path], capture_output=True, text=True)
    assert read.stdout.splitlines() == [
        "['layers', 'decoder', 'budget'] val_center_mpjpe_mm", "['stage1', 'stage2']", "4.0 stage2", "91.5"
    ], read.stderr  # fmt: skip
    assert len(list(tmp_path.rglob("events.*"))) == 2
