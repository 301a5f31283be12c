"""Prometheus, Alertmanager and Pushgateway, really: service and pipeline are seen, and an alert arrives."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from assets.errors import HomeError
from assets.features import snapshots
from assets.observability import grafana_dashboards, prometheus_metrics
from assets.promotion import ledger
from assets.storage.home import Home
from orchestration.operations.monitoring import prometheus_export
from tests.bentos.serving import serving, until_ready
from tests.bentos.test_service import champion_tag
from tests.ports import free_port
from tests.world import World

PROGRAMS = ("prometheus", "prometheus-alertmanager", "prometheus-pushgateway")
LACKING = [name for name in PROGRAMS if shutil.which(name) is None]


def test_the_pipeline_tells_what_it_knows(ran: Home) -> None:
    """Champion, look, quality, drift, data, in Prometheus's format; products that were never run are left out."""
    found = {
        family.name: family.samples
        for family in text_string_to_metric_families(prometheus_metrics.text(prometheus_export.collect(ran)))
    }
    champion = ledger.standing(ran, "flight_delay").champion
    assert champion is not None
    (info,) = found["loopline_champion_info"]
    assert info.labels == {"product": "flight_delay", "version": "1", "digest": champion.model_digest}
    assert abs(found["loopline_monitored_timestamp_seconds"][0].value - time.time()) < 3600
    figures = {(item.labels["metric"], item.labels["which"]) for item in found["loopline_quality"]}
    assert {("roc_auc", "reference"), ("roc_auc", "expected"), ("roc_auc", "realised")} <= figures
    kinds = {item.labels["kind"] for item in found["loopline_drift_ratio"]}
    assert kinds == {"data", "model", "concept"}
    scores = {(item.labels["table"], item.labels["dimension"]): item.value for item in found["loopline_data_quality"]}
    assert scores["flights", "validity"] == 1.0
    assert scores["flights", "timeliness"] < 0.5, "the small world has six days a month"


def test_a_gateway_that_is_not_there_is_told(ran: Home) -> None:
    """Where, and what to do."""
    with pytest.raises(HomeError, match=r"127\.0\.0\.1:9 does not take metrics .*unset LOOPLINE_PUSHGATEWAY"):
        prometheus_metrics.push(prometheus_export.collect(ran), "127.0.0.1:9")


@contextmanager
def hearing() -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """A webhook, and what it was told."""
    heard: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port, heard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def started(log: Path, *command: str) -> Iterator[None]:
    """A program that runs while the block does."""
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, cwd=log.parent)
        try:
            yield
            assert process.poll() is None, log.read_text()[-2000:]
        finally:
            process.terminate()
            process.wait(30)


@contextmanager
def used(url: str, rows: list[dict[str, Any]]) -> Iterator[None]:
    """A client that sends known and unknown carriers, and an impossible distance, while the block runs."""
    ended = threading.Event()

    def use() -> None:
        while not ended.wait(0.2):
            httpx.post(f"{url}/predict_batch", json={"rows": [*rows, {**rows[0], "carrier": "ZZ"}]})
            httpx.post(f"{url}/predict", json={"row": {**rows[0], "distance_miles": -1}})

    client = threading.Thread(target=use)
    client.start()
    try:
        yield
    finally:
        ended.set()
        client.join()


def soon(what: Callable[[], Any], seconds: float = 60) -> Any:
    """What is given as soon as it is something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if found := what():
                return found
        except httpx.TransportError:
            pass
        time.sleep(0.3)
    return what()


@pytest.mark.skipif(bool(LACKING), reason=f"sudo apt-get install --no-install-recommends {' '.join(LACKING)}")
def test_metrics_are_kept_and_an_alert_arrives(ran: Home, world: World, tmp_path: Path) -> None:
    """A service is scraped, the pipeline pushes, a rule fires on what is really bad, and the webhook hears of it."""
    ports = {name: free_port() for name in PROGRAMS}
    place = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
    log = tmp_path / "service.log"
    with ExitStack() as stack:
        url, process = stack.enter_context(serving(ran, champion_tag(ran), log))
        webhook, heard = stack.enter_context(hearing())
        until_ready(url, process, log)
        written = prometheus_export.files([world.product], f"http://127.0.0.1:{webhook}/alerts")
        settings, scraped = written["prometheus.yml"], written["prometheus.yml"]["scrape_configs"]
        settings["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        settings["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [place["prometheus-alertmanager"]]
        scraped[0]["static_configs"][0]["targets"] = [url.removeprefix("http://")]
        scraped[1]["static_configs"][0]["targets"] = [place["prometheus-pushgateway"]]
        written["alertmanager.yml"]["route"]["group_wait"] = "1s"
        for name, content in written.items():
            (tmp_path / name).write_text(yaml.safe_dump(content))
        stack.enter_context(
            started(tmp_path / "gateway.log", PROGRAMS[2], f"--web.listen-address={place['prometheus-pushgateway']}")
        )
        stack.enter_context(
            started(
                tmp_path / "alertmanager.log", PROGRAMS[1], "--config.file=alertmanager.yml", "--storage.path=alerts",
                f"--web.listen-address={place['prometheus-alertmanager']}", "--cluster.listen-address=",
            )
        )  # fmt: skip
        stack.enter_context(
            started(
                tmp_path / "prometheus.log", PROGRAMS[0], "--config.file=prometheus.yml", "--storage.tsdb.path=tsdb",
                f"--web.listen-address={place['prometheus']}",
            )
        )  # fmt: skip
        for name in ("prometheus-pushgateway", "prometheus"):
            assert soon(lambda name=name: httpx.get(f"http://{place[name]}/-/ready").status_code == 200)
        prometheus_metrics.push(prometheus_export.collect(ran), place["prometheus-pushgateway"])
        frame = snapshots.read(snapshots.current(ran, "flight_delay")).iloc[-20:]
        rows = json.loads(frame[list(world.product.columns)].to_json(orient="records", double_precision=15))
        stack.enter_context(used(url, rows))

        def asked(query: str) -> list[dict[str, Any]]:
            answer = httpx.get(f"http://{place['prometheus']}/api/v1/query", params={"query": query}).json()
            return list(answer.get("data", {}).get("result", []))

        champion = ledger.standing(ran, "flight_delay").champion
        assert champion is not None
        (info,) = soon(lambda: asked('loopline_champion_info{product="flight_delay"}'))
        assert info["metric"]["digest"] == champion.model_digest
        (up,) = soon(lambda: asked('up{job="loopline-service", product="flight_delay"} == 1'))
        assert up["value"][1] == "1"
        served = soon(lambda: asked("loopline_model_info == 1 and on (product, digest) loopline_champion_info"))
        assert [item["metric"]["product"] for item in served] == ["flight_delay"], "served is promoted, as Prometheus sees it"
        assert soon(lambda: asked('loopline_requests_total{path="/predict", status="422"}'))
        for name in grafana_dashboards.PANELS:
            drawn = json.loads((prometheus_export.FOLDER / "dashboards" / f"{name}.json").read_text())
            for panel in drawn["panels"]:
                for target in panel["targets"]:
                    query = target["expr"].replace("$product", "flight_delay")
                    assert soon(lambda query=query: asked(query)), f"{name}: {panel['title']}: {query}"
        alert = soon(
            lambda: [one for told in heard for one in told["alerts"] if one["labels"]["alertname"] == "DataQualityLow"]
        )
    assert {one["labels"]["dimension"] for one in alert} == {"timeliness"}
    assert alert[0]["annotations"]["runbook_url"] == "docs/runbooks.md#dataqualitylow"
    assert "timeliness of flights." in alert[0]["annotations"]["summary"]
