"""ssl runs show: everything that is recorded of a run. Imports no torch."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import yaml

from sslcli.console.tables import print_rows
from sslcli.files import Dumper
from sslcli.options.annotations import Format, RunArgument
from sslcli.options.command import Command
from sslcli.options.project_folder import open_registry
from sslcli.runs.selection import state_of


@dataclass(frozen=True, kw_only=True)
class RunsShow(Command):
    """Show everything that is recorded of a run."""

    only_reads: ClassVar[bool] = True
    run: RunArgument = "latest"
    format: Format = "table"


def run(command: RunsShow) -> None:
    """Print a run's record, as YAML or in another format."""
    registry = open_registry(command)
    record = registry.load(registry.find(command.run))
    content = {key: value for key, value in asdict(record).items() if value not in (None, {}, [])}
    content["status"] = state_of(registry, record)
    if command.format == "table":
        print(yaml.dump(content, Dumper=Dumper, sort_keys=False, allow_unicode=False, width=120), end="")
    elif command.format == "json":
        print(json.dumps(content, indent=2))
    else:
        rows = [{"field": name, "value": value} for name, value in _flat(content)]
        print_rows(rows, {"field": "field", "value": "value"}, style=command.format)


def _flat(content: Any, prefix: str = "") -> list[tuple[str, Any]]:
    """Nested mappings and lists as (dotted name, value) pairs."""
    if not isinstance(content, (dict, list)):
        return [(prefix, content)]
    items = content.items() if isinstance(content, dict) else enumerate(content)
    return [pair for key, value in items for pair in _flat(value, f"{prefix}.{key}" if prefix else str(key))]
