"""Webhooks as they are declared: secrets are read from the environment or from files, and never stand in the declaration."""

from __future__ import annotations

from pathlib import Path

import pytest

from assets.errors import SpecificationError
from assets.incidents import incident_log
from assets.storage.home import Home
from orchestration.operations.incidents import webhooks
from tests.assets.incidents.receiver import SECRET, receiving


def written(folder: Path, text: str) -> Path:
    """A declaration."""
    file = folder / "webhooks.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_secrets_are_read_from_where_they_stand(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address of the environment and a key of a file beside the declaration; what is declared so is told."""
    (tmp_path / "key").write_bytes(SECRET + b"\n")
    file = written(tmp_path, 'webhooks:\n  - {name: ops, url: "{{ env.OPS_URL }}", secret_file: key, timeout_seconds: 5}\n')
    with receiving() as receiver:
        monkeypatch.setenv("OPS_URL", receiver.url)
        webhooks.declare(home, file)
        incident_log.raise_about(home, "churn", "a", "1 alarm of churn.")
        assert webhooks.deliver(home, file) == []
        assert [(request["is_ours"], request["told"]["told"]) for request in receiver.requests] == [(True, "1 alarm of churn.")]
    assert webhooks.deliver(home, None) == []
    stored = "".join(path.read_text(encoding="utf-8") for path in home.incidents.rglob("*.json"))
    assert "127.0.0.1" not in stored


WRONG = {
    "url: https://hooks.example.org/t0p": "'url' of webhook 'ops' is written out, and it is a secret",
    "url_file: url, secret: between-us": "'secret' of webhook 'ops' is written out, and it is a secret",
    "url_file: nowhere": "'url_file' of webhook 'ops' names .*nowhere, which cannot be read",
    "url_file: empty": "'url_file' of webhook 'ops' names .*empty, which is empty",
    "url_file: bracket": "the address of webhook 'ops' must begin with https:// or http://",
    "url_file: mail": "the address of webhook 'ops' must begin with https:// or http://",
    "format: slack": "'ops' needs 'url' or 'url_file', and not both",
    "url_file: url, format: pager": "pager",
}


@pytest.mark.parametrize("given", WRONG)
def test_a_wrong_declaration_is_one_sentence(tmp_path: Path, given: str) -> None:
    """Which webhook, which field, and what to do."""
    for name, content in {"url": "http://127.0.0.1:1/", "empty": "", "mail": "mailto:ops", "bracket": "https://[ops"}.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(SpecificationError, match=WRONG[given]):
        webhooks.receivers(written(tmp_path, f"webhooks:\n  - {{name: ops, {given}}}\n"))


@pytest.mark.parametrize("key", ["12345678", "'quoted'", "1_000", "[1, 2]"])
def test_a_key_of_the_environment_is_taken_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    """Also one that reads as a number, or as a text in quotation marks."""
    monkeypatch.setenv("OPS_URL", "http://127.0.0.1:1/")
    monkeypatch.setenv("OPS_KEY", key)
    declared = 'webhooks:\n  - {name: ops, url: "{{ env.OPS_URL }}", secret: "{{ env.OPS_KEY }}"}\n'
    (found,) = webhooks.receivers(written(tmp_path, declared))
    assert found.secret == key.encode()


@pytest.mark.parametrize("field", ["url", "secret"])
def test_an_empty_variable_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str) -> None:
    """It is not taken for none: messages would go unsigned, and nobody would see it."""
    given = {"url": "http://127.0.0.1:1/", "secret": "between us", field: ""}
    for name, value in given.items():
        monkeypatch.setenv(f"OPS_{name.upper()}", value)
    declared = 'webhooks:\n  - {name: ops, url: "{{ env.OPS_URL }}", secret: "{{ env.OPS_SECRET }}"}\n'
    with pytest.raises(SpecificationError, match=f"'{field}' of webhook 'ops' is empty"):
        webhooks.receivers(written(tmp_path, declared))


@pytest.mark.parametrize(
    "declared",
    [
        'webhooks: {name: ops, url: "{{ env.OPS_URL }}"}',
        'webhooks: ["{{ env.OPS_URL }}"]',
        'webhooks: "{{ env.OPS_URL }}"',
        'webhooks: [{name: "{{ env.OPS_URL }}", url: "{{ env.OPS_URL }}"}]',
        'webhooks: [{name: ops, url: ["{{ env.OPS_URL }}"]}]',
    ],
)
def test_no_error_shows_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, declared: str) -> None:
    """Wherever its template was written by mistake."""
    monkeypatch.setenv("OPS_URL", "https://h.example/t0p")
    with pytest.raises(SpecificationError) as told:
        webhooks.receivers(written(tmp_path, declared + "\n"))
    assert "t0p" not in str(told.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """By the variable that names it."""
    with pytest.raises(SpecificationError, match="LOOPLINE_WEBHOOKS names .* which is not there"):
        webhooks.receivers(tmp_path / "none.yaml")
