"""The simulated experiments are what they say, and a section that is measured again leaves the others of the page alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from assets.methods import effects
from benchmarks.experiments import __main__ as bench
from benchmarks.experiments import simulated
from benchmarks.experiments.canary import REQUESTS
from benchmarks.measured_page import MeasuredPage


def test_simulated_money_has_the_moments_that_the_bench_compares_with() -> None:
    """Mean and variance over many units, and the skewness by rows."""
    random = np.random.default_rng(1)
    mean, variance, skewness = simulated.money_moments(0.2, 0.5)
    found = simulated.money(random, 2_000, 0.2, 0.5, looks=50, runs=20)
    totals = found.running()
    assert totals.mean[-1, :, 0].mean() == pytest.approx(mean, rel=0.01)
    assert totals.variance[-1].mean() == pytest.approx(variance, rel=0.02)
    rows = np.where(random.random(400_000) < 0.2, random.lognormal(0, 0.5, 400_000), 0.0)
    assert ((rows - rows.mean()) ** 3).mean() / rows.std() ** 3 == pytest.approx(skewness, rel=0.05)


def test_a_simulated_canary_counts_all_requests_so_far() -> None:
    """In its share, and with its errors."""
    treated, control = simulated.canary(np.random.default_rng(1), REQUESTS, 0.05, (0.5, 0.1), looks=40, runs=100)
    assert ((treated.rows + control.rows)[-1] == 40 * REQUESTS).all()
    assert (treated.rows[-1] / (40 * REQUESTS)).mean() == pytest.approx(0.05, abs=0.002)
    assert (treated.ones[-1] / treated.rows[-1]).mean() == pytest.approx(0.5, abs=0.02)
    assert (np.diff(control.ones, axis=0) >= 0).all()


def test_simulated_normal_outcomes_have_a_variance_of_one() -> None:
    """And their standard errors are those of the units."""
    effect = effects.mean(simulated.normal(np.random.default_rng(1), 100, 2.0, looks=10, runs=500).running())
    assert effect.error[-1].mean() == pytest.approx(1 / np.sqrt(1000), rel=0.01)
    assert effect.value[-1].std() == pytest.approx(1 / np.sqrt(1000), rel=0.1)


def test_a_section_takes_its_place_in_the_page_and_others_stay(tmp_path: Path) -> None:
    """In the order of the sections, whichever was measured last."""
    page = MeasuredPage(tmp_path / "experiments.md", bench.TOP, bench.SECTIONS)
    for title, text in (("Speed", "fast\n"), ("Coverage", "much\n"), ("Speed", "faster\n")):
        page.write(title, text)
    written = page.path.read_text(encoding="utf-8")
    assert written.startswith(bench.TOP)
    assert written.removeprefix(bench.TOP) == "\n## Coverage\n\nmuch\n\n## Speed\n\nfaster\n"


def test_the_page_has_every_section_and_keeps_what_is_asked_of_shares() -> None:
    """Of the figures that were measured last: percentages against their limits."""
    page = bench.PAGE.read_text(encoding="utf-8")
    assert [line.removeprefix("## ") for line in page.splitlines() if line.startswith("## ")] == list(bench.SECTIONS)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("| ")]
    asked = [row for row in rows if len(row) == 3 and row[2].startswith(("at most", "at least")) and row[2].endswith("%")]
    assert len(asked) >= 20
    for name, measured, limit in asked:
        share, bound = float(measured.split(" %")[0]), float(limit.split()[2])
        assert share <= bound if limit.startswith("at most") else share >= bound, name
