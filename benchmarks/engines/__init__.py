"""What it costs that an engine calls the stages, and how far one machine goes: ``make bench-engines``."""
