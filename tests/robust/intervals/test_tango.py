import numpy as np
import pytest
from scipy.special import gammaln, xlogy
from scipy.stats import norm

from robust.errors import InvalidInput
from robust.intervals.tango import power_n_paired, score, tango, tango_bounds

Z = float(norm.ppf(0.95))
LIMITS = (0.005, 0.01, 0.02, 0.05)


@pytest.mark.parametrize(
    ("b", "c", "n", "corrected", "plain"),
    [
        (241, 58, 10_000, (0.015490, 0.021264), (0.015539, 0.021213)),
        (26, 12, 2_000, (0.001746, 0.012712), (0.002002, 0.012439)),
    ],
)
def test_worked_values(b, c, n, corrected, plain):
    interval = tango(b, c, n, level=0.95)
    assert interval.value == (b - c) / n
    assert (interval.lower, interval.upper) == pytest.approx(corrected, abs=1e-6)
    assert tango_bounds(b, c, n, Z, correction=0.0) == pytest.approx(plain, abs=1e-6)


@pytest.mark.parametrize(("n", "upper"), [(60, 0.057948), (128, 0.027813), (500, 0.007234), (2000, 0.001816)])
def test_worked_values_without_a_flip(n, upper):
    interval = tango(0, 0, n, level=0.95)
    assert interval.upper == pytest.approx(upper, abs=1e-6)
    assert interval.lower == -interval.upper


def test_published_interval():
    # Airway hyper-responsiveness before and after transplantation, 21 children of whom 1 and 7 changed:
    # Fagerland, Lydersen and Laake (2014), Statistics in Medicine 33:2850.
    assert tango_bounds(1, 7, 21, float(norm.ppf(0.975)), correction=0.0) == pytest.approx((-0.517, -0.026), abs=5e-4)


def test_the_bound_is_where_the_restricted_likelihood_puts_it():
    # Independent of the closed form: q maximises the multinomial likelihood at the difference of the bound.
    b, c, n = 26, 12, 2000
    delta = tango(b, c, n, level=0.95).upper
    q = np.linspace(1e-6, 0.05, 2_000_001)
    q_hat = q[np.argmax(xlogy(b, q + delta) + xlogy(c, q) + xlogy(n - b - c, 1 - 2 * q - delta))]
    z = (b - c + 0.5 - n * delta) / np.sqrt(n * (2 * q_hat + delta - delta**2))
    assert z == pytest.approx(-Z, abs=1e-5)


def test_exchanging_the_models_mirrors_the_interval():
    one, other = tango(26, 12, 2000, level=0.95), tango(12, 26, 2000, level=0.95)
    assert (one.lower, one.value, one.upper) == (-other.upper, -other.value, -other.lower)


def test_bound_and_score_decide_alike():
    rng = np.random.default_rng(0)
    for _ in range(500):
        n = int(rng.integers(1, 400))
        b = int(rng.integers(0, n + 1))
        c = int(rng.integers(0, n - b + 1))
        interval = tango(b, c, n, level=0.95)
        assert -1.0 <= interval.lower <= interval.value <= interval.upper <= 1.0
        limit = float(rng.uniform(interval.value, 1.0))
        if abs(limit - interval.upper) > 1e-9:
            assert (interval.upper < limit) == (score(limit, b, c, n) <= -Z)


def test_all_rows_flip_one_way():
    assert tango(5, 0, 5, level=0.95).upper == 1.0
    assert tango(0, 5, 5, level=0.95).lower == -1.0


def test_counts_scale_to_another_n():
    interval = tango(26, 12, 2000, level=0.95)
    assert interval.sizing.at(2000) == (interval.lower, interval.upper)
    doubled = tango(52, 24, 4000, level=0.95)
    assert interval.sizing.at(4000) == (doubled.lower, doubled.upper)
    fractional = tango(13.0, 6.0, 1000.0, level=0.95)
    assert interval.sizing.at(1000) == (fractional.lower, fractional.upper)


def crowding(b, c, n):
    """Factor on the correction where more than half of the rows flip."""
    return 1 + 2 * np.maximum(0, 2 * (b + c) / n - 1)


def proved_below(b, c, n, limit, correction):
    """Vectorised decision: score at the limit at most -z."""
    linear = -b - c + (2 * n - b + c) * limit
    q = (np.sqrt(linear**2 + 8 * n * c * limit * (1 - limit)) - linear) / (4 * n)
    return (b - c + correction * crowding(b, c, n) - n * limit) / np.sqrt(n * (2 * q + limit * (1 - limit))) <= -Z


def proved_above(b, c, n, limit, correction):
    """The mirror image at the limit; a root that is not real leaves no variance and nothing proved."""
    linear = -b - c - (2 * n - c + b) * limit
    root = np.sqrt(np.maximum(linear**2 - 8 * n * b * limit * (1 + limit), 0.0))
    variance = n * ((root - linear) / (2 * n) - limit * (1 + limit))
    numerator = c - b + correction * (1 + np.maximum(0, 1 - c / 5)) * crowding(b, c, n) + n * limit
    return (variance > 0) & (numerator / np.sqrt(np.where(variance > 0, variance, 1.0)) <= -Z)


def probability(decide, n, pb, pc, limit, correction=0.5):
    """Exact probability of a decision, over all (b, c) but those that together have less than 1e-15."""
    b, c = np.meshgrid(*(span(n, p) for p in (pb, pc)), indexing="ij")
    inside = b + c <= n
    b, c = b[inside].astype(float), c[inside].astype(float)
    log = gammaln(n + 1) - gammaln(b + 1) - gammaln(c + 1) - gammaln(n - b - c + 1)
    log += xlogy(b, pb) + xlogy(c, pc) + xlogy(n - b - c, max(0.0, 1 - pb - pc))
    weights = np.exp(log)
    assert weights.sum() == pytest.approx(1.0, abs=1e-9)
    return float(weights[decide(b, c, n, limit, correction)].sum())


def span(n, p):
    reach = 9 * np.sqrt(n * p * (1 - p)) + 9
    return np.arange(max(0, int(n * p - reach)), min(n, int(n * p + reach)) + 1)


def worst_size(decide, sizes, shares, correction=0.5):
    """Largest probability of a false proof over true differences at each limit."""
    return max(
        probability(decide, n, pc + limit, pc, limit, correction) for n in sizes for limit in LIMITS for pc in shares
    )


def test_exact_size_of_a_pass_sample():
    assert worst_size(proved_below, (60, 84, 128, 361, 500, 2000), (0.0, 0.003, 0.03, 0.1)) <= 0.05


def test_the_plain_score_bound_would_pass_too_often():
    assert worst_size(proved_below, (90, 300, 1500), (0.0, 0.003), correction=0.0) > 0.055


@pytest.mark.slow
def test_exact_size_of_a_pass():
    sizes = (*range(60, 400, 7), 500, 700, 777, 1000, 1501, 2000)
    assert worst_size(proved_below, sizes, (0.0, 0.001, 0.003, *np.linspace(0.005, 0.1, 12))) <= 0.05


@pytest.mark.slow
def test_exact_size_of_a_pass_at_5000_rows():
    assert worst_size(proved_below, (5000,), np.linspace(0.0, 0.1, 21)) <= 0.05


def test_exact_size_of_a_proved_gain_sample():
    assert worst_size(proved_above, (60, 82, 84, 280, 357, 500, 2000), (0.0, 0.001, 0.01, 0.1)) <= 0.05


@pytest.mark.slow
def test_exact_size_of_a_proved_gain():
    sizes = (*range(60, 400, 7), 500, 700, 777, 1000, 1501, 2000, 5000)
    assert worst_size(proved_above, sizes, (0.0, 0.001, 0.003, *np.linspace(0.005, 0.1, 12))) <= 0.05


def worst_crowded_size(sizes, rates, splits, correction=0.5):
    """Largest probability that either bound excludes the truth where a share `rates` of all rows flips.

    A share `splits`, above one half, of the flips goes one way; the other halves are mirror images.
    """
    return max(
        probability(decide, n, f * s, f * (1 - s), f * (2 * s - 1), correction)
        for decide in (proved_below, proved_above)
        for n in sizes
        for f in rates
        for s in splits
    )


def test_exact_size_where_most_rows_flip_sample():
    assert worst_crowded_size((60, 150), (0.7667, 0.9, 1.0), (0.55, 0.9, 0.94, 0.989, 0.998)) <= 0.05


def test_half_a_count_would_pass_too_often_where_all_rows_flip():
    # Every row flips and the difference is 2s - 1: with half a count the bound would be taken at b - c + 1/2.
    n, s, truth = 60, 0.998, 0.996
    b = np.arange(n + 1.0)
    weights = np.exp(gammaln(n + 1) - gammaln(b + 1) - gammaln(n - b + 1) + xlogy(b, s) + xlogy(n - b, 1 - s))
    factor = crowding(b, n - b, n)
    assert weights[proved_below(b, n - b, n, truth, 0.5 / factor)].sum() > 0.1
    upper = np.array([tango(k, n - k, n, level=0.95).upper for k in b])
    assert weights[upper < truth].sum() <= 0.05


@pytest.mark.slow
@pytest.mark.parametrize("n", [60, 90, 150, 300])
def test_exact_size_at_all_flip_rates(n):
    edge = np.r_[0.0005, 0.001, 0.002, 0.004, np.linspace(0.006, 0.15, 30)]
    splits = np.r_[1 - edge, np.linspace(0.501, 0.84, 8)]
    assert worst_crowded_size((n,), (*np.linspace(0.1, 1.0, 46), 0.99, 0.995, 0.999), splits) <= 0.05


def test_half_a_count_alone_would_prove_gains_too_often():
    def uncorrected(b, c, n, limit, correction):
        return proved_above(b, np.maximum(c, 0), n, limit, correction / (1 + np.maximum(0, 1 - c / 5)))

    assert worst_size(uncorrected, (82, 280, 357), (0.0, 0.001, 0.01)) > 0.055


def test_exact_size_is_that_of_the_bounds_themselves():
    n, limit, pc = 60, 0.05, 0.01
    weights, below, above = 0.0, 0.0, 0.0
    for b in range(25):
        for c in range(12):
            log = gammaln(n + 1) - gammaln(b + 1) - gammaln(c + 1) - gammaln(n - b - c + 1)
            weight = np.exp(log + xlogy(b, pc + limit) + xlogy(c, pc) + xlogy(n - b - c, 1 - 2 * pc - limit))
            interval = tango(b, c, n, level=0.95)
            weights += weight
            below += weight * (interval.upper < limit)
            above += weight * (interval.lower > limit)
    assert weights == pytest.approx(1.0, abs=1e-9)
    assert below == pytest.approx(probability(proved_below, n, pc + limit, pc, limit), abs=1e-9)
    assert above == pytest.approx(probability(proved_above, n, pc + limit, pc, limit), abs=1e-9)


def test_power_of_equal_flips_at_2000_rows():
    corrected = probability(proved_below, 2000, 0.005, 0.005, 0.01)
    plain = probability(proved_below, 2000, 0.005, 0.005, 0.01, correction=0.0)
    assert (corrected, plain) == (pytest.approx(0.991, abs=1e-3), pytest.approx(0.993, abs=1e-3))


@pytest.mark.parametrize(
    ("pb", "pc", "limit"),
    [
        (0.005, 0.005, 0.01),
        (0.01, 0.005, 0.02),
        (0.013, 0.006, 0.01),
        (0.05, 0.05, 0.02),
        (0.002, 0.0, 0.01),
        (0.43, 0.42, 0.1),
    ],
)
def test_the_size_for_a_power_has_about_that_power(pb, pc, limit):
    n = power_n_paired(pb, pc, limit=limit, level=0.95)
    assert n is not None
    assert probability(proved_below, n, pb, pc, limit) == pytest.approx(0.8, abs=0.05)


@pytest.mark.parametrize(("limit", "rows"), [(0.01, 361), (0.02, 180), (0.005, 725)])
def test_size_without_flips_is_the_one_that_settles(limit, rows):
    assert power_n_paired(0.0, 0.0, limit=limit, level=0.95) == rows


def test_no_size_proves_what_is_not_true():
    assert power_n_paired(0.02, 0.005, limit=0.01, level=0.95) is None
    assert power_n_paired(0.015, 0.005, limit=0.01, level=0.95) is None


def test_a_model_at_its_limit_is_not_proved_below_it():
    assert tango(200, 100, 10_000, level=0.95).upper > 0.01


@pytest.mark.parametrize(
    ("b", "c", "n", "level", "message"),
    [
        (1, 1, 0, 0.95, "n got 0"),
        (-1, 1, 5, 0.95, r"b and c got -1\.0 and 1\.0"),
        (3, 3, 5, 0.95, "sum to at most n"),
        (float("nan"), 1, 5, 0.95, "b got nan"),
        (1, 1, 5, 1.0, r"level got 1\.0"),
    ],
)
def test_bad_input(b, c, n, level, message):
    with pytest.raises(InvalidInput, match=message):
        tango(b, c, n, level=level)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pb": -0.1}, "pb and pc got"),
        ({"pb": 0.7, "pc": 0.7}, "pb and pc got"),
        ({"limit": 0.0}, r"limit got 0\.0"),
        ({"limit": float("nan")}, "limit got nan"),
        ({"power": 1.0}, r"power got 1\.0"),
        ({"level": 0.4}, r"level got 0\.4"),
    ],
)
def test_bad_input_for_power(changes, message):
    arguments = {"pb": 0.01, "pc": 0.01, "limit": 0.01, "level": 0.95, "power": 0.8} | changes
    with pytest.raises(InvalidInput, match=message):
        power_n_paired(arguments.pop("pb"), arguments.pop("pc"), **arguments)
