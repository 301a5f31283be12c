"""End with code 3 if the gate refuses a product's last model: ``loopline status --json | python .ci/gate.py PRODUCT``."""

from __future__ import annotations

import json
import sys


def main() -> None:
    """Read the status, tell who serves, and refuse where a refusal is open."""
    product = sys.argv[1]
    found = next((item for item in json.load(sys.stdin)["products"] if item["product"] == product), None)
    if found is None or found["champion_version"] is None:
        sys.exit(f"{product}: nobody serves")
    sys.stdout.write(f"{product}: version {found['champion_version']} serves, {found['champion_digest'][:12]}\n")
    if found["open_refusal"]:
        sys.stdout.write(f"the last model was refused: {found['open_refusal']}\n")
        sys.exit(3)


if __name__ == "__main__":
    main()
