"""`loopline` where Python keeps bytecode in a folder: ``python -m tests.orchestration.cli.keeping_command FOLDER ARGUMENTS…``."""

from __future__ import annotations

import sys

from orchestration.cli.main import main

if __name__ == "__main__":
    sys.dont_write_bytecode, sys.pycache_prefix = False, sys.argv[1]
    sys.argv[1:] = sys.argv[2:]
    main()
