"""A log of one JSON object a line, which outlives a crash."""

import json
import os
from pathlib import Path

from mpm_keras.replicas import is_first


class JsonLines:
    """Appends objects to a file. A line that a crash has torn is left out on reading.

    Of several processes of a run the first writes; the others remember what they would have written.

    Args:
        path: made on the first write.
    """

    def __init__(self, path):
        self.path, self.unwritten = Path(path), []

    def append(self, value: dict):
        """Writes one line and flushes it to the disk."""
        if not is_first():
            self.unwritten.append(value)
            return
        with open(self.path, "ab+") as file:
            if file.tell() and not self._ends_whole(file):
                file.write(b"\n")
            file.write(json.dumps(value).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    @staticmethod
    def _ends_whole(file) -> bool:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"

    def read(self, *numbers) -> list[dict]:
        """All whole lines that hold whole numbers of these names; none where there is no file."""
        found = [*self.unwritten]
        for line in self.path.read_text(errors="replace").splitlines() if self.path.exists() else ():
            try:
                found.append(json.loads(line))
            except (ValueError, RecursionError):  # torn
                continue
        whole = [value for value in found if isinstance(value, dict)]
        return [value for value in whole if all(isinstance(value.get(name), int) for name in numbers)]
