"""A second accountant: the epsilon of noisy sums by Google's dp-accounting.

It runs in `.venv-flower`, and imports nothing of ours. It is given ``{"delta": …, "sums": [[noise, sampling, times], …]}`` and
prints the epsilon by Renyi divergences and by privacy loss distributions, as JSON.
"""

from __future__ import annotations

import json
import sys


def main(asked: str) -> None:
    """Print both."""
    import dp_accounting
    from dp_accounting.pld import PLDAccountant
    from dp_accounting.rdp import RdpAccountant

    given, told = json.loads(asked), {}
    for name, kind in (("rdp", RdpAccountant), ("pld", PLDAccountant)):
        accountant = kind()
        for noise, sampling, times in given["sums"]:
            event = dp_accounting.GaussianDpEvent(noise)
            sampled = event if sampling == 1 else dp_accounting.PoissonSampledDpEvent(sampling, event)
            accountant.compose(sampled, times)
        told[name] = float(accountant.get_epsilon(given["delta"]))
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1])
