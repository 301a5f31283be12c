"""The guard speaks where updates surely do worse, seldom where they do not, and goes on from its own numbers."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np

from assets.methods.update_guard import BLOCK, UpdateGuard, worse


def test_it_seldom_speaks_of_updates_that_do_no_worse() -> None:
    """At a confidence of 0.95, of 300 streams of 20,000 labels fewer than 5 % ever; their answers differ in noise alone."""
    random, spoken = np.random.default_rng(1), 0
    for _ in range(300):
        chances = random.uniform(0.05, 0.95, 20_000)
        labels = (random.random(20_000) < chances).astype(float)
        off = random.normal(0, 0.02, (2, 20_000))
        guard = UpdateGuard()
        spoken += guard.add(worse("binary", labels, chances + off[0], chances + off[1])) >= 20
    assert spoken <= 15


def test_it_speaks_of_updates_that_do_worse_from_some_moment_on() -> None:
    """Whatever came before: errors that are larger by a tenth, within 4,000 labels."""
    random = np.random.default_rng(2)
    labels = random.normal(0, 1, 30_000)
    before = labels + random.normal(0, 1, 30_000)
    after = np.where(np.arange(30_000) < 20_000, before, labels + 1.3 * (before - labels) + random.normal(0, 0.1, 30_000))
    guard = UpdateGuard()
    differences = worse("regression", labels, after, before)
    assert guard.add(differences[:20_000]) < 100
    assert guard.add(differences[20_000:24_000]) > 100


def test_in_parts_it_says_the_same() -> None:
    """To the last bit, from numbers that were written down."""
    differences = np.random.default_rng(3).uniform(-1, 1, 5 * BLOCK + 7)
    whole, parts = UpdateGuard(), UpdateGuard()
    largest = whole.add(differences)
    seen = []
    for part in np.array_split(differences, 13):
        parts = UpdateGuard(**asdict(parts))
        seen.append(parts.add(part))
    assert asdict(parts) == asdict(whole)
    assert max(seen) == largest
