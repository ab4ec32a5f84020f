"""The project's own archive: clips as flat arrays in one `.npz` file, for views and for motion alike.

No pickles. Members are stored uncompressed and begin at multiples of 64 bytes, so that they can be
mapped into memory; the zip directory holds a CRC-32 of each, compared whenever it is read or mapped.
Any program that reads `.npz` reads it, `numpy.load` too.
"""

import dataclasses
import io
import os
import struct
import zipfile

import numpy as np

from mpm_keras.errors import InputError
from mpm_keras.files import atomic_write
from mpm_keras.npz import read_npz

VERSION = 2
_ALIGNMENT = 64
_PADDING_FIELD = 0xD935  # the zip extra field that alignment tools pad with


@dataclasses.dataclass(frozen=True)
class Layout:
    """What an archive of one kind holds.

    Attributes:
        form: its name, the `format` in the header.
        frames: arrays over all frames, of which `contents` lists those that are there.
        clips: arrays with one entry per clip, and `offsets`.
        texts: texts, one per clip.
    """

    form: str
    frames: tuple[str, ...]
    clips: tuple[str, ...]
    texts: tuple[str, ...]


VIEWS = Layout(
    form="mpm_keras views",
    frames=("pose_2d", "confidence", "pose_3d", "root_3d"),
    clips=("offsets", "fps", "intrinsics", "image_size"),
    texts=("names", "subjects", "actions", "cameras", "licenses", "provenance"),
)
MOTION = Layout(
    form="mpm_keras motion",
    frames=("positions",),
    clips=("offsets", "fps"),
    texts=("names", "subjects", "actions", "licenses", "provenance"),
)


def archive_kind(path) -> Layout | None:
    """The layout of an archive by its header; None for a file that is none of ours. Reads no frames."""
    try:
        form = read_npz(path, ["format"])["format"]
    except InputError:
        return None
    return {layout.form: layout for layout in (VIEWS, MOTION)}.get(str(form))


def save(path, layout: Layout, source) -> None:
    """Writes a source's fields. An existing file is replaced only once the new one is complete."""
    header = {"format": layout.form, "version": VERSION, "skeleton": source.skeleton.name, "dataset": source.dataset}
    there = [field for field in layout.frames if getattr(source, field) is not None]
    arrays = {name: np.array(value) for name, value in header.items()} | {"contents": np.array(there)}
    arrays |= {field: np.array(getattr(source, field)) for field in layout.texts}
    arrays |= {field: getattr(source, field) for field in (*layout.clips, *there)}
    atomic_write(path, lambda file: _write(file, arrays))


def load(path, layout: Layout, mapped: bool = False) -> dict:
    """The fields that `save` wrote, by name, checked for their presence and for being text where text is due.

    Args:
        path: the archive.
        layout: the expected kind.
        mapped: map the arrays of frames instead of reading them.

    Raises:
        InputError: the file is none, is damaged, or lacks an array; names the file.
    """
    if not os.path.isfile(path):
        raise InputError(f"{path}: no such file")
    fields = read_npz(path, mapped=layout.frames if mapped else ())
    try:
        return _checked(fields, layout)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _checked(fields: dict, layout: Layout) -> dict:
    kind = layout.form.rpartition(" ")[2]
    lists, words = ("contents", *layout.texts), ("format", "skeleton", "dataset")
    if "format" not in fields:
        raise InputError(f"not an archive of {kind}: array 'format' is missing")
    if (form := str(fields["format"])) != layout.form:
        raise InputError(f"not an archive of {kind}: its format is {form[:80]!r}")
    version = fields.get("version", np.array(0))
    if version.shape != () or version.dtype.kind not in "iu" or version.item() != VERSION:
        raise InputError(f"version {str(version.tolist())[:40]} of the {kind} format is not {VERSION}")
    for name in (*words, *lists, *layout.clips):
        if name not in fields:
            raise InputError(f"not an archive of {kind}: array {name!r} is missing")
        is_text = name in (*words, *lists)
        if is_text and (fields[name].dtype.kind != "U" or fields[name].ndim != (name in lists)):
            raise InputError(f"{name}: expected text, found {fields[name].dtype} of shape {fields[name].shape}")
    contents = fields.pop("contents").tolist()
    if lost := sorted(set(contents) - set(fields)):
        raise InputError(f"array {lost[0]!r} is lost")
    known = {*words, "version", *layout.texts, *layout.clips, *(set(contents) & set(layout.frames))}
    if unknown := sorted(set(fields) - known):
        raise InputError(f"array {unknown[0]!r} is not one of the listed contents")
    del fields["format"], fields["version"]
    fields |= {field: tuple(fields[field].tolist()) for field in layout.texts}
    return fields | {word: fields[word].item() for word in ("skeleton", "dataset")}


def _write(file, arrays: dict) -> None:
    """Arrays as a zip of `.npy` members whose data begin at multiples of 64 bytes."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            array = np.asarray(array, order="C")
            header = io.BytesIO()
            np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(array))
            large = array.nbytes >= 1 << 31
            info = zipfile.ZipInfo(f"{name}.npy")  # without the time of day: the same arrays, the same bytes
            start = file.tell() + 30 + len(info.filename) + (20 if large else 0)
            padding = -(start + 4) % _ALIGNMENT
            info.extra = struct.pack("<HH", _PADDING_FIELD, padding) + bytes(padding)
            with archive.open(info, "w", force_zip64=large) as member:
                member.write(header.getvalue())
                member.write(memoryview(array.reshape(-1).view(np.uint8)))
