"""`python -m orchestration` is `loopline`."""

from orchestration.cli import main

main()
