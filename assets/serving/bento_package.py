"""Packaging: a bento of the champion, with the ONNX model, its signature and the service, and nothing else."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.errors import DigestError, PackagingError
from assets.promotion import adapted_uncertainty, experiment_records
from assets.promotion.checkpoint import Checkpoint
from assets.promotion.experiment_records import Stage
from assets.promotion.known_heads import HEAD
from assets.promotion.ledger import head_of, require_champion
from assets.promotion.ledger import standing as standing_of
from assets.promotion.ledger_state import Entry, tag_of_version
from assets.serving import bento_builder, fallback_record, fallback_switch
from assets.serving.online_promise import online_promise
from assets.serving.row_graph import row_graph
from assets.serving.service_requirements import pinned
from assets.spec.privacy import hidden
from assets.storage import manifest, pseudonym_key
from assets.storage.digests import file_digest, value_digest
from assets.storage.drafts import draft_folder
from assets.storage.home import REPOSITORY, Home
from assets.storage.publishing import read_json, write_json
from bentos.fallback import FALLBACK
from bentos.row_graph import FILE
from bentos.runtime import FILES, Model, model_digest, read_signature
from bentos.uncertainty import ADAPTED

if TYPE_CHECKING:
    from assets.spec import ProductSpec

PROMISE = "promoted.json"
DEALT = frozenset({"split", "shadow"})
"""What the pointer that services follow says of an experiment."""
SERVICE = REPOSITORY / "bentos"


@dataclass(frozen=True)
class Bento:
    """A built bento: its tag, the folder it lies in, and the digest of the service and model in it."""

    tag: str
    path: Path
    digest: str
    size_bytes: int


def package(home: Home, spec: ProductSpec, champion: Entry) -> Bento:
    """Build the bento of a promoted model; an earlier bento of the same version is replaced.

    Parameters
    ----------
    home, spec
        Where the model lies, and its declaration.
    champion : Entry
        The ledger's entry by which the version serves. Its model is verified, and the bento refuses to start with any other
        bytes.

    Raises
    ------
    TamperedModelError
        If the model folder's bytes are not those that were promoted.
    PackagingError
        If BentoML cannot build it.
    """
    digest, version = champion.model_digest, champion.version
    folder = home.models / spec.name / digest
    model = Model.load(folder, digest)
    tag = tag_of(champion)
    with draft_folder(home) as scratch:
        package_folder = scratch / "bentos"
        package_folder.mkdir(parents=True)
        for source in sources():
            shutil.copyfile(source, package_folder / source.name)
        head = head_of(home, champion)
        promised: dict[str, Any] = {
            "product": spec.name,
            "model_version": version,
            **pack(model, folder, package_folder),
            **adapted_uncertainty.put_beside(home, champion, package_folder),
            **fallback_record.put_beside(home, champion, package_folder, is_declared=spec.serving.fallback is not None),
            "champion_since_utc": champion.recorded_at,
            "ledger_entry": champion.digest,
            HEAD: head,
            "workers": spec.serving.workers,
            "limits": spec.serving.limits,
            "online": online_promise(spec),
            "privacy": (private := hidden(spec.privacy, spec.columns)),
        }
        entity = spec.serving.entity
        online = promised["online"] or {"private": {}}
        if "hash" in {*private.values(), *online["private"].values()} or (entity is not None and entity.keep == "hash"):
            pseudonym_key.secret(home)  # services read it where they write their log
        write_json(package_folder / PROMISE, promised)
        # JSON is YAML: BentoML reads its bentofile as it is
        bentofile = {
            "service": "bentos.service:ModelService",
            "name": spec.name,
            "description": spec.description,
            "labels": {"product": spec.name, "model_version": str(version), "model_digest": digest[:63], **_labels(head)},
            "include": ["bentos/**"],
            "python": {"packages": pinned(spec), "lock_packages": False},
        }
        write_json(scratch / "bentofile.yaml", bentofile)
        # in a store of its own, so that the home's never lacks the bento that is being replaced
        store = scratch / "store"
        bento_builder.build(scratch, store, tag.split(":")[1])
        built = store / "bentos" / spec.name / tag.split(":")[1]
        if (found := model_digest(built / "src" / "bentos" / "model")) != digest:
            raise DigestError(f"{tag}: the bento holds digest {found[:12]}, promoted was {digest[:12]}. Package again.")
        path = bento_folder(home, tag)
        manifest.publish(built, path, replaced=scratch / "replaced")
    inside = sorted(file for file in (path / "src" / "bentos").rglob("*") if file.is_file())
    digest_inside = value_digest([[file.name, file_digest(file)] for file in inside])
    return Bento(tag, path, digest_inside, sum(file.stat().st_size for file in path.rglob("*") if file.is_file()))


def pack(model: Model, folder: Path, package_folder: Path) -> dict[str, str | None]:
    """Write what a service answers with into its package: the model, and its graph for single rows; the digests to promise."""
    (package_folder / "model").mkdir()
    for name in FILES:
        shutil.copyfile(folder / name, package_folder / "model" / name)
    single = row_graph(model, (folder / "model.onnx").read_bytes())
    if single is not None:
        (package_folder / FILE).write_bytes(single)
    return {"model_digest": model.digest, "row_graph_digest": None if single is None else hashlib.sha256(single).hexdigest()}


def _labels(head: str | None) -> dict[str, str]:
    """The ledger's head as labels, which BentoML holds to 63 letters, digits, dots and dashes."""
    if head is None:
        return {}
    read = Checkpoint.read(head)
    return {"ledger_size": str(read.size), "ledger_root": read.root.hex()[:63]}


def sources() -> list[Path]:
    """The modules of the service."""
    return sorted(SERVICE.glob("*.py"))


def point(home: Home, product: str, champion: Entry) -> Path:
    """Let services serve the champion's bento, and the arms of the experiment that runs against it.

    Those that run change to it, those that start start it.
    """
    return write_json(pointer(home, product), pointed(home, product, champion))


def point_if_changed(home: Home, product: str, champion: Entry) -> bool:
    """As `point`, if services are told anything else so far; whether they were."""
    changed: bool = read_json(pointer(home, product)) != pointed(home, product, champion)
    if changed:
        point(home, product, champion)
    return changed


def is_dealing(home: Home, product: str) -> bool:
    """Whether services are told of an experiment."""
    path = pointer(home, product)
    return path.exists() and bool(DEALT & read_json(path).keys())


def end_experiments(home: Home, product: str) -> None:
    """Let services that still follow an earlier champion deal to no arms."""
    if is_dealing(home, product):
        path = pointer(home, product)
        write_json(path, {name: item for name, item in read_json(path).items() if name not in DEALT})


def is_packaged(home: Home, spec: ProductSpec, entry: Entry) -> bool:
    """Whether a version's bento is there, and knows the limits and private columns that are declared now."""
    folder = bento_folder(home, tag_of(entry))
    if not folder.exists():
        return False
    found = promise(home, tag_of(entry))
    declared: dict[str, Any] = {
        "limits": spec.serving.limits,
        "privacy": hidden(spec.privacy, spec.columns),
        "online": online_promise(spec),
    }
    is_declared = spec.serving.fallback is not None
    declared[FALLBACK] = fallback_record.digest_of(home, spec.name, entry.model_digest, is_declared=is_declared)
    declared[ADAPTED] = adapted_uncertainty.digest_of(home, spec.name, entry.model_digest)
    return all(found.get(name) == value for name, value in declared.items())


def pointed(home: Home, product: str, champion: Entry) -> dict[str, Any]:
    """What services are told: the champion's bento, and the arms of the experiment that runs against it.

    Raises
    ------
    LedgerError
        If a person wants the fallback to answer, and that bento has none.
    """
    tag, standing = tag_of(champion), standing_of(home, product)
    folder = _package_folder(home, product, tag)
    named = {"folder": folder, "tag": tag, "model_digest": champion.model_digest, "ledger_entry": champion.digest}
    promised = promise(home, tag)
    # so that services that follow the pointer read them anew
    named |= {name: str(promised[name]) for name in (ADAPTED, FALLBACK) if name in promised}
    named |= fallback_switch.named_in_pointer(home, product, named)
    if "updates" in read_signature(bento_folder(home, tag) / "src" / "bentos" / "model").get("learning", {}):
        named["updates"] = os.path.relpath(home.updates(product) / "current.json", pointer(home, product).parent)
    if standing.champion == champion and (stage := experiment_records.running(home, standing)) is not None:
        return {**named, **_dealt(home, product, stage)}
    return named


def _dealt(home: Home, product: str, stage: Stage) -> dict[str, Any]:
    """What services are told of an experiment: its arms, or who answers in the shadow."""
    folders = {
        arm.name: _package_folder(home, product, f"{product}:{tag_of_version(arm.version, arm.model_digest)}")
        for arm in stage.treatments
    }
    if stage.kind == "shadow":
        return {"shadow": {"experiment": stage.experiment, "folder": folders[stage.treatments[0].name]}}
    arms = [
        {"name": arm.name, "share": arm.share, "folder": folders.get(arm.name), "model_digest": arm.model_digest}
        for arm in stage.arms
        if arm.share > 0
    ]
    return {"split": {"experiment": stage.experiment, "salt": stage.salt, "arms": arms}}


def _package_folder(home: Home, product: str, tag: str) -> str:
    """The folder of a bento's service package, as the pointer names it."""
    return os.path.relpath(bento_folder(home, tag) / "src" / "bentos", pointer(home, product).parent)


def withdraw(home: Home, product: str, digest: str) -> list[str]:
    """Remove the bentos that hold a model, so that nothing starts them; their tags."""
    folder = home.bentos / "bentos" / product
    tags = [f"{product}:{path.name}" for path in sorted(folder.glob("v*")) if path.is_dir()]
    held = [tag for tag in tags if promise(home, tag).get("model_digest") == digest]
    for tag in held:
        if pointer(home, product).exists() and read_json(pointer(home, product))["tag"] == tag:
            # running services answer no more with it; where another version may serve, its bento follows
            manifest.remove(pointer(home, product))
        manifest.remove(bento_folder(home, tag))
    return held


def pointer(home: Home, product: str) -> Path:
    """The file that names the champion's bento, which running services follow."""
    return home.bentos / "champions" / f"{product}.json"


def followed(home: Home, product: str) -> str | None:
    """The digest of the model that services follow, if there is one."""
    path = pointer(home, product)
    return str(read_json(path)["model_digest"]) if path.exists() else None


def served_tag(home: Home, product: str) -> str:
    """The tag of the bento that services serve.

    Raises
    ------
    LedgerError
        If nobody is served.
    PackagingError
        If the champion is not packaged yet.
    """
    if not pointer(home, product).exists():
        require_champion(home, product)
        raise PackagingError(f"{product}: no version is packaged to be served. Run `loopline run {product}`.")
    return str(read_json(pointer(home, product))["tag"])


def tag_of(champion: Entry) -> str:
    """The tag of a version's bento."""
    return f"{champion.product}:{champion.tag}"


def bento_folder(home: Home, tag: str) -> Path:
    """The folder of a bento in this home's store."""
    name, version = tag.split(":")
    return home.bentos / "bentos" / name / version


def promise(home: Home, tag: str) -> dict[str, object]:
    """What a bento promises to serve: product, version and digest."""
    found: dict[str, object] = read_json(bento_folder(home, tag) / "src" / "bentos" / PROMISE)
    return found
