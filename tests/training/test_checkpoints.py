import json
import os

import keras
import numpy as np
import pytest
from harness import to_numpy, values_of
from tiny_training import fixed_batch, make_data, make_trainer

from mpm_keras.errors import InputError
from mpm_keras.files import atomic_write
from mpm_keras.training import checkpoints
from mpm_keras.training.callbacks import EpochLog, RunProgress
from mpm_keras.training.checkpoints import CheckpointFolder, Position, read_state, restore_state, save_state
from mpm_keras.training.loop import fit
from mpm_keras.training.validation import FixedBatches


@pytest.fixture(scope="module")
def trained():
    trainer = make_trainer()
    poses = {k: v for k, v in fixed_batch().items() if k.startswith("pose")}
    trainer.fit(FixedBatches([poses]), verbose=0)
    return trainer


@pytest.fixture(scope="module")
def fresh():
    """Another trainer, to restore into."""
    return make_trainer(seed=1)


def state(trainer):
    return values_of(checkpoints.state_variables(trainer).values())


def assert_same_state(a, b):
    for name, x, y in zip(checkpoints.state_variables(a), state(a), state(b), strict=True):
        assert x.dtype == y.dtype
        np.testing.assert_array_equal(x, y, err_msg=name)


def test_round_trip_bit_for_bit(trained, fresh, tmp_path):
    names = list(checkpoints.state_variables(trained))
    for part in ("model/", "optimizer/", "metrics/", "seed", "iteration", "momentum", "moving_mean", "frame_token"):
        assert any(part in name for name in names), part
    save_state(tmp_path / "state.npz", trained, Position(3, 2, 17))
    assert any(not np.array_equal(x, y) for x, y in zip(state(trained), state(fresh), strict=True))
    assert restore_state(tmp_path / "state.npz", fresh) == Position(3, 2, 17)
    assert_same_state(trained, fresh)


def test_plain_arrays_with_a_checked_header(trained, tmp_path):
    save_state(tmp_path / "state.npz", trained, Position(1, 0, 4))
    with np.load(tmp_path / "state.npz", allow_pickle=False) as archive:
        header = json.loads(str(archive["header"]))
        assert len(archive.files) == 1 + len(checkpoints.state_variables(trained))
    assert header["version"] == 1 and (header["epoch"], header["step"], header["updates"]) == (1, 0, 4)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "state.npz"
    path.write_bytes(b"old")

    def fail(file):
        file.write(b"half of the new")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        atomic_write(path, fail)
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["state.npz"]
    atomic_write(path, lambda file: file.write(b"new"))
    assert path.read_bytes() == b"new" and os.listdir(tmp_path) == ["state.npz"]


def damage(path, how):
    data = bytearray(path.read_bytes())
    if how == "truncated":
        data = data[: len(data) // 2]
    elif how == "empty":
        data = b""
    elif how == "zeros":  # as after a loss of power: the length is there, the content is not
        data = bytes(len(data))
    else:
        data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("how", ["truncated", "empty", "zeros", "one byte"])
def test_a_damaged_newest_is_reported_and_the_one_before_used(how, trained, fresh, tmp_path):
    folder = CheckpointFolder(tmp_path / "checkpoints")
    for updates in (2, 4):
        folder.save(trained, Position(0, updates, updates))
    damage(folder.paths()[-1], how)
    with pytest.warns(UserWarning, match=r"state-000000004.npz: .*; trying the one before"):
        assert folder.restore_newest(fresh) == Position(0, 2, 2)
    assert_same_state(trained, fresh)


def test_all_damaged_is_an_error_that_keeps_them(trained, fresh, tmp_path):
    folder = CheckpointFolder(tmp_path)
    folder.save(trained, Position(0, 2, 2))
    damage(folder.paths()[0], "truncated")
    with (
        pytest.warns(UserWarning),
        pytest.raises(InputError, match="none of 1 checkpoints can be read; move them away"),
    ):
        folder.restore_newest(fresh)
    assert len(folder.paths()) == 1


def test_no_checkpoint_is_a_new_start(fresh, tmp_path):
    assert CheckpointFolder(tmp_path / "nowhere").restore_newest(fresh) is None
    assert not (tmp_path / "nowhere").exists()


def test_the_newest_are_kept(trained, tmp_path):
    folder = CheckpointFolder(tmp_path, keep=2)
    for updates in (2, 4, 6, 8):
        folder.save(trained, Position(0, updates, updates))
    assert [p.name for p in folder.paths()] == ["state-000000006.npz", "state-000000008.npz"]
    with pytest.raises(ValueError, match="keep must be positive"):
        CheckpointFolder(tmp_path, keep=0)


def test_the_one_just_written_is_kept_before_a_later_damaged_one(trained, tmp_path):
    folder = CheckpointFolder(tmp_path, keep=1)
    (tmp_path / "state-000000009.npz").write_bytes(b"damaged")
    folder.save(trained, Position(0, 2, 2))
    assert [p.name for p in folder.paths()] == ["state-000000002.npz"]


def rewrite(path, change):
    """Rewrites a checkpoint with other arrays and a checksum that fits."""
    arrays, position = read_state(path)
    arrays = change(arrays)
    header = {
        "format": checkpoints.FORMAT, "version": 1, "sha256": checkpoints.checksum(arrays),
        "epoch": position.epoch, "step": position.step, "updates": position.updates,
    }  # fmt: skip
    np.savez(path, header=np.array(json.dumps(header)), **arrays)


def test_another_configuration_names_the_tensor(trained, fresh, tmp_path):
    path = tmp_path / "state.npz"
    save_state(path, trained, Position())
    name = next(n for n in checkpoints.state_variables(trained) if "frame_token" in n)
    before = state(fresh)
    rewrite(path, lambda a: {**a, name: a[name][:-1]})
    with pytest.raises(InputError, match=rf"state.npz: {name} has shape \(7,\), the model needs \(8,\)"):
        restore_state(path, fresh)
    rewrite(path, lambda a: {n: v for n, v in a.items() if n != name})
    with pytest.raises(InputError, match=f"state.npz: holds no {name}; it belongs to another configuration"):
        restore_state(path, fresh)
    rewrite(path, lambda a: {**{n: v for n, v in read_whole(trained).items()}, "more": np.zeros(1)})
    with pytest.raises(InputError, match="state.npz: holds more, which the model does not have"):
        restore_state(path, fresh)
    for old, new in zip(before, state(fresh), strict=True):
        np.testing.assert_array_equal(old, new)  # nothing was restored by half


def read_whole(trainer):
    return {n: keras.ops.convert_to_numpy(v.value) for n, v in checkpoints.state_variables(trainer).items()}


def test_foreign_files(fresh, tmp_path):
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    header = {"format": checkpoints.FORMAT, "version": 2, "sha256": checkpoints.checksum({})}
    header |= {"epoch": 0, "step": 0, "updates": 0}
    np.savez(tmp_path / "later.npz", header=np.array(json.dumps(header)))
    with pytest.raises(InputError, match="other.npz: not a readable checkpoint"):
        restore_state(tmp_path / "other.npz", fresh)
    with pytest.raises(InputError, match=r"later.npz: expected .* version 1, found .* version 2"):
        restore_state(tmp_path / "later.npz", fresh)
    with pytest.raises(InputError, match="gone.npz: not a readable checkpoint"):
        restore_state(tmp_path / "gone.npz", fresh)


def run(folder, epochs=2, max_updates=0, seconds=300.0, pipeline="auto", callbacks=()):
    """A run of 2 epochs of 4 steps, from wherever the folder stands, in a fresh trainer."""
    trainer, batches = make_trainer(), make_data(steps=4)
    checkpoint_folder = CheckpointFolder(folder, keep=20)
    start = checkpoint_folder.restore_newest(trainer) or Position()
    progress = RunProgress(checkpoint_folder, 4, 2, start, max_updates, seconds)
    fit(
        trainer, batches, epochs=epochs, progress=progress, pipeline=pipeline, verbose=0,
        validation=FixedBatches([fixed_batch()]), callbacks=[EpochLog(folder / "epochs.jsonl"), *callbacks],
    )  # fmt: skip
    return trainer, progress


def epochs_of(folder):
    return EpochLog(folder / "epochs.jsonl").epochs()


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    folder = tmp_path_factory.mktemp("straight")
    return run(folder)[0], epochs_of(folder)


def assert_same_weights(a, b):
    """All that decides how training goes on: weights, statistics, seed generators, moments."""
    groups = [(a.variables, b.variables), (a.optimizer.variables, b.optimizer.variables)]
    metrics = {id(v) for t in (a, b) for v in t.metrics_variables}
    count = 0
    for xs, ys in groups:
        for x, y in zip(xs, ys, strict=True):
            if id(x) not in metrics:
                np.testing.assert_array_equal(to_numpy(x.value), to_numpy(y.value), err_msg=x.path)
                count += 1
    assert count > 100


class Killed(Exception):
    """Stands for the end of the process."""


class Kill(keras.callbacks.Callback):
    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def on_train_batch_begin(self, batch, logs=None):
        self.batches -= 1
        if self.batches < 0:
            raise Killed


@pytest.mark.parametrize("stop", [6, pytest.param(8, marks=pytest.mark.once)])
def test_a_stopped_and_resumed_run_equals_an_uninterrupted_one(stop, straight, tmp_path):
    """Stopped by the step limit in the midst or at the end of an epoch, bit for bit."""
    _, progress = run(tmp_path, max_updates=stop)
    assert progress.position == Position(stop // 8, stop % 8 // 2, stop)
    trainer, progress = run(tmp_path)
    assert progress.position == Position(2, 0, 16) and progress.batches_run == 8 - stop // 2
    assert_same_weights(trainer, straight[0])
    assert epochs_of(tmp_path) == straight[1]


def test_a_killed_run_goes_on_from_its_last_checkpoint(straight, tmp_path):
    """Checkpoints within an epoch (here after every batch) are as good as those at its end."""
    batches = 5
    with pytest.raises(Killed):
        run(tmp_path, seconds=-1.0, callbacks=[Kill(batches)])
    trainer, progress = run(tmp_path)
    assert progress.batches_run == 8 - batches
    assert_same_weights(trainer, straight[0])
    assert epochs_of(tmp_path) == straight[1]  # the running means went on in the midst of an epoch


def test_the_pipelines_train_alike(straight, tmp_path):
    pytest.importorskip("tensorflow", reason="tf.data is TensorFlow's")
    other = "numpy" if keras.backend.backend() == "tensorflow" else "tfdata"  # than "auto"
    trainer, _ = run(tmp_path, pipeline=other)
    if other == "tfdata":
        assert_same_weights(trainer, straight[0])
        return
    # Keras leaves the batch size of NumPy's batches open, for which TensorFlow takes other kernels: not bit for bit.
    one, two = (float(t.evaluate_batch(fixed_batch())[0]) for t in (trainer, straight[0]))
    assert one == pytest.approx(two, rel=1e-3)
