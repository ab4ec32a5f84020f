"""State dicts from files: what PyTorch and safetensors write, and what must not be read."""

import builtins
import pickle
import random
import zipfile

import numpy as np
import pytest

from mpm_keras.errors import InputError
from mpm_keras.models.state_dicts import read_state_dict

pytestmark = pytest.mark.numpy_only
STATE = {"fcn.1.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "fcn.0.num_batches_tracked": np.array(4)}


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="these files are PyTorch's")


def assert_state(found, expected):
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_array_equal(found[key], value)


@pytest.mark.parametrize("legacy", [False, True])
def test_torch_file(torch, tmp_path, legacy):
    tensors = {key: torch.from_numpy(value) for key, value in STATE.items()}
    torch.save(tensors, tmp_path / "a.pth", _use_new_zipfile_serialization=not legacy)
    assert_state(read_state_dict(tmp_path / "a.pth"), STATE)


def test_half_precision_and_transposed_tensors(torch, tmp_path):
    weight = torch.arange(6, dtype=torch.float32).reshape(2, 3).T
    torch.save({"a": weight.to(torch.bfloat16), "b": weight}, tmp_path / "a.pth")
    found = read_state_dict(tmp_path / "a.pth")
    assert_state(found, {"a": weight.numpy(), "b": weight.numpy()})
    assert found["a"].dtype == np.float32


def test_safetensors_need_no_torch(tmp_path, monkeypatch):
    save_file = pytest.importorskip("safetensors.numpy").save_file
    save_file(STATE, tmp_path / "a.safetensors")
    without_package(monkeypatch, "torch")
    assert_state(read_state_dict(tmp_path / "a.safetensors"), STATE)


@pytest.mark.parametrize("package, file", [("torch", "a.pth"), ("safetensors", "a.safetensors")])
def test_missing_packages_are_named(tmp_path, monkeypatch, package, file):
    (tmp_path / file).write_bytes(b"x")
    without_package(monkeypatch, package)
    with pytest.raises(InputError, match=f"pip install {package}"):
        read_state_dict(tmp_path / file)


def without_package(monkeypatch, package):
    def refuse(name, *rest, real=builtins.__import__, **more):
        if name.partition(".")[0] == package:
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)


class Evil:
    ran = False

    def __reduce__(self):
        return (setattr, (Evil, "ran", True))


def refused(path, words):
    with pytest.raises(InputError, match=words) as raised:
        read_state_dict(path)
    assert str(path) in str(raised.value) and "\n" not in str(raised.value)


def test_nothing_runs(torch, tmp_path):
    torch.save({"a": Evil()}, tmp_path / "a.pth")
    refused(tmp_path / "a.pth", "not readable")
    (tmp_path / "b.pth").write_bytes(pickle.dumps({"a": Evil()}))
    refused(tmp_path / "b.pth", "not readable")
    assert not Evil.ran


def test_other_contents(torch, tmp_path):
    for value, words in (
        ([torch.zeros(2)], "found list"),
        ({"model": {"a": torch.zeros(2)}}, "found dict under 'model'"),
        ({"a": torch.zeros(2).to_sparse()}, "found Tensor under 'a'"),
        ({"a": torch.zeros(1).expand(10**9)}, "larger than the file"),
    ):
        torch.save(value, tmp_path / "a.pth")
        refused(tmp_path / "a.pth", words)


def test_compressed_members_are_not_unfolded(torch, tmp_path):
    torch.save({"a": torch.zeros(1000)}, tmp_path / "a.pth")
    with (
        zipfile.ZipFile(tmp_path / "a.pth") as old,
        zipfile.ZipFile(tmp_path / "b.pth", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name))
    refused(tmp_path / "b.pth", "compressed members")


@pytest.mark.parametrize("kind", ["pth", "safetensors"])
def test_damage_is_an_input_error(kind, tmp_path):
    """Truncations and flipped bytes give a state dict of the same names or one line, nothing else."""
    path, state = tmp_path / f"a.{kind}", {f"tensor.{i}": np.ones((5, i + 1), np.float32) for i in range(20)}
    if kind == "pth":
        torch = pytest.importorskip("torch")
        torch.save({key: torch.from_numpy(value) for key, value in state.items()}, path)
    else:
        pytest.importorskip("safetensors.numpy").save_file(state, path)
    good, rng = path.read_bytes(), random.Random(0)
    for case in range(1000):
        data = bytearray(good)
        if case < 200:
            del data[len(data) * case // 200 :]
        else:
            for _ in range(rng.choice((1, 3, 20))):
                data[rng.randrange(len(data))] = rng.randrange(256)
        path.write_bytes(data)
        try:
            found = read_state_dict(path)
        except InputError as error:
            assert "\n" not in str(error)
        else:
            assert all(isinstance(value, np.ndarray) for value in found.values())
    refused(tmp_path / "none.pth", "no such file")
