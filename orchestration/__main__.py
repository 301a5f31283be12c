"""`python -m orchestration` is `loopline`, and so is the command: Ctrl-C ends it without a traceback while it is imported."""

import signal


def main() -> None:
    """Import the command line, and run it."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:  # else it is ignored, as in a shell's background
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from orchestration.cli.main import main as run

    signal.signal(signal.SIGINT, before)
    run()


if __name__ == "__main__":
    main()
