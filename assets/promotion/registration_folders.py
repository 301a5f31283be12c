"""Registration folders: where MLflow lays the files of versions, one by one, before a manifest names them.

Of a registration that a kill or a full disk cut off, no file is named. The next one of the product deletes its files, or
records them if there is a version already (`unfinished_registrations`).
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from assets.promotion.mlflow_client import database
from assets.storage.home import Home

QUERY = """
with registering as (
    select run_uuid, artifact_uri from runs
    where run_uuid in (select run_uuid from tags where key = 'evaluation_digest' and value <> '')
)
select artifact_uri from registering
union
select artifact_location from logged_models where source_run_id in (select run_uuid from registering)
"""


def folders(home: Home) -> list[str]:
    """The folders of runs that are registered or were to be, and of the models that they logged; relative to the home.

    Read without MLflow, whose import takes seconds; nothing where its database cannot be read.
    """
    try:
        with closing(sqlite3.connect(f"{database(home).resolve().as_uri()}?mode=ro", uri=True, timeout=60)) as connection:
            found = [Path(url2pathname(urlsplit(uri).path)).parent for (uri,) in connection.execute(QUERY)]
    except sqlite3.Error:  # not there yet, or damaged: `verify` says so
        return []
    # of a home that was copied, the addresses are those of the original
    tails = [tail for folder in found for _, place, tail in [folder.as_posix().rpartition("/registry/")] if place]
    return sorted(f"registry/{tail}" for tail in tails)
