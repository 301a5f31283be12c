"""Bucket settings: where the buckets of Iceberg tables are, by the variables that other S3 clients read.

Delta Lake and our own store read them by themselves; pyiceberg takes keys from them, and endpoint and region only from its own
configuration, which goes first.
"""

from __future__ import annotations

import os

VARIABLES = {
    "s3.endpoint": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
    "s3.region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
}
"""By pyiceberg's names, the variables that tell it; the first one that is set."""


def of_catalog(name: str) -> dict[str, str]:
    """What the environment says of buckets that pyiceberg's own configuration of a catalogue does not."""
    from pyiceberg.utils.config import Config

    configured = Config().get_catalog_config(name) or {}
    told = {
        key: next((value for variable in variables if (value := os.environ.get(variable))), None)
        for key, variables in VARIABLES.items()
    }
    return {key: value for key, value in told.items() if value is not None and key not in configured}
