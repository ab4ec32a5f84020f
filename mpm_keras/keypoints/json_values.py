"""JSON texts and the values in them that several layouts share."""

import json

from mpm_keras.errors import InputError
from mpm_keras.keypoints.gathering import integer

_FRAME = ("frame", "frame_id", "frame_index", "frame_number", "index")


def parse(path, text: str):
    """A JSON value, or a list of those of the lines where each line is one."""
    try:
        return json.loads(text)
    except RecursionError:
        raise InputError(f"{path}: JSON nested too deeply to be keypoints") from None
    except ValueError as error:
        reason = error
    lines = [line for line in text.splitlines() if line.strip()]
    try:
        if len(lines) < 2:
            raise ValueError
        return [json.loads(line) for line in lines]
    except (ValueError, RecursionError):
        raise InputError(f"{path}: expected complete JSON ({' '.join(str(reason).split())[:120]})") from None


def frame_number(path, frame, otherwise: int) -> int:
    if not isinstance(frame, dict):
        raise InputError(f"{path}: expected an object for every frame, found {type(frame).__name__}")
    number = next((frame[name] for name in _FRAME if name in frame), otherwise)
    return integer(path, number, "a frame number")


def check_once(path, numbers):
    if len(set(numbers)) < len(numbers):
        ordered = sorted(numbers)
        twice = next(a for a, b in zip(ordered[:-1], ordered[1:], strict=True) if a == b)
        raise InputError(f"{path}: expected every frame once, found frame {twice} twice")


def as_list(path, value, what) -> list:
    if value is None:
        return []
    if not isinstance(value, list):
        raise InputError(f"{path}: expected a list as {what}, found {type(value).__name__}")
    return value
