"""Text files of keypoints, refused before they are parsed where what Python makes of them would fill the memory."""

from mpm_keras.errors import InputError

MAX_BYTES = 1 << 28  # of a file: an hour of one person at 60 frames a second as MMPose writes it
MAX_FOLDER_BYTES = 1 << 30  # of a folder of a file a frame, of which one is in memory at a time
MAX_PARSED = 3 << 30  # bytes of values and text

# Bytes of memory that such a byte stands for: a list, an object, its key, a text, a number and its place.
_JSON = {b"[": 88, b"{": 160, b":": 30, b'"': 20, b",": 40, b"\n": 58}
_TABLE = {b",": 66, b";": 66, b"\t": 66, b" ": 66, b"\n": 150}  # cells are texts, rows lists of them


def read_text(path) -> str:
    """The text of a file in UTF-8.

    Raises `InputError` that names the file where it is no such text, larger than `MAX_BYTES`, or would take more than
    `MAX_PARSED` bytes of memory: JSON of nothing but brackets takes 25 times its size.
    """
    if (size := path.stat().st_size) > MAX_BYTES:
        raise InputError(f"{path}: {size >> 20} MB are too much; up to {MAX_BYTES >> 20} MB of text are read")
    data = path.read_bytes()
    if (memory := parsed_size(data)) > MAX_PARSED:
        raise InputError(f"{path}: its values would take {memory / 1e9:.1f} GB of memory; refused")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path}: expected text in UTF-8 or a NumPy file") from None


def parsed_size(data: bytes) -> int:
    """About how many bytes of memory reading a text takes at once, the text included."""
    costs = _JSON if data[:64].lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"[", b"{") else _TABLE
    widest = 1 if data.isascii() else 4  # bytes of a character in memory: one emoji makes all of them wide
    return (1 + widest) * len(data) + sum(cost * data.count(byte) for byte, cost in costs.items())
