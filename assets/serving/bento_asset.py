"""The asset `bento`: the champion as a service."""

from __future__ import annotations

from assets.promotion.ledger import require_champion
from assets.serving import bento_package, fallback_switch
from assets.spec import ProductSpec
from assets.storage.asset_result import AssetResult
from assets.storage.home import Home


def package_bento(home: Home, spec: ProductSpec) -> AssetResult:
    """Package the champion.

    Raises
    ------
    LedgerError
        If a person wants its fallback to answer, and there would be none in the package.
    """
    champion = require_champion(home, spec.name)
    fallback_switch.require_record(home, spec, champion)
    bento = bento_package.package(home, spec, champion)
    figures = {
        "tag": bento.tag,
        "version": champion.version,
        "digest": champion.model_digest,
        "size_bytes": bento.size_bytes,
        "path": bento.path,
    }
    return AssetResult(bento.digest, figures, bento.path / "bento.yaml")
