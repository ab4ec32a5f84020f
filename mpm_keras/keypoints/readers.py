"""One entry for the files of every 2D detector: `read_keypoints`."""

import os
import re
from pathlib import Path

from mpm_keras.errors import InputError
from mpm_keras.keypoints import array_layouts, json_layouts, text_layouts
from mpm_keras.keypoints.detections import Detections
from mpm_keras.keypoints.gathering import (
    CONVENTIONS,
    MAX_FRAMES,
    Found,
    check_fps,
    check_image_size,
    to_detections,
)
from mpm_keras.keypoints.json_values import parse
from mpm_keras.keypoints.texts import MAX_FOLDER_BYTES, read_text

LAYOUTS = ("mmpose", "alphapose", "openpose", "detectron2", "videopose3d", "mediapipe", "ultralytics", "array", "table")
MAX_BYTES = 1 << 29  # of NumPy files; of text see `texts`
_EXPECTED = "expected a detector's keypoints as .json, .npz, .npy, .csv or a folder of a file a frame"


def read_keypoints(path, *, layout=None, image_size=None, fps=None, video=None) -> Detections:
    """The people that a 2D detector found in a video. What kind of file it is tells its content.

    | layout | what it is |
    | --- | --- |
    | mmpose | JSON of the inferencer or of the demo script's `--save-predictions`: 17, 26 or 133 joints |
    | alphapose | `alphapose-results.json`, also in COCO's, Open's and CMU's form: 17, 26 or 136 joints |
    | openpose | folder of `--write_json`, or one file of it: BODY_25, COCO's 18 joints |
    | detectron2 | `.npz` of VideoPose3D's `infer_video_d2.py` |
    | videopose3d | `data_2d_custom_*.npz`: choose one of several videos by name |
    | mediapipe | 33 landmarks as JSON or CSV, in pixels or shares of the picture |
    | ultralytics | JSON of `Results.to_json()` of every frame; folder of `save_txt` |
    | array | `.npy`, `.npz`, nested JSON lists or bare CSV: (F, K, 2 or 3), also of several people |
    | table | CSV with named joints, a row a joint or a row a frame |

    17 joints are COCO's unless their names or `layout` say otherwise; of whole-body conventions the
    body is read. A joint at exactly (0, 0), with score 0 or NaN was not found. Frames that the file
    does not mention are frames with nobody.

    Args:
        path: the file or folder.
        layout: a layout above, which the file must then have; or a joint convention that it is to be
            read in (`coco17`, `halpe26`, `body25`, `mediapipe33`, `h36m17`).
        image_size: (width, height) in pixels, where the file does not say or says it wrongly.
        fps: frames a second, likewise.
        video: which video of a file with several.

    Raises:
        InputError: one line that names the file and what was expected, or an unknown `layout`.
    """
    if layout is not None and layout not in LAYOUTS and layout not in CONVENTIONS:
        raise InputError(f"unknown layout {layout!r}; known: {', '.join((*LAYOUTS, *CONVENTIONS))}")
    path = Path(os.fspath(path))
    image_size, fps = check_image_size(path, image_size), check_fps(path, fps)
    try:
        found = _read_folder(path, video) if path.is_dir() else _read_file(path, video)
    except (OSError, MemoryError) as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    if layout in LAYOUTS and found.layout != layout:
        raise InputError(f"{path}: expected a file of layout {layout}, found {found.layout}")
    return to_detections(path, found, layout if layout in CONVENTIONS else None, image_size, fps)


def _read_file(path: Path, video) -> Found:
    if not path.is_file():
        raise InputError(f"{path}: no such file or folder; {_EXPECTED}")
    size = path.stat().st_size
    if not 0 < size <= MAX_BYTES:
        raise InputError(f"{path}: {'empty' if not size else f'{size >> 20} MB are too much'}; {_EXPECTED}")
    with open(path, "rb") as file:
        head = file.read(64)
    if head.startswith(b"PK"):
        return array_layouts.read_npz(path, video)
    if head.startswith(b"\x93NUMPY"):
        return array_layouts.read_npy(path)
    text = read_text(path)
    if text[:4096].lstrip()[:1] in ("{", "["):
        return json_layouts.read_json_value(path, parse(path, text))
    if _is_label(text):
        return text_layouts.read_labels(path, [(1, text)], [1])
    if path.suffix.lower() in (".csv", ".tsv", ".txt") or "," in text[:4096]:
        return text_layouts.read_table(path, text)
    raise InputError(f"{path}: unknown content; {_EXPECTED}")


def _read_folder(path: Path, video) -> Found:
    """A folder of a file a frame, or one that holds a single file to read."""
    files = sorted(p for p in path.iterdir() if p.is_file() and not p.name.startswith("."))
    if len(files) > MAX_FRAMES:
        raise InputError(f"{path}: more than {MAX_FRAMES} files")
    known = [p for p in files if p.suffix.lower() in (".json", ".npz", ".npy", ".csv", ".txt")]
    if (size := sum(p.stat().st_size for p in known)) > MAX_FOLDER_BYTES:
        raise InputError(f"{path}: {size >> 20} MB of keypoints are too much; up to {MAX_FOLDER_BYTES >> 20} are read")
    if not known:
        raise InputError(f"{path}: no keypoints in the folder; {_EXPECTED}")
    for suffix, read in ((".json", _json_frames), (".txt", _label_frames)):
        of_kind = [p for p in known if p.suffix.lower() == suffix]
        found = read(path, of_kind) if of_kind else None
        if found is not None:
            return found
    if len(known) == 1:
        return _read_file(known[0], video)
    names = ", ".join(p.name for p in known[:6])
    raise InputError(f"{path}: expected one file of keypoints in the folder or a file a frame, found {names}")


def _json_frames(path, files) -> Found | None:
    """Frames of a file each, as OpenPose writes them; None where the first file is something else."""
    first = json_layouts.kind_of_frame(_json(files[0])) or next(
        (kind for file in files[1:50] if (kind := json_layouts.kind_of_frame(_json(file)))), None
    )
    if first is None:
        return None
    numbers = _numbers_of_files(path, files, r"(?:_keypoints)?\.json$")
    found = Found(first, normalised=False if first == "mmpose" else None, num_frames=max(numbers) + 1)
    for number, file in zip(numbers, files, strict=True):
        json_layouts.add_frame(file, found, number, _json(file))
    return found


def _label_frames(path, files) -> Found | None:
    if not any(_is_label(read_text(file)) for file in files[:50]):
        return None
    numbers = _numbers_of_files(path, files, r"\.txt$", from_first=False)
    frames = ((number, read_text(file)) for number, file in zip(numbers, files, strict=True))
    return text_layouts.read_labels(path, frames, numbers)


def _numbers_of_files(path, files, end, from_first=True) -> list[int]:
    """Frame numbers in the names of files; of OpenPose's own, which have 12 digits, as they are."""
    stems = [re.sub(end, "", file.name, flags=re.IGNORECASE) for file in files]
    matches = [re.fullmatch(r"(.*?)(\d{1,18})", stem) for stem in stems]
    if not all(matches):
        if len(files) == 1:
            return [0]
        raise InputError(f"{path}: expected frame numbers at the end of names, found {files[matches.index(None)].name}")
    videos = sorted({match[1] for match in matches})
    if len(videos) > 1:
        raise InputError(
            f"{path}: expected the frames of one video, found those of {len(videos)}: {', '.join(videos)[:120]}"
        )
    numbers = [int(match[2]) for match in matches]
    if len(set(numbers)) < len(numbers):
        raise InputError(f"{path}: expected every frame once, found a frame number in two names")
    first = min(numbers) if from_first and not all(len(match[2]) == 12 for match in matches) else 0
    numbers = [number - first for number in numbers]
    if max(numbers) >= MAX_FRAMES:
        raise InputError(f"{path}: expected frame numbers up to {MAX_FRAMES - 1}, found {max(numbers)}")
    return numbers


def _is_label(text: str) -> bool:
    """Whether a text looks like a label file of Ultralytics: lines of a class, a box and keypoints."""
    words = text.partition("\n")[0].split()
    return len(words) >= 39 and words[0].isdigit() and "," not in words[0] and "," not in text[:200]


def _json(path):
    return parse(path, read_text(path))
