"""A Delta table in a bucket: read by an address, with credentials from the environment alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from deltalake import DeltaTable, write_deltalake

from assets.errors import SourceError
from assets.storage.home import Home
from tests.lake import counts, land, rows_read, sales

pytest.importorskip("orchestration.operations.store_server")


def test_a_delta_table_in_a_bucket(home: Home, tmp_path: Path, object_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only new data files cross the network; a wrong key and a server that is gone are one sentence without the key."""
    import obstore
    from obstore.store import S3Store

    for name, value in {**object_server.environment, "AWS_ALLOW_HTTP": "true"}.items():
        monkeypatch.setenv(name, value)
    bucket = f"lake{uuid4().hex[:8]}"
    obstore.put(S3Store(bucket, client_options={"allow_http": True}), "made", b"")
    uri = f"s3://{bucket}/sales"
    write_deltalake(uri, sales([1, 2], 1))
    assert counts(land(home, tmp_path, delta={"uri": uri}))["2020-01"] == (2, 0)
    write_deltalake(uri, sales([3], 2), mode="append")
    landed = land(home, tmp_path, delta={"uri": uri})
    assert (rows_read(landed), counts(landed)["2020-02"]) == (1, (1, 0))
    DeltaTable(uri).delete("id = 1")
    assert counts(land(home, tmp_path, delta={"uri": uri, "month_column": "day"}))["2020-01"] == (1, 0)

    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-secret")
    with pytest.raises(SourceError, match=rf"the Delta table {uri}: ") as refused:
        land(home, tmp_path, delta={"uri": uri})
    assert "not-the-secret" not in str(refused.value)
