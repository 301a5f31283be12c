"""The client: it answers tasks of its own rows, by its own plan, and nothing else.

A node's configuration names the client and the files of its plan, its rows (arrays ``numbers``, ``categories`` and ``labels``
in one .npz) and, if its noise is to be the same each time, its key. What it was asked is kept in the context, as each message
is answered by a process of its own.
"""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import ConfigRecord, Context, Message
from flwr.client.mod import secaggplus_mod
from flwr.clientapp import ClientApp
from flwr.common import Code, FitRes, Status, ndarrays_to_parameters, parameters_to_ndarrays
from flwr.compat.common.recorddict_compat import fitres_to_recorddict, recorddict_to_fitins

from assets.methods.federated.client import Client
from assets.methods.federated.encoding import ClientRows
from assets.methods.federated.plan import Plan
from loopline_federation.messages import packed, plan_digest, unpacked

app = ClientApp()
ASKED = "asked"


@app.query()  # type: ignore[untyped-decorator]
def answer(message: Message, context: Context) -> Message:
    """Answer one task."""
    said: dict[str, Any] = dict(context.node_config)
    task, plan, told = unpacked(message.content)
    own = plan_digest(said["plan"])
    if task == "name":
        return Message(packed(said["client"], own, {}), reply_to=message)
    if plan != own:
        raise ValueError(f"{said['client']} takes part by plan {own[:12]}, not by {plan[:12]}")
    client = _client(said, context)
    if client.plan.is_masked and task == "update":
        raise ValueError("updates leave this client masked only")
    answered = client.answer(task, told)
    context.state[ASKED] = ConfigRecord({ASKED: client.asked})
    return Message(packed(task, own, answered), reply_to=message)


@app.train(mods=[secaggplus_mod])  # type: ignore[untyped-decorator]
def masked(message: Message, context: Context) -> Message:
    """Answer one round; Flower's SecAgg+ masks the answer before it leaves this process."""
    said: dict[str, Any] = dict(context.node_config)
    given = recorddict_to_fitins(message.content, keep_input=True)
    own = plan_digest(said["plan"])
    if given.config["plan"] != own:
        raise ValueError(f"{said['client']} takes part by plan {own[:12]}, not by another")
    names = json.loads(str(given.config["names"]))
    client = _client(said, context)
    update = client.answer("update", dict(zip(names, parameters_to_ndarrays(given.parameters), strict=True)))["update"]
    context.state[ASKED] = ConfigRecord({ASKED: client.asked})
    answer = FitRes(Status(Code.OK, ""), ndarrays_to_parameters([update]), len(client.rows), {})
    return Message(fitres_to_recorddict(answer, keep_input=False), reply_to=message)


def _client(said: dict[str, Any], context: Context) -> Client:
    """The client of this node, which recalls what it was asked."""
    plan = Plan.from_json(json.loads(Path(said["plan"]).read_text(encoding="utf-8")))
    with np.load(said["rows"], allow_pickle=False) as arrays:
        rows = ClientRows(arrays["numbers"], arrays["categories"], arrays["labels"])
    key = Path(said["noise-key"]).read_bytes() if said.get("noise-key") else secrets.token_bytes(32)
    asked = list(context.state[ASKED][ASKED]) if ASKED in context.state else []
    return Client(said["client"], plan, rows, key, asked)
