"""Smoke test: the champion's bento, started as it is served, is ready, and the champion answers. The result is kept.

While a person wants the fallback to answer, it is the fallback whose answer is expected.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from assets.errors import DigestError, ReleaseError
from assets.promotion import fallback_entries, ledger
from assets.promotion.ledger_state import Entry
from assets.serving import bento_package, example_request, fallback_switch
from assets.serving.example_request import Answered
from assets.storage.digests import file_digest, value_digest
from assets.storage.home import Home
from assets.storage.publishing import read_json, write_json
from bentos import api_keys
from bentos.access_settings import KEY_HASHES
from bentos.fallback import FALLBACK, MITIGATION
from bentos.supervised import WORKER
from orchestration import resources

if TYPE_CHECKING:
    from psutil import Process

LONGEST_SECONDS = 90
"""How long a service may take until it is ready."""
LOOK_SECONDS = 0.2
"""Between two looks at whether its workers are alive."""


@dataclass(frozen=True)
class Smoke:
    """What became of a smoke test.

    Parameters
    ----------
    product, version, model_digest, tag : str and int
        What was started.
    bento_digest : str
        The digest of all files of the bento.
    passed : bool
        Whether it was ready and the champion answered.
    told : str
        What it answered, or what went wrong.
    seconds : float
        Until it was ready.
    at : str
        When (UTC, ISO 8601).
    fallback : str, optional
        The digest of the fallback that was to answer in the place of the model, as a person wanted.
    """

    product: str
    version: int
    model_digest: str
    tag: str
    bento_digest: str
    passed: bool
    told: str
    seconds: float
    at: str
    fallback: str | None = None


def path_of(home: Home, product: str) -> Path:
    """Where the last smoke test of a product is kept."""
    return home.root / "releases" / product / "smoke.json"


def last(home: Home, product: str) -> Smoke | None:
    """The last smoke test of a product in a home; None where there was none."""
    path = path_of(home, product)
    return Smoke(**read_json(path)) if path.exists() else None


def bento_digest(folder: Path) -> str:
    """The digest of all files of a bento."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return value_digest([[path.relative_to(folder).as_posix(), file_digest(path)] for path in files])


def smoke(home: Home, product: str) -> Smoke:
    """Start the champion's bento on a free port of the loopback, ask about its own example, stop it, and keep the result.

    Raises
    ------
    LedgerError, PackagingError
        If nobody is champion, or the champion is not packaged; or a person wants its fallback to answer, and it has none.
    """
    champion = ledger.require_champion(home, product)
    tag = bento_package.served_tag(home, product)
    folder = bento_package.bento_folder(home, tag)
    before, entry = bento_digest(folder), fallback_entries.in_force(home, product)
    fallback = None if entry is None else _fallback(home, product, tag)
    began = time.monotonic()
    try:
        said, seconds = _asked(home, product, folder)
        passed, told = _as_champion(said, champion) if entry is None else _as_fallback(said, folder, entry)
    except (OSError, ValueError, KeyError, DigestError, ReleaseError) as error:
        passed, told, seconds = False, str(error), time.monotonic() - began
    found = Smoke(
        product,
        champion.version,
        champion.model_digest,
        tag,
        before,
        passed,
        told,
        round(seconds, 2),
        datetime.now(UTC).isoformat(timespec="seconds"),
        fallback,
    )
    write_json(path_of(home, product), asdict(found))
    return found


def _fallback(home: Home, product: str, tag: str) -> str:
    """The digest of a bento's fallback, which is to answer."""
    promised = bento_package.promise(home, tag)
    fallback_switch.named_in_pointer(home, product, promised)
    return str(promised[FALLBACK])


def _as_champion(said: Answered, champion: Entry) -> tuple[bool, str]:
    """Whether the champion answered, and what."""
    if said.model_digest != champion.model_digest:
        return False, f"model {said.model_digest[:12]} answers, champion is {champion.model_digest[:12]}"
    return True, json.dumps(said.answer)


def _as_fallback(said: Answered, folder: Path, entry: Entry) -> tuple[bool, str]:
    """Whether the package's fallback answered, with what it gives for the row that was asked."""
    from bentos.fallback_served import falling_back
    from bentos.served import Served

    package = Served.load(folder / "src" / "bentos")
    expected, why = falling_back(package, MITIGATION), f"the fallback answers {entry.told}"
    if said.model_digest != expected.model.digest:
        return False, f"model {said.model_digest[:12]} answers, though {why}. `loopline status` says what to do"
    _, (prediction,) = expected.predict([package.bodies.row(said.example["row"])])
    if said.answer["prediction"] != (wanted := json.loads(json.dumps(prediction))):
        return (
            False,
            f"{json.dumps(said.answer['prediction'])} is answered, the fallback's answer is {json.dumps(wanted)}; {why}",
        )
    return True, f"{json.dumps(said.answer)}: {why}"


def _asked(home: Home, product: str, folder: Path) -> tuple[Answered, float]:
    """What was answered, and the seconds until the service was ready."""
    port, began = _free_port(), time.monotonic()
    token, key = api_keys.make("smoke", "predict", datetime.now(UTC))
    hashes = api_keys.write(product, {key.id: key})
    environment = resources.smoke_environment(home, product, bento_package.pointer(home, product), {KEY_HASHES: hashes})
    program = Path(sys.executable).with_name("bentoml")
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [program, "serve", folder, "--host", "127.0.0.1", "--port", str(port)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            url, sent, workers = f"http://127.0.0.1:{port}", {"Authorization": f"Bearer {token}"}, _Workers(process.pid)
            while not example_request.is_ready(url):
                if process.poll() is not None or workers.one_ended() or time.monotonic() - began > LONGEST_SECONDS:
                    log.seek(0)
                    raise ReleaseError(f"{product}: its service is not ready; it says:\n{log.read()[-2000:]}")
                time.sleep(0.05)
            ready = time.monotonic() - began
            return example_request.ask_example(url, sent), ready
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class _Workers:
    """The workers of a service: its supervisor starts one that ended again, for ever, though what it cannot load stays so.

    Parameters
    ----------
    supervisor : int
        The process that starts them.
    """

    def __init__(self, supervisor: int) -> None:
        self._supervisor, self._looked = supervisor, 0.0
        self._seen: set[Process] = set()

    def one_ended(self) -> bool:
        """Whether a worker that was there has ended."""
        import psutil

        if time.monotonic() - self._looked < LOOK_SECONDS:
            return False
        self._looked = time.monotonic()
        with suppress(psutil.Error):
            for child in psutil.Process(self._supervisor).children():
                with suppress(psutil.Error):
                    if any(part.startswith(WORKER) for part in child.cmdline()):
                        self._seen.add(child)
        return any(not _is_alive(worker) for worker in self._seen)


def _is_alive(process: Process) -> bool:
    import psutil

    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
