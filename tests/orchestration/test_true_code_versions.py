"""Code versions are true: a module whose code runs while an asset is made is in that asset's code version."""

from __future__ import annotations

import sys
import threading
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from assets.evaluation.examinations import examinations_of
from assets.storage import code_version as versions
from assets.storage.home import Home
from orchestration.components import product_assets
from tests.shop import customers, product, run_products


class Traced:
    """Which modules of ours ran while each asset was made, and which are in its code version."""

    def __init__(self) -> None:
        self.ran: dict[str, set[str]] = defaultdict(set)
        self.known: dict[str, set[str]] = {}
        self._modules: tuple[str, ...] = ()

    def code_version(self, *modules: str, **more: Any) -> str:
        """Remember the modules of the asset that is declared next."""
        self._modules = modules
        return versions.code_version(*modules, **more)

    def stage_asset(self, body: Callable[[Home], Any], *, spec: Any, **more: Any) -> Any:
        """The asset, whose body is traced."""
        name = spec.key.path[-1]
        self.known[name] = {line.split()[0] for line in versions._closure(*self._modules)}

        def called(frame: FrameType, _: str, __: Any) -> None:
            module = frame.f_globals.get("__name__", "")
            if module.startswith(("assets.", "bentos.")):
                self.ran[name].add(module)

        def traced(home: Home) -> Any:
            before = sys.gettrace()
            sys.settrace(called)
            threading.settrace(called)
            try:
                return body(home)
            finally:
                sys.settrace(before)
                threading.settrace(None)  # type: ignore[arg-type]

        return STAGE_ASSET(traced, spec=spec, **more)


STAGE_ASSET = product_assets.stage_asset
NO_CONTENT = ("assets.spec", "assets.errors", "assets.processes.companion")
"""How a declaration is read is in the version by its values; where a function is called changes nothing that it gives."""


def test_what_runs_while_an_asset_is_made_is_in_its_code_version(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For every asset of a product. How a model is made is in the version of the model, not of those who look at it."""
    traced = Traced()
    monkeypatch.setattr(product_assets, "stage_asset", traced.stage_asset)
    monkeypatch.setattr(product_assets, "code_version", traced.code_version)
    customers(1200).to_csv(tmp_path / "customers.csv", index=False)
    run_products(home, tmp_path, product("churn"))
    assert len(traced.ran) >= 17
    for name, ran in traced.ran.items():
        missing = sorted(module for module in ran - traced.known[name] if not module.startswith(NO_CONTENT))
        assert not missing, f"{name}: a change of {missing} would leave it as it is"
    for name in (*examinations_of(product("churn")), "challenger"):
        assert "assets.training.onnx_export" not in traced.known[name], f"{name} looks at what is made, not at how"
