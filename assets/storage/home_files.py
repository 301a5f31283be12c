"""Home's files: what breaks when a file of a folder is damaged, how it is made again, and which files no manifest names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase, translate

RECORD = "home.json"
"""The file by which a folder is known as a home."""
MANIFEST = "manifest.jsonl"
"""The file that names the digest of every other."""
PENDING = "manifest.pending"
"""The file that holds what the manifest is about to record."""
TEMPORARY = "tmp"
"""The folder of drafts."""
STORE = "store"
"""The folder of what this machine knows of the store that the home is published to."""


@dataclass(frozen=True)
class Kind:
    """Files of one kind.

    Parameters
    ----------
    breaks : str
        What cannot be trusted when one of them is damaged.
    remedy : str
        How it is made again; ``{2}`` stands for the first two parts of its path, and so on.
    """

    breaks: str
    remedy: str


BACKUP = "restore it from a backup"
AGAIN = "delete {1} and run `loopline run`"
KINDS = {
    "landing/*": Kind("everything that is made of these rows", AGAIN.replace("1", "3")),
    "quarantine/*": Kind("what is known of refused rows", AGAIN.replace("{1}", "{3} and the same folder of landing")),
    "snapshots/*": Kind("training, scoring and monitoring on this snapshot", f"{BACKUP}, or {AGAIN.replace('1', '2')}"),
    "online/*": Kind("the features that a service looks up by key", AGAIN.replace("1", "2")),
    "models/*": Kind("what is served, and every figure of this model", f"{BACKUP}, or roll back to another version"),
    "tuning/*": Kind("the parameters that a search found", AGAIN.replace("1", "2")),
    "learning/*/updates/*": Kind(
        "the state that services answer by between promotions", "delete {4} and run `loopline learn-online PRODUCT`"
    ),
    "learning/*": Kind("the state that online learning goes on from", "delete {3} and run `loopline run`: it is learned again"),
    "textbook/*": Kind("which topics of the textbook were done", "delete {1} and run `loopline learn --check`"),
    "reports/*/parity.json": Kind("the proof that all ways of serving agree", "delete bentos/champions and run `loopline run`"),
    "reports/*/report.html": Kind("a page that people read", AGAIN.replace("1", "4")),
    "reports/*": Kind("the evidence of a verdict", f"{BACKUP}, or delete {{3}} and run `loopline run`: it is judged anew"),
    "registry/*": Kind("MLflow's copy of a version, which is not what is served", BACKUP),
    "bentos/champions/*": Kind("which bento services follow", AGAIN.replace("1", "3")),
    "bentos/*": Kind("the service of this version", AGAIN.replace("1", "4")),
    "wheels/*": Kind("this wheel", AGAIN.replace("1", "2")),
    "sql/*": Kind("this SQL", AGAIN.replace("1", "2")),
    "images/*": Kind("what is known of an image", "delete {2} and run `loopline container PRODUCT`"),
    "releases/*/released.json": Kind("what was released here, by whom and why", BACKUP),
    "releases/*": Kind("whether the champion passed its smoke test", "delete {3} and run `loopline smoke PRODUCT`"),
    "predictions/*": Kind("these predictions", AGAIN.replace("1", "2")),
    "monitoring/*": Kind("the alarms, and the triggers of retraining", AGAIN.replace("1", "2")),
    "uncertainty/*": Kind("how wide the champion's answers are", AGAIN.replace("1", "2")),
    "fallbacks/*": Kind("what a service answers without the model", AGAIN.replace("1", "2")),
    "experiments/*/*-report.*": Kind("a report that people read", "delete {3} and run `loopline experiment report PRODUCT`"),
    "experiments/*/off_policy/*": Kind("what a rule that was never served would cost", "delete {4} and estimate it again"),
    "experiments/*": Kind("who answers in an experiment, and what its decisions rest on", BACKUP),
    "incidents/*/incident.html": Kind("a page that people read", "delete {3} and run `loopline incident` of its name"),
    "incidents/*/deliveries.json": Kind("what was sent to webhooks", f"{BACKUP}, or delete {{3}}: all is sent again"),
    "incidents/*": Kind("what was known of an incident, and what was done", BACKUP),
    "quality/*": Kind("what is known of landed rows", AGAIN),
    "replays/*": Kind("the figures of this replay", "delete {3} and run `loopline replay PRODUCT`"),
    "research/*/looks/*": Kind("how often notebooks looked at test rows", BACKUP),
    "research/*": Kind("a variant that a notebook recorded", "delete it, and record the variant again in the notebook"),
    "warehouse/*": Kind("nothing that lasts: the warehouse is built again", AGAIN),
    "code_versions/*": Kind("the reasons that `loopline plan` gives", "delete {2}"),
    "ledger/*": Kind("who should be served, and why", BACKUP),
    "dagster/dagster.yaml": Kind("the settings of Dagster's instance", "delete {2}: the next run writes it again"),
    "dagster/*": Kind("when which asset was made", "delete {1} and run `loopline run`: everything is made anew"),
    "erasures/*": Kind("why erased files have other digests than were recorded", BACKUP),
    "keys/*": Kind("who may ask a service", f"{BACKUP}, or delete {{2}} and make new keys: `loopline key create`"),
    "served/*/outcomes/*": Kind("what was told of answers", f"{BACKUP}, or delete {{4}} and tell those outcomes again"),
    "served/*/arms/*": Kind("what became of that day's requests in experiments", f"{BACKUP}, or delete {{4}}: they are lost"),
    "served/*/shadow/*": Kind("what a challenger answered in the shadow that day", f"{BACKUP}, or delete {{4}}: they are lost"),
    "served/*": Kind("what a service was asked that day", f"{BACKUP}, or delete {{3}}: those requests are lost"),
    "streams/*": Kind("what came row by row", f"{BACKUP}, or delete {{3}}: the rows are read again"),
    RECORD: Kind("the version of this home's records", BACKUP),
}
"""What a home holds, by pattern: the first that matches holds."""
OTHER = Kind("nothing that Loopline reads", "delete it")

UNRECORDED = {
    MANIFEST: "the manifest itself, whose lines are chained",
    f"{MANIFEST}.damaged": "a manifest that was damaged, until it is deleted",
    PENDING: "what the manifest is about to record",
    f"{TEMPORARY}/*": "drafts",
    "replays/*/tmp/*": "drafts",
    "replays/*.lock": "locks",
    ".*.[0-9]*.tmp": "drafts",
    "*/.*.[0-9]*.tmp": "drafts",
    "catalog.html": "a page about the other files, which `loopline catalog` writes",
    "maturity.html": "a page about the other files, which `loopline maturity` writes",
    "phases/*": "pages about the other files, which `loopline phases` writes",
    "run.lock": "a lock",
    "decision.lock": "a lock",
    "erasures/pending.json": "an erasure that is going on, and which the next command finishes",
    "registry/registry.lock": "a lock",
    "research/looks.lock": "a lock",
    "steps/*.lock": "locks",
    "steps/*.json": "how much memory a product's stages took last, by which `loopline run --jobs` plans",
    "incidents/*.lock": "locks",
    "keys/keys.lock": "a lock",
    "keys/clock": "the newest time that was seen, by which keys expire",
    "warehouse/warehouse.lock": "a lock",
    "ledger/ledger.db*": "a database, whose entries are chained",
    "ledger/retraining.db*": "a database: when and why a training was started",
    "registry/mlflow.db*": "a database, which is held against the ledger and against its own copies",
    "dagster/history/*": "databases: Dagster's history",
    "dagster/schedules/*": "databases: Dagster's schedules",
    "dagster/storage/*": "logs of runs",
    "dagster/.*": "what Dagster keeps of its processes",
    "served/*.sqlite*": "databases: what services were asked and answered, until the day is over",
    "served/*.lock": "locks",
    "streams/*": "databases: what came row by row",
    "learning/*/updates/*.sqlite*": "databases: which labels a champion learned since it was promoted, and its states",
    "learning/*.lock": "locks",
    "tuning/*.journal": "logs of searches",
    "tuning/*.journal.lock": "locks",
    "lake/*": "tables with logs of their own, whose versions name the digests of what was published",
    "extracts/*": "a cache: rows of tables elsewhere, by digest, which are read again where they are gone",
    "warehouse/warehouse.duckdb*": "a cache, which a run builds again from the landed files",
    "warehouse/target/*": "a cache: what dbt compiled",
    "bentos/tmp/*": "drafts of BentoML",
    "bentos/prometheus_multiproc_dir/*": "counters of running services",
    "replays/*/policies/*": "drafts: the states of a policy that is played again",
    "replays/*/shared/*": "what the policies of a replay share, with a manifest of its own",
    "earlier/*": "what an earlier version of Loopline recorded",
    f"{STORE}/*": "what this machine knows of the store that the home is published to",
}
"""The files that no manifest names, by pattern, with what they are."""
PUBLISHED = (
    MANIFEST,
    "ledger/ledger.db",
    "ledger/retraining.db",
    "registry/mlflow.db",
    "dagster/history/*.db",
    "dagster/schedules/*.db",
    "dagster/storage/*",
    "served/*.sqlite",
    "streams/*.db",
    "tuning/*.journal",
    "learning/*/updates/*.sqlite",
)
"""Those of them that are published to a store all the same; the others are of this machine only, or made again."""
_UNRECORDED = re.compile("|".join(map(translate, UNRECORDED)))


def unrecorded(file: str) -> str | None:
    """What a file is that no manifest names; None if a manifest must name it.

    Parameters
    ----------
    file : str
        Its path, relative to the home.

    Examples
    --------
    >>> unrecorded("tmp/12@here-x/rows.parquet")
    'drafts'
    >>> unrecorded("models/churn/current.json")
    """
    if _UNRECORDED.match(file) is None:
        return None
    return next(what for pattern, what in UNRECORDED.items() if fnmatchcase(file, pattern))


def kind_of(file: str) -> Kind:
    """What a file is, and how just this one is made again.

    Examples
    --------
    >>> kind_of("wheels/churn/current.json").remedy
    'delete wheels/churn and run `loopline run`'
    """
    kind = next((kind for pattern, kind in KINDS.items() if fnmatchcase(file, pattern)), OTHER)
    parts = file.split("/")
    places = ["/".join(parts[:count]) for count in range(5)]
    return Kind(kind.breaks, kind.remedy.format(*places))
