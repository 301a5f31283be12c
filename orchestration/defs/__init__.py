"""What this repository declares: a folder for each thing, with one `defs.yaml`."""
