"""Webhooks: who is declared to be told of incidents, with the secrets read from where they stand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from assets.errors import SpecificationError
from assets.incidents import outbox
from assets.incidents.outbox import Message
from assets.incidents.webhook_message import Receiver
from assets.spec import read_declaration
from assets.spec.webhooks import WebhookSpec, WebhooksSpec
from assets.storage.home import Home

SECRETS = ("url", "secret")
"""The fields that hold secrets."""


def receivers(file: Path | None) -> list[Receiver]:
    """Who is declared in a file; nobody where there is none.

    Raises
    ------
    SpecificationError
        If it cannot be read, holds a secret itself, or a secret is not where it says.
    """
    if file is None:
        return []
    if not file.exists():
        raise SpecificationError(f"LOOPLINE_WEBHOOKS names {file}, which is not there. Correct it, or leave it out.")
    spec = read_declaration(file, WebhooksSpec, whole=True, secrets=frozenset(SECRETS))
    _require_templates(file)
    return [_receiver(file, item) for item in spec.webhooks]


def declare(home: Home, file: Path | None) -> None:
    """Note who is told from now on, before anything happens."""
    outbox.declare(home, [item.name for item in receivers(file)], datetime.now(UTC))


def deliver(
    home: Home, file: Path | None, *, is_forced: bool = False, pauses: Sequence[float] = outbox.PAUSES
) -> list[Message]:
    """Send what is waiting to all that are declared, again after these pauses (seconds); what is left is given back."""
    known = receivers(file)
    return outbox.deliver(home, known, is_forced=is_forced, pauses=pauses) if known else []


def _receiver(file: Path, spec: WebhookSpec) -> Receiver:
    for field in SECRETS:  # an empty key is none, and messages would go unsigned
        if (given := getattr(spec, field)) is not None and not given.strip():
            raise SpecificationError(f"{file}: '{field}' of webhook '{spec.name}' is empty. Set the variable that it names.")
    url = spec.url or _secret(file, spec.name, "url_file", str(spec.url_file))
    if not _is_address(url):
        raise SpecificationError(
            f"{file}: the address of webhook '{spec.name}' must begin with https:// or http://. Correct it."
        )
    secret = spec.secret or (None if spec.secret_file is None else _secret(file, spec.name, "secret_file", spec.secret_file))
    return Receiver(spec.name, spec.format, url, None if secret is None else secret.encode(), spec.timeout_seconds)


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _secret(file: Path, name: str, field: str, given: str) -> str:
    path = Path(given).expanduser()
    place = path if path.is_absolute() else file.parent / path
    try:
        found = place.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SpecificationError(
            f"{file}: '{field}' of webhook '{name}' names {place}, which cannot be read ({error})."
        ) from error
    if not found:
        raise SpecificationError(f"{file}: '{field}' of webhook '{name}' names {place}, which is empty. Write it there.")
    return found


def _require_templates(file: Path) -> None:
    """Refuse a file in which a secret itself stands."""
    written: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
    for item in written["webhooks"]:
        for field in SECRETS:
            if item.get(field) is not None and "{{" not in str(item[field]):
                raise SpecificationError(
                    f"{file}: '{field}' of webhook '{item['name']}' is written out, and it is a secret. Give a template such "
                    f"as \"{{{{ env.OPS_{field.upper()} }}}}\", or a file by '{field}_file'."
                )
