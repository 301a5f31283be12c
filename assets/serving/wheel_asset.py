"""The asset `wheel`: the champion as a Python distribution."""

from __future__ import annotations

from assets.promotion.ledger import require_champion
from assets.serving import wheel_package
from assets.spec import ProductSpec
from assets.storage.asset_result import AssetResult
from assets.storage.home import Home


def build_wheel(home: Home, spec: ProductSpec) -> AssetResult:
    """Build the champion's wheel."""
    champion = require_champion(home, spec.name)
    wheel = wheel_package.embed(home, spec, champion)
    figures = {"version": champion.version, "digest": wheel.digest, "size_bytes": wheel.size_bytes, "path": wheel.path}
    return AssetResult(wheel.digest, figures, wheel.path)
