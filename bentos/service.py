"""The bento's entry: BentoML packs, starts and supervises; `bentos.app` answers.

It reads everything it needs from the files beside it in the bento: `model/` and `promoted.json`, the promise of which
digest that folder must have. It refuses to start when they disagree.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bentoml

from bentos.access_settings import AccessSettings
from bentos.log_encryption import LOG_KEY, PublicKey
from bentos.online_store import opened
from bentos.pseudonyms import VARIABLE
from bentos.served import Served

if TYPE_CHECKING:
    from starlette.types import ASGIApp

HERE = Path(__file__).resolve().parent
POINTER, LOG = "LOOPLINE_CHAMPION", "LOOPLINE_PREDICTION_LOG"
"""The variables that name the pointer to follow and the folder of the prediction log."""
PROMISE: dict[str, Any] = json.loads((HERE / "promoted.json").read_text(encoding="utf-8"))
PUBLIC_KEY = PublicKey.read(text) if (text := os.environ.get(LOG_KEY)) else None
"""What the prediction log is encrypted for; read where the module is loaded, so that no service starts that cannot."""
ONLINE = None if PROMISE.get("online") is None else opened(PROMISE["online"], PROMISE["product"], os.environ)
"""Where features are looked up by key; opened where the module is loaded, so that no service starts that cannot."""
SETTINGS = AccessSettings.of(os.environ, PROMISE["product"])
"""Who may ask; read where the module is loaded, so that a service that nobody asked to be open does not even start."""


class DirectService(bentoml.Service[Any]):
    """A service whose application is ours alone.

    BentoML's own layers around each request cost more than the model: tracing, a timer that outlives its request, metrics.
    """

    def to_asgi(self, is_main: bool = True) -> ASGIApp:  # noqa: ARG002, FBT001, FBT002 - BentoML's signature
        """The application of one worker."""
        workers = PROMISE["workers"]
        shared = Path(tempfile.gettempdir()) / f"loopline-metrics-{os.getppid()}" if workers > 1 else None
        if shared is not None:
            # the workers have one parent, and so one folder; prometheus_client reads this when it is imported
            shared.mkdir(exist_ok=True)
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(shared)
        else:
            # BentoML names a folder always; counting in shared memory takes longer, and one worker shares it with nobody
            os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
        # onnxruntime reads this when it is imported
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        from bentos.app import ModelApp
        from bentos.direct_protocol import answer_directly
        from bentos.log_process import LogProcess
        from bentos.metrics import Metrics
        from bentos.supervised import end_with_supervisor

        end_with_supervisor()
        answer_directly()
        metrics = Metrics(shared)
        pointer, log, secret = (Path(path) if (path := os.environ.get(name)) else None for name in (POINTER, LOG, VARIABLE))
        app = ModelApp(
            Served.load(HERE),
            pointer=pointer,
            log_folder=log,
            secret_file=secret,
            public_key=PUBLIC_KEY,
            metrics=metrics,
            log_type=LogProcess,
            online=ONLINE,
            static=Path(bentoml.__file__).parent / "_internal" / "server" / "static_content",
        )
        # the log's thread may hold the interpreter for as long as an answer takes: at Python's 5 ms, one answer in a hundred
        # waits 20 ms for it
        sys.setswitchinterval(0.0002)
        return SETTINGS.guard(app.asgi(), metrics, workers)


@bentoml.service(name=PROMISE["product"], workers=PROMISE["workers"], service_class=DirectService)
class ModelService:
    """Answers from the promoted model, and from no other."""
