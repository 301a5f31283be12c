"""Lake tables in a bucket: read by an address or a catalogue, with credentials from the environment alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from deltalake import DeltaTable, write_deltalake

from assets.errors import SourceError
from assets.storage.home import Home
from tests.lake import counts, land, rows_read, sales
from tests.ports import free_port

pytest.importorskip("orchestration.operations.storage.store_server")


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


def appended(catalog: Any, ids: list[int], month: int) -> None:
    """Rows more in `shop.orders`, which is made if need be."""
    catalog.create_namespace_if_not_exists("shop")
    rows = sales(ids, month)
    catalog.create_table_if_not_exists("shop.orders", schema=rows.schema).append(rows)


def reads_what_is_new(home: Home, folder: Path, catalog: Any, declared: dict[str, Any]) -> None:
    """Land rows of a table, then rows more; what was deleted is gone."""
    appended(catalog, [1, 2], 1)
    assert counts(land(home, folder, iceberg=declared))["2020-01"] == (2, 0)
    appended(catalog, [3], 2)
    landed = land(home, folder, iceberg=declared)
    assert (rows_read(landed), counts(landed)["2020-02"]) == (1, (1, 0))
    catalog.load_table("shop.orders").delete("id = 1")
    assert counts(land(home, folder, iceberg=declared))["2020-01"] == (1, 0)


def test_an_iceberg_table_in_a_bucket(home: Home, tmp_path: Path, object_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its catalogue is a file, its data lie on the server that the environment names; a wrong key is one sentence without it."""
    import obstore
    from obstore.store import S3Store
    from pyiceberg.catalog import load_catalog

    environment = object_server.environment
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    bucket = f"lake{uuid4().hex[:8]}"
    obstore.put(S3Store(bucket, client_options={"allow_http": True}), "made", b"")
    told = {"s3.endpoint": environment["AWS_ENDPOINT_URL"], "s3.region": environment["AWS_REGION"]}
    uri = f"sqlite:///{tmp_path}/catalog.db"
    catalog = load_catalog("shop", type="sql", uri=uri, warehouse=f"s3://{bucket}/warehouse", **told)
    declared = {"catalog": "sqlite:///catalog.db", "table": "shop.orders"}
    reads_what_is_new(home, tmp_path, catalog, declared)

    appended(catalog, [4], 2)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-secret")
    with pytest.raises(SourceError, match=r"the Iceberg table shop\.orders.*: cannot be read") as refused:
        land(home, tmp_path, iceberg=declared)
    assert "not-the-secret" not in str(refused.value)


def configured(monkeypatch: pytest.MonkeyPatch, **given: str) -> None:
    """Set variables of the catalogue; pyiceberg reads them where it is imported, which it was long before."""
    from pyiceberg.utils.config import Config

    for name, value in given.items():
        monkeypatch.setenv(f"PYICEBERG_CATALOG__LOOPLINE__{name}", value)
    monkeypatch.setattr("pyiceberg.catalog._ENV_CONFIG", Config())


def test_a_rest_catalogue(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of SeaweedFS: credentials for it and for its bucket come from the environment; a wrong one is one sentence."""
    from pyiceberg.catalog import load_catalog

    from orchestration.operations.storage.store_server import GRPC, StoreServer

    port = free_port()
    server = StoreServer(tmp_path / "server", options=[f"-s3.port.iceberg={port}"]).start()
    try:
        shell = [str(Path(sys.executable).with_name("weed")), "shell"]
        master = f"-master=127.0.0.1:{server.ports[0]}.{server.ports[0] + GRPC}"
        command = "s3tables.bucket -create -name lake -account 000000000000\nexit\n"
        subprocess.run([*shell, master], input=command, text=True, check=True, capture_output=True, cwd=tmp_path)
        environment = server.environment
        secret = f"{environment['AWS_ACCESS_KEY_ID']}:{environment['AWS_SECRET_ACCESS_KEY']}"
        named = {"CREDENTIAL": secret, "WAREHOUSE": "s3://lake"}
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        configured(monkeypatch, **named)
        told = {"s3.endpoint": environment["AWS_ENDPOINT_URL"], "s3.region": environment["AWS_REGION"]}
        uri = f"http://127.0.0.1:{port}"
        catalog = load_catalog("loopline", type="rest", uri=uri, **told)
        declared = {"catalog": uri, "table": "shop.orders"}
        reads_what_is_new(home, tmp_path, catalog, declared)
        configured(monkeypatch, CREDENTIAL="loopline:not-the-secret")
        with pytest.raises(SourceError, match=r"the Iceberg table shop\.orders.*: cannot be read") as refused:
            land(home, tmp_path, iceberg=declared)
        assert "not-the-secret" not in str(refused.value)
    finally:
        server.stop()
    configured(monkeypatch, CREDENTIAL=secret)
    with pytest.raises(SourceError, match=r"the Iceberg table shop\.orders.*: cannot be read"):
        land(home, tmp_path, iceberg=declared)
