"""`python -m orchestration` is `loopline`."""

from orchestration.cli import main

if __name__ == "__main__":
    main()
