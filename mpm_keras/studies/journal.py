"""What happened in a search, event by event."""

import json

from mpm_keras.files import atomic_write
from mpm_keras.training.json_lines import JsonLines


class Journal(JsonLines):
    """One JSON object a line, appended and flushed; a line that a crash has torn is left out.

    Args:
        path: made on the first write.
    """

    def rewrite(self, events: list[dict]):
        """Replaces what was written, whole or not at all."""
        lines = "".join(json.dumps(event) + "\n" for event in events)
        atomic_write(self.path, lambda file: file.write(lines.encode()))
