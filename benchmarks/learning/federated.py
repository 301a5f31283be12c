"""The flights of 16 carriers, which are clients that show their rows to nobody.

`flight_delay` by a logistic regression: January to August train, November and December test. *Central* is the same linear model
of all rows at one place, *local* that of each carrier alone; areas under the ROC curve before calibration. Which four of the
clients lie is drawn four times, and once it is the four with the most rows. With privacy, each client adds the noise itself;
epsilon is by our accountant, and beside it by two of Google's dp-accounting: Renyi again, and privacy loss distributions, which
are tighter. Seconds are of the processor; those of processes are by the clock, with 16 clients, a coordinator and Flower's
server on one machine.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from assets.methods.federated.plan import Plan, Privacy, usual_clip
from assets.methods.federated.rounds import Federated
from assets.methods.privacy_accountant import NoisySums, epsilon_of
from assets.methods.robust_means import Robust
from assets.storage.home import REPOSITORY, Home
from assets.training.federated.processes import ENVIRONMENT, by_processes
from benchmarks.learning.federated_flights import Flights, Row, lying

DRAWS, LIARS = 4, 4
DELTA = 1e-6
EPSILONS = (1.0, 3.0, 8.0)
PROCESS_ROUNDS = 3
SECOND_OPINION = REPOSITORY / "benchmarks" / "learning" / "second_accountant.py"


def rows() -> Iterator[Row]:
    """All figures of the section."""
    flights = Flights.read()
    began = time.process_time()
    central = flights.area(flights.scores(flights.alone(flights.whole)))
    yield "rows that train, that test; clients", f"{len(flights.owners):,}, {len(flights.test_owners):,}; 16", "16 carriers"
    yield "central", f"{central:.4f} ({time.process_time() - began:.0f} s)", ""
    yield from _strategies(flights, central)
    joined = flights.scores(flights.federated(flights.plan))
    yield from flights.beside_alone(
        joined, lambda rows: flights.scores(flights.alone(rows)), "the federated one", "less than federated"
    )
    yield from _lied_to(flights)
    yield from _private(flights, central)
    yield from _processes(flights)


def _strategies(flights: Flights, central: float) -> Iterator[Row]:
    for name, proximal in (("FedAvg", 0.0), ("FedProx, 0.1", 0.1)):
        plan = replace(flights.plan, proximal=proximal)
        members = flights.clients(plan)
        began = time.process_time()
        area = flights.area(flights.scores(flights.federated(plan, members)))
        spent = time.process_time() - began
        told = f"{area:.4f}, {area - central:+.4f} against central"
        yield f"{name}: {plan.rounds} rounds of {plan.local_steps} steps", f"{told} ({spent:.0f} s)", "within 0.005 of central"
        if not proximal:
            yield "rounds a second, grid in one process", f"{plan.rounds / spent:.1f}", ""


def _lied_to(flights: Flights) -> Iterator[Row]:
    """Four of sixteen clients lie: drawn some times, and the four with the most rows."""
    random = np.random.default_rng(20)
    drawn = [sorted(random.choice(flights.carriers, LIARS, replace=False).tolist()) for _ in range(DRAWS)]
    drawn.append(sorted(flights.carriers[:LIARS]))
    honest = flights.area(flights.scores(flights.federated(flights.plan)))
    members = flights.clients(flights.plan)
    without = [flights.federated(flights.plan, {n: one for n, one in members.items() if n not in liars}) for liars in drawn]
    absent = [flights.area(flights.scores(found)) for found in without]
    told = f"{np.mean(absent):.4f} on average, {min(absent):.4f} at worst; loses {honest - min(absent):.4f} at most"
    yield "mean, these 4 of 16 are absent", told, ""
    hows: tuple[Robust, ...] = ("mean", "trimmed_mean", "krum")
    for how in hows:
        plan = replace(flights.plan, robust=how)
        clean = flights.federated(plan)
        told = f"{flights.area(flights.scores(clean)):.4f}; far from all others are {', '.join(clean.odd) or 'none'}"
        yield f"{how}, nobody lies", told, ""
        for factor in (-10.0, -1.0):
            found = [_with_liars(flights, plan, liars, factor) for liars in drawn]
            areas = np.array([flights.area(flights.scores(item)) for item in found])
            named = sum(set(liars) <= set(item.odd) for item, liars in zip(found, drawn, strict=True))
            lost = honest - areas
            told = (
                f"{areas.mean():.4f} on average, {areas.min():.4f} at worst; loses {lost.mean():.4f}, at most {lost.max():.4f}"
            )
            asked = "loses at most 0.01" if how != "mean" else "collapses" if factor < -1 else ""
            yield f"{how}, 4 of 16 tell their update times {factor:g}", f"{told}; all named {named} of {len(drawn)}", asked


def _with_liars(flights: Flights, plan: Plan, liars: list[str], factor: float) -> Federated:
    members = flights.clients(plan)
    return flights.federated(plan, {**members, **{name: lying(members[name], factor) for name in liars}})


def _private(flights: Flights, central: float) -> Iterator[Row]:
    clip = usual_clip(len(flights.plan.numbers) + len(flights.plan.categories))
    for epsilon in EPSILONS:
        privacy = Privacy.planned(epsilon, DELTA, clip, 1.0, flights.plan.rounds * flights.plan.local_steps)
        areas = [flights.area(flights.scores(flights.federated(_seeded(flights.plan, privacy, seed)))) for seed in range(5)]
        told = f"{np.mean(areas):.4f} ({min(areas):.4f} to {max(areas):.4f}), {np.mean(areas) - central:+.4f} against central"
        yield f"epsilon {epsilon:g}, delta {DELTA:g}: five draws of noise", told, "curve"
    for sums in (
        [NoisySums(privacy.noise, 1.0, 120), NoisySums(privacy.histogram_noise, 1.0, 1)],
        [NoisySums(1.0, 0.01, 1000)],
        [NoisySums(2.0, 0.2, 120), NoisySums(5.0, 1.0, 1)],
    ):
        told = "; ".join(f"{item.times} of noise {item.noise:.3g}, sampling {item.sampling:g}" for item in sums)
        asked = json.dumps({"delta": DELTA, "sums": [[item.noise, item.sampling, item.times] for item in sums]})
        printed = subprocess.run(
            [ENVIRONMENT / "bin" / "python", SECOND_OPINION, asked], capture_output=True, text=True, check=True
        ).stdout
        other = json.loads(printed)
        ours = epsilon_of(sums, DELTA)
        yield (
            f"accountant: {told}",
            f"ours {ours:.6f}, Renyi {other['rdp']:.6f}, loss distribution {other['pld']:.4f}",
            "no less than Renyi's, within 2 %",
        )


def _seeded(plan: Plan, privacy: Privacy, seed: int) -> Plan:
    return replace(plan, privacy=privacy, seed=seed)


def _processes(flights: Flights) -> Iterator[Row]:
    """A few rounds by Flower, and the same by the grid."""
    plan = replace(flights.plan, rounds=PROCESS_ROUNDS)
    grid = flights.federated(plan)
    with tempfile.TemporaryDirectory() as folder:
        found, seconds = by_processes(Home(Path(folder)), plan, flights.clients(plan), seconds=300.0)
    assert isinstance(found, Federated)  # noqa: S101 - for the type checker: the plan is of a linear model
    asked = PROCESS_ROUNDS + 4
    difference = float(np.abs(found.weights - grid.weights).max())
    yield "processes: the same model as the grid", f"largest difference of a weight {difference:.2g}", "at most 1e-9"
    told = f"{asked / seconds:.3f} ({asked} questions to 16 processes in {seconds:.0f} s by the clock)"
    yield "questions a second, 16 processes by Flower over TLS", told, ""
