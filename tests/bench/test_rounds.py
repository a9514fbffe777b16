from __future__ import annotations

import random
from statistics import median

from tests.bench.rounds import Sample, Series, Spread, spread


def _sample(cpu_s: float) -> Sample:
    return Sample(1.0, cpu_s, 0.0, 0.0, [])


def test_few_values_lie_between_the_least_and_the_greatest() -> None:
    assert spread([3.0, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0)
    assert spread([5.0]) == Spread(5.0, 5.0, 5.0)


def test_the_bounds_are_the_ranks_of_the_sign_test() -> None:
    # Ten values: 2 · (1 + 10) / 2**10 = 0.02 of the cases lie outside of the second ones.
    assert spread(range(1, 11)) == Spread(5.5, 2, 9)


def test_the_interval_has_the_true_median_in_most_cases() -> None:
    chance = random.Random(7)
    covered = 0
    for _ in range(400):
        found = spread(chance.gauss(1.0, 0.1) for _ in range(15))
        covered += found.low <= 1.0 <= found.high
    assert 370 <= covered < 400


def test_ratios_are_those_of_a_round_to_the_mean_of_the_bases() -> None:
    series = Series({
        "on": [_sample(3.0), _sample(6.0)],
        "off": [_sample(1.0), _sample(2.0)],
        "off too": [_sample(2.0), _sample(2.0)],
    })  # fmt: skip

    def of(sample: Sample) -> float:
        return sample.cpu_s

    assert series.ratios("on", ("off", "off too"), of) == [2.0, 3.0]
    assert series.ratio("on", "off", of) == median([3.0, 3.0])
