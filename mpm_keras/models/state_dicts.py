"""Reads PyTorch state dicts as NumPy arrays: `.safetensors` without PyTorch, other files by it."""

import os
import pickle
import zipfile

import numpy as np

from mpm_keras.errors import InputError
from mpm_keras.files import UNREADABLE


def read_state_dict(path) -> dict[str, np.ndarray]:
    """{name: array} of a state dict. Half precisions become float32.

    Args:
        path: a `.safetensors` file (needs the package safetensors), or one that `torch.save` wrote
            (needs PyTorch; it is loaded with `weights_only=True`, so that nothing in it is run).

    Raises:
        InputError: the file is missing, damaged, holds other things than tensors by name, or what
            reads it is not installed.
    """
    path = os.fspath(path)
    if not os.path.isfile(path):
        raise InputError(f"{path}: no such file; expected a state dict (.pth, .bin or .safetensors)")
    try:
        return _read_safetensors(path) if path.endswith(".safetensors") else _read_torch(path)
    except InputError:
        raise
    except (*UNREADABLE, AttributeError, LookupError, pickle.UnpicklingError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: not readable as a state dict ({reason[:160] or type(error).__name__})") from None


def _read_safetensors(path) -> dict:
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file
    except ImportError:
        raise InputError(f"{path}: reading it needs the package safetensors: pip install safetensors") from None
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(str(error)) from error


def _read_torch(path) -> dict:
    try:
        import torch
    except ImportError:
        raise InputError(
            f"{path}: reading it needs PyTorch: pip install torch, or give the tensors as .safetensors"
        ) from None
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:  # torch.save never compresses, so nothing can unfold
            if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
                raise InputError(f"{path}: has compressed members; expected what torch.save writes")
    state = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, dict):
        raise InputError(f"{path}: expected tensors by name, found {type(state).__name__}")
    limit, total = 2 * os.path.getsize(path), 0
    for key, value in state.items():
        if not isinstance(value, torch.Tensor) or value.layout != torch.strided or value.is_quantized:
            raise InputError(f"{path}: expected tensors by name, found {type(value).__name__} under {key!r}")
        total += value.numel() * value.element_size()
        if total > limit:  # views of few numbers may claim any shape
            raise InputError(f"{path}: the tensor {key!r} is larger than the file")
    return {key: _to_numpy(value.detach(), torch) for key, value in state.items()}


def _to_numpy(tensor, torch) -> np.ndarray:
    half = tensor.dtype in (torch.float16, torch.bfloat16)
    return (tensor.float() if half else tensor).numpy()
