"""How often the 95% intervals of `trainer.intervals` hold the truth, on simulated patients whose truth is known.

    python tests/benchmarks/interval_coverage.py [--runs N]

Patients have one to four images; whether the images of one patient go wrong together is drawn from a beta distribution
(correlation 0 or 0.4). Each line compares the rule of `trainer.intervals` with the plain percentile bootstrap, which
only gives way where nobody is wrong, and with Wilson's interval that takes patients as its n.
"""

import argparse

import numpy as np

from edge.interval import wilson
from trainer import intervals
from trainer.intervals import Bootstrap

PATIENTS = (60, 150, 400)
ERROR_RATES = (0.005, 0.01, 0.02, 0.05, 0.1)
CORRELATIONS = (0.0, 0.4)
RESAMPLES = 500


def simulated(patients: int, rate: float, correlation: float, generator: np.random.Generator):
    """Patient of each image, and whether the decision was right."""
    sizes = generator.choice([1, 1, 1, 2, 3, 4], patients)
    rates = np.full(patients, rate)
    if correlation:
        spread = 1 / correlation - 1
        rates = generator.beta(rate * spread, (1 - rate) * spread, patients)
    owner = np.repeat(np.arange(patients), sizes)
    return owner, generator.random(len(owner)) >= rates[owner]


def interval_by(rule: str, owner: np.ndarray, right: np.ndarray):
    """One rule's interval of the share of right decisions."""
    if rule == "wilson":
        units = int(owner.max()) + 1
        return wilson(right.mean() * units, units)
    intervals.FEWEST_DISSENTERS = 1 if rule == "plain" else 5  # type: ignore[misc]
    return Bootstrap([str(number) for number in owner], resamples=RESAMPLES).share(right, np.ones_like(right)).interval


def main() -> None:
    """Print a table of coverages and each rule's worst."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    runs = parser.parse_args().runs
    rules = ("ours", "plain", "wilson")
    worst = dict.fromkeys(rules, 1.0)
    print(f"{runs} runs of {RESAMPLES} resamples each\npatients  errors  correlation  " + "  ".join(rules))
    for patients in PATIENTS:
        for rate in ERROR_RATES:
            for correlation in CORRELATIONS:
                generator = np.random.default_rng(0)
                held = dict.fromkeys(rules, 0)
                for _ in range(runs):
                    owner, right = simulated(patients, rate, correlation, generator)
                    for rule in rules:
                        low, high = interval_by(rule, owner, right)
                        held[rule] += low <= 1 - rate <= high
                shares = {rule: count / runs for rule, count in held.items()}
                worst = {rule: min(worst[rule], shares[rule]) for rule in rules}
                figures = "  ".join(f"{shares[rule]:.3f}" for rule in rules)
                print(f"{patients:8}  {rate:6.1%}  {correlation:11.1f}  {figures}", flush=True)
    print("worst:", ", ".join(f"{rule} {share:.3f}" for rule, share in worst.items()))


if __name__ == "__main__":
    main()
