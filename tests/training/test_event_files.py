import contextlib
import errno
import os

import pytest

from mpm_keras.training.event_files import EventFile

pytestmark = pytest.mark.numpy_only


def read(path) -> list:
    """The events of a file, by the reader of TensorBoard that does without TensorFlow and compares the sums."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.tensorflow_stub import errors
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import PyRecordReader_New

    reader, found = PyRecordReader_New(str(path)), []
    with contextlib.suppress(errors.OutOfRangeError):
        while True:
            reader.GetNext()
            found.append(Event.FromString(reader.record()))
    return found


def test_tensorboard_reads_what_is_written(tmp_path):
    file = EventFile(tmp_path / "train")
    for step, loss in enumerate((3.0, 2.5)):
        file.add_scalar("epoch_loss", loss, step)
    file.close()
    (path,) = (tmp_path / "train").glob("events.out.tfevents.*")
    first, *events = read(path)
    assert first.file_version == "brain.Event:2"
    found = [(e.step, v.tag, v.metadata.plugin_data.plugin_name) for e in events for v in e.summary.value]
    assert found == [(0, "epoch_loss", "scalars"), (1, "epoch_loss", "scalars")]
    assert [e.summary.value[0].tensor.float_val[0] for e in events] == [3.0, 2.5]
    EventFile(tmp_path / "train").close()  # a second start of the run
    assert len(list((tmp_path / "train").iterdir())) == 2


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has a device that is always full")
def test_a_full_disk_is_an_error_of_the_system(tmp_path):
    """Which scripts say in one line; TensorBoard's own writer has one of TensorFlow's, and imports that for seconds."""
    file = EventFile(tmp_path)
    file.close()
    with open("/dev/full", "wb", buffering=0) as full:
        file.records = type(file.records)(full)
        with pytest.raises(OSError) as caught:
            file.add_scalar("loss", 1.0, 0)
    assert caught.value.errno == errno.ENOSPC
