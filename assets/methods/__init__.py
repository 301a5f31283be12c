"""Statistics: functions of arrays and frames, parameters and a seed. No file, no clock, no global state."""
