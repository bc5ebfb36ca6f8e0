"""Judging simulated coverage."""

from collections.abc import Callable

import pytest
from scipy.stats import binom


@pytest.fixture(scope="session")
def covers() -> Callable[[int, int, float], bool]:
    """Whether ``hits`` of ``trials`` is a plausible count for a bound that covers with at least ``nominal``.

    The seeds are fixed, so that no test flickers. The tolerance lets a right method pass under most seeds: a
    count this low has a probability below 0.5 % if the coverage is ``nominal``.
    """

    def judge(hits: int, trials: int, nominal: float) -> bool:
        return bool(binom.cdf(hits, trials, nominal) > 0.005)

    return judge
