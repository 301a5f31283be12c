"""Run a module in a process that holds the slow libraries, from a shell: ``python fork_client.py SOCKET MODULE ARGUMENTS...``.

What it prints, and its exit code, are this process's; its folder and its environment are, too. See `tests/forks.py`.
"""

from __future__ import annotations

import json
import os
import socket
import sys


def main(place: str, *module: str) -> int:
    """Ask the process that listens there to fork."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(place)
        socket.send_fds(connection, [b"."], [1, 2])
        with connection.makefile("rw", encoding="utf-8") as answers:
            request = {"module": module, "folder": os.getcwd(), "environment": dict(os.environ)}  # noqa: PTH109 - quick to start
            print(json.dumps(request), file=answers, flush=True)
            answers.readline()
            return int(answers.readline())


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
