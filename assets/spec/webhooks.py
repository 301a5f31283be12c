"""What is declared of webhooks: who is told of incidents, and where the secrets stand, never what they are."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from assets.spec.base import Declaration, Name


class WebhookSpec(Declaration):
    """One receiver."""

    name: Name = Field(examples=["ops"])
    """Name the receiver; what it was told is kept under this name."""
    format: Literal["generic", "slack"] = Field(default="generic", examples=["slack"])
    """Give generic (the whole event as JSON) or slack (one text, as Slack and Mattermost take it)."""
    url: str | None = Field(default=None, examples=["{{ env.OPS_WEBHOOK_URL }}"])
    """Give the address as a template of the environment: it is a secret; or name a file by 'url_file'."""
    url_file: str | None = Field(default=None, examples=["/run/secrets/ops_url"])
    """Name the file that holds the address."""
    secret: str | None = Field(default=None, examples=["{{ env.OPS_WEBHOOK_SECRET }}"])
    """Give the key by which messages are signed, as a template of the environment; left out, they are not signed."""
    secret_file: str | None = Field(default=None, examples=["/run/secrets/ops_secret"])
    """Name the file that holds the key."""
    timeout_seconds: float = Field(default=10.0, gt=0, le=120, examples=[5])
    """Give how long an answer is waited for."""

    @model_validator(mode="after")
    def _has_one_address(self) -> WebhookSpec:
        if (self.url is None) == (self.url_file is None):
            raise ValueError(f"'{self.name}' needs 'url' or 'url_file', and not both")
        if self.secret is not None and self.secret_file is not None:
            raise ValueError(f"'{self.name}' has 'secret' and 'secret_file'. Remove one of them")
        return self


class WebhooksSpec(Declaration):
    """The receivers."""

    webhooks: Annotated[tuple[WebhookSpec, ...], Field(strict=False)] = Field(
        examples=[[{"name": "ops", "url": "{{ env.OPS_WEBHOOK_URL }}"}]]
    )
    """List the receivers."""

    @model_validator(mode="after")
    def _each_is_named_once(self) -> WebhooksSpec:
        names = [item.name for item in self.webhooks]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"names {twice} twice. Name each receiver once")
        return self
