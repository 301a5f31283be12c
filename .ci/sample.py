"""Write a sample of a text table's rows for CI: ``python .ci/sample.py FILE ROWS FOLDER``. The header stays, and the order.

A row is chosen by a hash of its text, so that the same rows are chosen on every machine, and again when others are added.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path


def main() -> None:
    """Sample the file into the folder, by the file's name."""
    file, rows, folder = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    header, *lines = _records(file.read_bytes()) or sys.exit(f"{file} has no header")
    ranked = sorted(range(len(lines)), key=lambda place: hashlib.sha256(lines[place]).digest())
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file.name).write_bytes(header + b"".join(lines[place] for place in sorted(ranked[:rows])))
    sys.stdout.write(f"{min(rows, len(lines)):,} of {len(lines):,} rows of {file} in {folder}\n")


def _records(content: bytes) -> list[bytes]:
    """The lines of a text table; those of a quoted value over several lines are one."""
    records: list[bytes] = []
    is_open = False
    for line in content.splitlines(keepends=True):
        if is_open:
            records[-1] += line
        else:
            records.append(line)
        is_open ^= line.count(b'"') % 2 == 1
    return records


if __name__ == "__main__":
    main()
