"""Networks on disk: a folder of plain files, without code and without pickles.

preset.json      class and configuration of the network, what else its user must know (skeleton,
                 frame rate, ...), and the sha256 sum of the weights
weights.npz      the weights by path, plain arrays

A preset may come from anybody: it is read with the limits of `mpm_keras.npz`, and a configuration that
is not that of the weights is refused before anything is made of it.
"""

import hashlib
import shutil
from pathlib import Path

import keras
import numpy as np

from mpm_keras.errors import InputError
from mpm_keras.files import atomic_write, read_json, write_json
from mpm_keras.models.configurations import check_configuration, check_finite, check_sizes
from mpm_keras.models.lifter import MPMLifter
from mpm_keras.models.pretrainer import MPMPretrainer
from mpm_keras.models.refiner import MPMRefiner
from mpm_keras.npz import read_npz, refusal
from mpm_keras.replicas import replicas

FORMAT, VERSION = "mpm_keras preset", 1
FILES = ("preset.json", "weights.npz")
NETWORKS = {cls.__name__: cls for cls in (MPMPretrainer, MPMLifter, MPMRefiner)}


def named_weights(network) -> dict:
    """{path below the network: variable} of all weights."""
    return {weight.path.partition("/")[2]: weight for weight in network.weights}


def save_preset(network, folder, storage=None, **facts):
    """Writes a network to a folder, weights first, so that `preset.json` never names what is not there.

    Args:
        network: one of `NETWORKS`.
        folder: made if need be; a preset in it is replaced.
        storage: "float16" halves the file; None keeps the weights' own type. Loading gives float32 again.
        facts: JSON values kept beside the configuration, such as `skeleton` and `fps`.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {name: value_of(weight) for name, weight in named_weights(network).items()}
    if storage is not None:
        arrays = {name: as_stored(name, value, storage) for name, value in arrays.items()}
    atomic_write(folder / "weights.npz", lambda file: np.savez(file, **arrays))
    config = {k: v for k, v in network.get_config().items() if k not in ("name", "trainable", "dtype")}
    header = {"format": FORMAT, "version": VERSION, "network": type(network).__name__, "config": config}
    write_json(folder / "preset.json", {**header, "weights_sha256": sha256(folder / "weights.npz"), "facts": facts})


def as_stored(name, value, storage) -> np.ndarray:
    """Weights in another floating-point type; others as they are. Raises `ValueError` where a value does not fit."""
    if not np.issubdtype(value.dtype, np.floating):
        return value
    with np.errstate(over="ignore"):  # what overflows is refused below, by name
        stored = value.astype(storage)
    if not np.isfinite(stored).all():
        raise ValueError(f"{name}: reaches {np.abs(value).max():g}, more than {storage} holds")
    return stored


def value_of(variable) -> np.ndarray:
    """A variable's value, of one that is mirrored on several devices too."""
    value = variable.value
    return keras.ops.convert_to_numpy(keras.ops.copy(value) if replicas().mirrored else value)


def read_preset(folder) -> dict:
    """The contents of `preset.json`; `facts` is there. Raises `InputError` where it is not one."""
    path = Path(folder) / "preset.json"
    header = read_json(path, "the preset.json of a trained network")
    if not isinstance(header, dict) or (header.get("format"), header.get("version")) != (FORMAT, VERSION):
        raise InputError(f"{path}: not an {FORMAT!r} of version {VERSION}")
    if header.get("network") not in tuple(NETWORKS) or not isinstance(header.get("config"), dict):
        found = repr(header.get("network"))[:80]
        raise InputError(f"{path}: unknown network {found}; known: {', '.join(NETWORKS)}")
    if not isinstance(header.setdefault("facts", {}), dict):
        raise InputError(f"{path}: expected facts by name, found {type(header['facts']).__name__}")
    return header


def read_whole_preset(folder) -> dict:
    """As `read_preset`. Raises `InputError` also where the weights are missing or another's, or damaged."""
    header, path = read_preset(folder), Path(folder) / "weights.npz"
    with refusal(path, "a preset's weights"):
        if sha256(path) != header.get("weights_sha256"):
            raise InputError("the sha256 sum is not that of preset.json; the file is damaged or another's")
    return header


def load_preset(folder, **overrides):
    """The network that `save_preset` wrote.

    Args:
        folder: the preset.
        overrides: configuration to change, such as `dropout`; shapes must stay the same.

    Raises:
        InputError: the folder holds no preset, its sum does not match, the configuration is not that of
            the weights, or a tensor is missing, left over, of another shape, NaN or infinite; the message
            names it.
    """
    header, path = read_whole_preset(folder), Path(folder) / "weights.npz"
    kind, config = NETWORKS[header["network"]], header["config"]
    with refusal(path, "a preset's weights"):
        arrays = read_npz(path)
        check_finite(arrays)
    try:
        check_configuration(kind, config)
        check_sizes(kind, {**config, **overrides}, arrays)
        network = kind(**{**config, **overrides})
    except (TypeError, ValueError) as error:
        file = Path(folder) / "preset.json"
        raise InputError(f"{file}: not a configuration of {header['network']} ({error})") from error
    assign_arrays(named_weights(network), arrays, path)
    return network


def copy_preset(source, target, parts=()):
    """Copies a preset's files, and those of the presets in its subfolders `parts` that exist.

    Links are left out, but for those that stand for the preset itself: a stranger's could lead to any
    file of the user's, who may give the copy to others. Raises `ValueError` where the target exists and
    is not an empty folder.
    """
    source, target = Path(source), Path(target)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ValueError(f"{target}: exists and is not an empty folder")
    for part in ("", *parts):
        if part and inner_preset(source, part) is None:
            continue
        (target / part).mkdir(parents=True, exist_ok=True)
        for file in sorted((source / part).iterdir()):
            if file.is_file() and (file.name in FILES or not file.is_symlink()):
                shutil.copyfile(file, target / part / file.name)


def network_folder(path) -> Path:
    """The preset of a run folder, or the folder itself where it is one."""
    return inner_preset(path, "network") or Path(path)


def inner_preset(folder, name: str) -> Path | None:
    """The preset in a subfolder, None where there is none. Raises `InputError` for a link in its place."""
    inner = Path(folder) / name
    if not (inner / "preset.json").exists():
        return None
    if inner.is_symlink():
        raise InputError(f"{inner}: expected a folder, found a link; name the folder that it leads to")
    return inner


def load_network(path, kind, **overrides):
    """A trained network of a class, see `load_preset`. Raises `InputError` for another class."""
    folder = network_folder(path)
    if (found := read_preset(folder)["network"]) != kind.__name__:
        raise InputError(f"{folder}: holds an {found}, expected an {kind.__name__}")
    return load_preset(folder, **overrides)


def assign_arrays(variables: dict, arrays: dict, path):
    """Sets every variable by name, or none. Raises `InputError` naming the file and the first that does not fit."""
    for name, variable in variables.items():
        if name not in arrays:
            raise InputError(f"{path}: holds no {name}; it belongs to another configuration")
        if arrays[name].shape != tuple(variable.shape):
            raise InputError(f"{path}: {name} has shape {arrays[name].shape}, the model needs {tuple(variable.shape)}")
        if arrays[name].dtype.kind not in ("f" if "float" in variable.dtype else "biu"):
            raise InputError(f"{path}: {name} holds {arrays[name].dtype}, the model needs {variable.dtype}")
    if extra := sorted(set(arrays) - set(variables)):
        raise InputError(f"{path}: holds {extra[0][:80]}, which the model does not have")
    for name, variable in variables.items():
        variable.assign(arrays[name].astype(variable.dtype))


def sha256(path) -> str:
    """Hexadecimal sum of a file, read in pieces."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
