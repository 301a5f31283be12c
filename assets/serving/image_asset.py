"""The asset `image`: the champion's bento as an OCI image."""

from __future__ import annotations

from assets.promotion.ledger import require_champion
from assets.serving import bento_package, container_image
from assets.spec import ProductSpec
from assets.storage.asset_result import AssetResult
from assets.storage.home import Home


def build_image(home: Home, spec: ProductSpec) -> AssetResult:
    """Build the container image of the champion's bento."""
    champion = require_champion(home, spec.name)
    image = container_image.build(home, spec, champion, bento_package.bento_folder(home, bento_package.tag_of(champion)))
    figures = {
        "reference": image.reference,
        "image_digest": image.digest,
        "version": champion.version,
        "size_bytes": image.size_bytes,
        "path": image.folder,
    }
    return AssetResult(image.digest, figures, image.folder / container_image.MANIFEST)
