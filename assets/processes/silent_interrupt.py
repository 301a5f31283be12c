"""Imported first by a process that others are forked from: Ctrl-C ends it without a traceback while it imports the rest."""

import signal

signal.signal(signal.SIGINT, signal.SIG_DFL)
