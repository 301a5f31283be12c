"""`loopline export`: the declared loop as files for other engines, whose tasks call `loopline step`."""

from __future__ import annotations

import click

from orchestration.cli import export_kubeflow, export_kubernetes


@click.group()
def export() -> None:
    """Write the loop for another engine, which then starts `loopline step`."""


for command in (*export_kubernetes.COMMANDS, export_kubeflow.kubeflow):
    export.add_command(command)
