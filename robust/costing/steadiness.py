"""Whether a host was at rest while calls were timed."""

import math

import numpy as np

from robust.evidence import SelfCheck
from robust.types import FloatArray

#: Runs test: how rarely runs that do not follow each other would look so.
_RARE = 1e-3
_FEWEST = 20


def steadiness(times: FloatArray) -> SelfCheck:
    """Whether slow and fast calls alternate as they would by chance (runs above and below the median).

    Args:
        times: Seconds of each call, in order.

    Source: Wald and Wolfowitz (1940), Annals of Mathematical Statistics 11:147.
    """
    above = times > np.median(times)
    high, low = int(above.sum()), int((~above).sum())
    runs, n = 1 + int(np.count_nonzero(np.diff(above))), len(times)
    if n < _FEWEST or not high:
        reason, passed = f"{n} calls are too few to tell whether times follow a trend", True
    else:
        expected = 1 + 2 * high * low / n
        variance = 2 * high * low * (2 * high * low - n) / (n * n * (n - 1))
        p = 0.5 * math.erfc((expected - runs) / math.sqrt(2 * variance))
        passed = p >= _RARE
        halves = np.median(times[: n // 2]), np.median(times[n // 2 :])
        told = f"medians of the first and second half are {halves[0]:.3g} s and {halves[1]:.3g} s"
        seen = "no trend that is beyond chance" if passed else "calls follow a trend"
        reason = f"{seen} (p = {p:.2g}, beyond chance below {_RARE:g}); {told}"
    return SelfCheck(name="steady host", passed=passed, reason=reason, bias="none")
