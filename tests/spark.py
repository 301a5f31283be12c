"""Spark in tests: skipped where it is not set up, and a Java that only tells its version, for what is refused before Spark starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from assets.errors import EngineError
from orchestration import resources
from orchestration.operations.engines import spark_engine


def needs_spark() -> Path:
    """Skip a test where there is no Spark; its Python."""
    try:
        return spark_engine.require_spark(resources.spark_environment())
    except EngineError as error:
        pytest.skip(f"{error}; it sets it up and runs this test")


def seem_set_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Spark seem to be set up; it cannot be started."""
    java, python = folder / "java", folder / "python"
    java.write_text("#!/bin/sh\necho 'openjdk version \"17.0.2\"' >&2\n")
    java.chmod(0o755)
    python.touch()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr(spark_engine, "PYTHON", python)
