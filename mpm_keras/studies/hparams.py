"""HParams of TensorBoard, as its protocol buffers: its own functions import TensorFlow where it is installed."""

import shutil
import time
from pathlib import Path

from mpm_keras.studies.space import Space, key_of
from mpm_keras.studies.trials import COMPLETED, FINETUNE_METRICS, PRETRAIN_METRICS

METRICS = (*FINETUNE_METRICS, *PRETRAIN_METRICS)


def write_hparams(folder, space: Space, records: list[dict]):
    """One session for every completed trial, which the HParams tab shows as a table and as parallel coordinates.

    Args:
        folder: of the event files; what was there goes.
        space: what the search varies.
        records: of trials.
    """
    from tensorboard.compat.proto.summary_pb2 import Summary

    folder = Path(folder)
    shutil.rmtree(folder, ignore_errors=True)
    write_events(folder, [experiment(space)])
    for record in records:
        if record["status"] == COMPLETED:
            name = f"{key_of(record['values'])}_{record['parts']}of{record['of']}"
            results = [Summary.Value(tag=metric, simple_value=record[metric]) for metric in METRICS if metric in record]
            write_events(folder / name, [session(name, record), *results])


def experiment(space: Space):
    """What the search varies and what it measures."""
    from tensorboard.plugins.hparams import api_pb2, plugin_data_pb2

    found = api_pb2.Experiment(time_created_secs=time.time())
    for dimension in space.dimensions:
        info = found.hparam_infos.add(name=dimension.name)
        words = isinstance(dimension.values[0], str)
        info.type = api_pb2.DATA_TYPE_STRING if words else api_pb2.DATA_TYPE_FLOAT64
        info.domain_discrete.extend(dimension.values)
    budget = found.hparam_infos.add(name="budget", type=api_pb2.DATA_TYPE_FLOAT64)
    budget.domain_interval.min_value, budget.domain_interval.max_value = 0.0, 1.0
    for metric in METRICS:
        found.metric_infos.add(name=api_pb2.MetricName(tag=metric))
    return value_of("_hparams_/experiment", plugin_data_pb2.HParamsPluginData(experiment=found))


def session(name: str, record: dict):
    """The settings of a trial."""
    from tensorboard.plugins.hparams import plugin_data_pb2

    found = plugin_data_pb2.SessionStartInfo(group_name=name, start_time_secs=time.time())
    for key, value in (record["values"] | {"budget": record["parts"] / record["of"]}).items():
        if isinstance(value, str):
            found.hparams[key].string_value = value
        else:
            found.hparams[key].number_value = value
    return value_of("_hparams_/session_start_info", plugin_data_pb2.HParamsPluginData(session_start_info=found))


def value_of(tag: str, data):
    """A summary that only carries data of the plugin."""
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
    from tensorboard.compat.proto.types_pb2 import DT_FLOAT

    plugin = SummaryMetadata.PluginData(plugin_name="hparams", content=data.SerializeToString())
    empty = TensorProto(dtype=DT_FLOAT, tensor_shape=TensorShapeProto(dim=[TensorShapeProto.Dim(size=0)]))
    return Summary.Value(tag=tag, metadata=SummaryMetadata(plugin_data=plugin), tensor=empty)


def write_events(folder: Path, values: list):
    """An event file of some summary values."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.record_writer import RecordWriter

    folder.mkdir(parents=True)
    now = time.time()
    events = [Event(wall_time=now, file_version="brain.Event:2")]
    events += [Event(wall_time=now, step=0, summary=Summary(value=[value])) for value in values]
    with open(folder / f"events.out.tfevents.{int(now)}.search", "wb") as file:
        writer = RecordWriter(file)
        for event in events:
            writer.write(event.SerializeToString())
        writer.flush()
