"""Pages: self-contained HTML from the templates of stages, all of which extend `STYLE` and also print well."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.rendering.number_text import number_text
from assets.storage.publishing import publishing

if TYPE_CHECKING:
    import jinja2

STYLE = Path(__file__).with_name("page.html.j2")
"""What every page extends."""


def write(path: Path, template: Path, **given: Any) -> Path:
    """Render a template and publish the page.

    Parameters
    ----------
    path : Path
        The HTML file to publish.
    template : Path
        The template, which lies beside the module that names it.
    **given
        What it shows; all of it is escaped but `Markup`.
    """
    html = _environment(template.parent).get_template(template.name).render(given)
    with publishing(path) as temporary:
        temporary.write_text(html, encoding="utf-8")
    return path


@cache
def _environment(folder: Path) -> jinja2.Environment:
    """Which compiles each template of a folder once, and again when its file changed."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, STYLE.parent]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number_text
    return environment
