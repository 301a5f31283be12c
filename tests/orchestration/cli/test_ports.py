"""Ports: a taken one is named with the next free one, and each product has its own."""

from __future__ import annotations

import socket

import pytest

from assets.errors import HomeError
from orchestration import declarations, resources
from orchestration.cli.ports import UI, require_free


def test_a_taken_port_is_refused_with_the_next_free_one() -> None:
    """Which is free indeed."""
    with socket.socket() as first:
        first.bind(("127.0.0.1", 0))
        first.listen()
        port = first.getsockname()[1]
        with pytest.raises(HomeError, match=rf"port {port} of 127.0.0.1 .*use `loopline serve churn --port (\d+)`") as told:
            require_free("127.0.0.1", port, "loopline serve churn --port {}")
        free = int(str(told.value).rstrip("`.").rpartition(" ")[2])
        assert free > port
        require_free("127.0.0.1", free, "")
    require_free("127.0.0.1", port, "")


def test_no_two_services_and_no_interface_want_one_port() -> None:
    """By the declarations of this repository."""
    ports = [declarations.service_port(spec.name) for spec, _ in declarations.products()]
    assert len(ports) == len({*ports, UI, resources.PAGES_PORT}) - 2 >= 2
