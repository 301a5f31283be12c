"""What a home survives: full disks, kills, power cuts, clocks set back, read-only folders: ``make bench-faults``."""
