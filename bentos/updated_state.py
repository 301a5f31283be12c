"""Updated state: the served model with the weights that labels have taught it since it was promoted."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from bentos.row_graph import row_graph_in
from bentos.runtime import TamperedModelError, session_of
from bentos.served import UPDATED, Served


def updated(served: Served, folder: Path, record: dict[str, Any]) -> Served:
    """The model by the state that a record names; one of another model is of the champion before, and changes nothing.

    Parameters
    ----------
    served : Served
        As it was promoted.
    folder : Path
        Where the folders of states lie.
    record : dict
        Which state is to be served, and the digests of its graphs; without a ``folder``, the promoted one.

    Raises
    ------
    TamperedModelError
        If a graph is not the one that the record names.
    """
    if record["model_digest"] != served.model.digest:
        return served
    promise = {**served.promise, UPDATED: record}
    if record["folder"] is None:
        return replace(served, promise=promise)
    inside = folder / record["folder"]
    content = (inside / "model.onnx").read_bytes()
    if (found := hashlib.sha256(content).hexdigest()) != record["graph_digest"]:
        raise TamperedModelError(
            f"{inside / 'model.onnx'} has digest {found[:12]}, told was {record['graph_digest'][:12]}. It is not loaded: "
            f"delete {inside} and run `loopline learn-online {served.promise['product']}`."
        )
    model = replace(served.model, session=session_of(content))
    changed = replace(served, promise=promise, model=model, row_graph=row_graph_in(inside, record, model))
    changed.warm()
    return changed
