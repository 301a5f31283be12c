"""The stand-alone verifier: the modules of `verifier` as one file. `python -m` this module writes it into `deploy/`."""

from __future__ import annotations

import ast
from pathlib import Path

from assets.storage.home import REPOSITORY

FILE = "verify_certificate.py"
PLACE = REPOSITORY / "deploy" / FILE
MODULES = ("signature", "archive", "envelope", "records", "command")
"""In the order in which they need each other."""
END = '\n\nif __name__ == "__main__":\n    import sys\n\n    sys.stdout.reconfigure(encoding="utf-8")\n    sys.exit(main())\n'


def source() -> str:
    """The file's text: the last module's docstring, all imports but ours, and the code of each module."""
    imports, parts, docstring = set(), [], ""
    for name in MODULES:
        text = (Path(__file__).with_name("verifier") / f"{name}.py").read_text(encoding="utf-8")
        tree, lines = ast.parse(text), text.splitlines()
        docstring = "\n".join(lines[: tree.body[0].end_lineno])
        brought = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
        imports |= {ast.unparse(node) for node in brought if not isinstance(node, ast.ImportFrom) or _is_library(node)}
        parts.append("\n".join(lines[brought[-1].end_lineno :]).strip("\n"))
    future = "from __future__ import annotations"
    told = (
        "# Written by `python -m orchestration.operations.certification.standalone`: change the modules that it joins instead."
    )
    head = "\n".join(
        [docstring, "", told, "", future, "", *sorted(imports - {future}, key=lambda line: (line[0] == "f", line))]
    )
    return head + "\n\n" + "\n\n\n".join(parts) + "\n" + END


def _is_library(node: ast.ImportFrom) -> bool:
    return not str(node.module).startswith("orchestration")


if __name__ == "__main__":
    PLACE.write_text(source(), encoding="utf-8")
