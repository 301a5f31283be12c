"""What a product declares for people: the model card's words, and what only people know of its purpose, risks and data."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from assets.spec.base import Declaration, Name


class CardSpec(Declaration):
    """What the model card says beside figures."""

    use: str | None = Field(default=None, examples=["Warn passengers an hour before departure."])
    """Say what the predictions are for, and for whom."""
    limits: tuple[str, ...] = Field(default=(), strict=False, examples=[["Knows only flights from New York."]])
    """List what it must not be used for, and what it does not know."""


class DatasetSpec(Declaration):
    """What the data sheet asks and no record answers (Gebru et al. 2018)."""

    motivation: str | None = Field(default=None, examples=["To study delays at three airports."])
    """Say why the data was collected."""
    creators: str | None = Field(default=None, examples=["US Bureau of Transportation Statistics"])
    """Say who collected it, and on whose behalf."""
    collection: str | None = Field(default=None, examples=["Reported by the carriers each month."])
    """Say how it was collected, and how its rows were chosen."""
    consent: str | None = Field(default=None, examples=["No row is about a person."])
    """Say whether rows are about people, what these were told, and how they can withdraw."""
    unfit_for: str | None = Field(default=None, examples=["Anything about private aviation."])
    """Say what the data must not be used for."""
    license: str | None = Field(default=None, examples=["CC0-1.0"])
    """Name the licence, or the terms, by which it may be used and passed on."""
    maintenance: str | None = Field(default=None, examples=["A file a month; data@example.org answers."])
    """Say who maintains it, how often it is renewed, and how errors are reported."""


class GovernanceSpec(Declaration):
    """What only people know of a model: it is shown in its technical file, where what is left out is shown as a blank."""

    intended_purpose: str | None = Field(default=None, examples=["Warns crews of delays, an hour before departure."])
    """Say what it is for, who uses it, and on whom it has an effect."""
    provider: str | None = Field(default=None, examples=["Example Airlines, Dublin"])
    """Say who answers for it."""
    contacts: tuple[str, ...] = Field(default=(), strict=False, examples=[["ml@example.org"]])
    """List whom users and authorities may ask."""
    risk_class: Literal["minimal", "limited", "high"] | None = Field(default=None, examples=["minimal"])
    """Give its class by the EU AI Act, as your lawyers found it."""
    human_oversight: str | None = Field(default=None, examples=["A dispatcher sees each warning and may dismiss it."])
    """Say who watches it, what they can see, and how they overrule or stop it."""
    foreseeable_misuse: str | None = Field(default=None, examples=["To rank carriers."])
    """Say which uses are likely and wrong, and what risks for people they have."""
    risk_management: str | None = Field(default=None, examples=["docs/risks.md, reviewed each quarter."])
    """Say which risks were found, and what is done about them."""
    standards: tuple[str, ...] = Field(default=(), strict=False, examples=[["ISO/IEC 42001"]])
    """List the standards that are applied."""
    protected: tuple[Name, ...] = Field(default=(), strict=False, examples=[["age_group"]])
    """List features that tell groups of people apart; `evaluation.slices` has figures for each group."""
    reviews: dict[Name, Annotated[str, Field(examples=["docs/feature-cost.md"])]] = Field(
        default_factory=dict, examples=[{"feature_cost": "docs/feature-cost.md"}]
    )
    """Give documents of what was examined by hand, by the test of docs/maturity.md that each stands for."""
    dataset: DatasetSpec = Field(default=DatasetSpec(), examples=[{"license": "CC0-1.0"}])
    """Say what is known of the data beside its figures."""
