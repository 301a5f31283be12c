"""What sets cost the service: one row a request, with sets by origin and without, by the same model of flights.

Two services alone with one worker, asked in turn as in docs/serving.md; the processor time of all of a server's processes for a
request is what counts, as it holds on a busy machine too.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

from assets.serving import bento_package
from assets.storage.home import Home
from assets.storage.publishing import read_json, write_json
from assets.training import training
from benchmarks.learning.conformal import declared, snapshot_of
from benchmarks.load import PORT, PRODUCT, Contender, champion_folders, in_turn
from bentos.runtime import Model, model_digest
from orchestration.resources import home_from_environment

SURE, PLAIN = "with sets", "without"
MOST = 0.05


def rows() -> list[tuple[str, str, str]]:
    """Figure, measured, and what is asked."""
    found = in_turn(_both)
    more = found.cost[SURE] / found.cost[PLAIN] - 1
    return [*found.rows(), ("processor time for a request, with sets against without", f"{more:+.1%}", f"at most {MOST:+.0%}")]


def _both(home: Home, scratch: Path) -> list[Contender]:
    """The champion's bento with another model in it, that has sets or has none."""
    _, bento = champion_folders(home)
    spec = declared(PRODUCT, uncertainty={"coverage": 0.9, "by": ["origin"]})
    with tempfile.TemporaryDirectory() as folder:
        trained = Home(Path(folder)).prepare()
        made = training.train(trained, spec, snapshot_of(home, trained, spec))
        return [_served(bento, made.folder, scratch / name, is_sure=name == SURE, name=name) for name in (SURE, PLAIN)]


def _served(bento: Path, model: Path, place: Path, *, is_sure: bool, name: str) -> Contender:
    shutil.copytree(bento, place)
    package = place / "src" / "bentos"
    for source in bento_package.sources():
        shutil.copyfile(source, package / source.name)
    own = place / "model"
    shutil.copytree(model, own)
    if not is_sure:
        write_json(
            own / "model.json", {key: value for key, value in read_json(own / "model.json").items() if key != "uncertainty"}
        )
    shutil.rmtree(package / "model")
    loaded = Model.load(own, model_digest(own))
    write_json(
        package / bento_package.PROMISE,
        {**read_json(package / bento_package.PROMISE), **bento_package.pack(loaded, own, package)},
    )
    row = {key: value for key, value in loaded.signature["background"][0].items() if value is not None}
    command = [sys.executable, "-m", "bentoml", "serve", str(place), "--port", str(PORT)]
    return Contender(name, command, "/predict", json.dumps({"row": row}).encode(), {})


if __name__ == "__main__":
    home_from_environment()
    for line in rows():
        print(*line, sep=" | ")
