"""Results: one line of JSON a table, appended as each ends, so that a killed run goes on where it stopped."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import Any

Key = tuple[str, ...]
"""The fields that name a record, such as a table's name and variant."""


class Results:
    """The results kept in a file; of several lines of one key the last counts."""

    def __init__(self, path: Path, fields: Key = ("name", "variant")) -> None:
        self.path, self.fields = path, fields

    def all(self) -> dict[Key, dict[str, Any]]:
        """The newest result of each key; a line that a kill cut short is no result."""
        found: dict[Key, dict[str, Any]] = {}
        if self.path.exists():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                try:
                    record = json.loads(line)
                except json.JSONDecodeError:
                    continue
                found[tuple(record[name] for name in self.fields)] = record
        return found

    def add(self, record: dict[str, Any]) -> None:
        """Append a result."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            stream.write("\n" * bool(self._is_cut()) + json.dumps(record, sort_keys=True) + "\n")
            stream.flush()

    def _is_cut(self) -> bool:
        size = self.path.stat().st_size
        if size == 0:
            return False
        with self.path.open("rb") as stream:
            stream.seek(size - 1)
            return stream.read(1) != b"\n"
