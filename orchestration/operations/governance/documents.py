"""The documents of a product's governance, and the files that they are written as."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from assets.rendering import html_page
from assets.spec import ProductSpec
from assets.storage.home import Home
from orchestration.operations.governance.data_sheet import data_sheet
from orchestration.operations.governance.document import Document
from orchestration.operations.governance.facts import Facts
from orchestration.operations.governance.technical_file import technical_file

TEMPLATE = Path(__file__).with_name("governance.html.j2")


def documents(home: Home, spec: ProductSpec) -> list[Document]:
    """The technical file and the data sheet of what serves.

    Raises
    ------
    LedgerError
        If nothing serves.
    """
    facts = Facts.of(home, spec)
    return [technical_file(facts), data_sheet(facts)]


def files(found: list[Document]) -> dict[str, str]:
    """The documents as Markdown and as HTML pages of their own, by name."""
    texts = {f"{document.name}.md": document.as_markdown() for document in found}
    with TemporaryDirectory() as folder:  # a page is written, and by nobody but this kept as text
        for document in found:
            page = html_page.write(Path(folder) / f"{document.name}.html", TEMPLATE, document=document)
            texts[page.name] = page.read_text(encoding="utf-8")
    return texts
