"""Facts about what serves, from the records of a home, each read once; a record that is gone is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from assets.evaluation.evidence_files import read_by
from assets.features.snapshot_origin import origin
from assets.ingestion import landed_tables
from assets.monitoring import champion_monitor
from assets.promotion import ledger, verdict_records
from assets.promotion.ledger_state import Entry
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.storage.publishing import read_json
from bentos.runtime import read_signature
from orchestration.operations.catalog import lineage
from orchestration.operations.catalog.lineage_links import Link


@dataclass(frozen=True)
class Facts:
    """What is known of a champion.

    Parameters
    ----------
    home, spec
        The home and the declaration.
    champion : Entry
        The entry by which it serves.
    links : list of Link
        Its lineage.
    """

    home: Home
    spec: ProductSpec
    champion: Entry
    links: list[Link]

    @classmethod
    def of(cls, home: Home, spec: ProductSpec) -> Facts:
        """Those of what serves now.

        Raises
        ------
        LedgerError
            If nothing serves.
        """
        return cls(home, spec, ledger.require_champion(home, spec.name), lineage.chain(home, spec.name))

    @cached_property
    def signature(self) -> dict[str, Any]:
        """What the model says of itself."""
        return read_signature(self.home.models / self.spec.name / self.champion.model_digest)

    @property
    def windows(self) -> dict[str, tuple[str, str]]:
        """From when to when the rows of training and validation are, by part; nothing of a split that has no windows."""
        told = self.signature.get("windows") or {}
        return {part: (window[0], window[1]) for part, window in told.items() if window}

    @property
    def model_file(self) -> str:
        """The path of what the model says of itself."""
        return f"models/{self.spec.name}/{self.champion.model_digest[:12]}…/model.json"

    @cached_property
    def verdict(self) -> dict[str, Any]:
        """The verdict by which it serves."""
        return verdict_records.read(verdict_records.place_of(self.home, self.champion), str(self.champion.verdict))

    @property
    def verdict_name(self) -> str:
        """How the verdict is named."""
        return f"verdict {str(self.champion.verdict)[:12]}"

    def evidence(self, stage: str) -> dict[str, Any]:
        """A record that the verdict read; empty if there is none."""
        digest = self.verdict["evidence"].get(stage)
        if digest is None:
            return {}
        path = read_by(verdict_records.place_of(self.home, self.champion).parent, stage, digest)
        return dict(read_json(path)) if path.exists() else {}

    @cached_property
    def evaluation(self) -> dict[str, Any]:
        """The evaluation."""
        return self.evidence("evaluation")

    @cached_property
    def monitoring(self) -> dict[str, Any]:
        """What became of it since; empty if nobody looked."""
        found = champion_monitor.recorded(self.home, self.spec.name)
        return {} if found is None or found["model_digest"] != self.champion.model_digest else found

    @cached_property
    def promise(self) -> dict[str, Any]:
        """What its service promises; empty if there is no bento."""
        from assets.serving import bento_package

        tag = bento_package.tag_of(self.champion)
        if not bento_package.bento_folder(self.home, tag).exists():
            return {}
        return dict(bento_package.promise(self.home, tag))

    @cached_property
    def rests_on(self) -> dict[str, list[str]]:
        """The landed files of its snapshot, by table; empty if the record is gone."""
        path = origin(self.home, self.spec.name, self.champion.snapshot_digest)
        return dict(read_json(path)["landed"]) if path.exists() else {}

    @cached_property
    def landed(self) -> dict[str, list[landed_tables.Landed]]:
        """What is known of those files that are landed still."""
        return {
            table: [item for item in landed_tables.records(self.home, *table.split(".")) if item.file in files]
            for table, files in self.rests_on.items()
        }

    def link(self, *stages: str) -> list[Link]:
        """Links of the lineage."""
        return [link for link in self.links if link.stage in stages]


def figure(metric: Mapping[str, float]) -> str:
    """A figure with its interval."""
    return f"{metric['value']:.4g} [{metric['low']:.4g}, {metric['high']:.4g}]"


def run(facts: Facts) -> str:
    """What makes a record that is missing."""
    return f"`loopline run {facts.spec.name}`"


def stated_or_default(facts: Facts, name: str) -> str:
    """A field of the declaration as a source: declared, or the default where nobody declared it."""
    return f"{'declared' if name in facts.spec.model_fields_set else 'default'}: {name}"


def slice_figure(item: dict[str, dict[str, dict[str, float]]], metric: str) -> str:
    """The deciding metric of a slice with its interval, or the first that there is."""
    figures = item["metrics"]
    if not figures:
        return "too few rows for figures"
    named = metric if metric in figures else next(iter(figures))
    return f"{named} {figure(figures[named])}"


def unlabelled(facts: Facts) -> tuple[str, ...]:
    """Test rows without a label, by their declared reasons; nothing where there is no evaluation."""
    if not facts.evaluation:
        return ()
    found = [f"{count:,} test rows have no label: {name}" for name, count in facts.evaluation["unlabelled"].items()]
    return tuple(found) or ("no test row lacks its label for a reason that is declared",)
