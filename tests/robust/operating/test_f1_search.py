"""The best F1: the seed's search by hand and by loop, exactness over all scores, coverage of its bounds."""

import numpy as np
import pytest
from scipy.stats import beta, binomtest
from sklearn.metrics import f1_score, precision_recall_curve

from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Fact
from robust.measurement import Measurement
from robust.models.conversion import as_model
from robust.operating.f1_search import best_f1

NET = as_model(lambda x: x[:, 0], name="net", output="probabilities")


def drawn(n=200, seed=0, sharp=1.0, decimals=3):
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.4).astype(int)
    return (1 / (1 + np.exp(-(rng.normal(size=n) + sharp * (2 * y - 1))))).round(decimals)[:, None], y


def searched(x, y):
    """The search as a notebook writes it: nine thresholds, 1e-8 in each denominator, the first best one stays."""
    best, best_threshold = 0.0, 0.0
    for threshold in [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]:
        guess = x[:, 0] >= threshold
        tp, fp, fn = (guess & (y == 1)).sum(), (guess & (y == 0)).sum(), (~guess & (y == 1)).sum()
        precision, recall = tp / (tp + fp + 1e-8), tp / (tp + fn + 1e-8)
        value = 2 * (precision * recall) / (precision + recall + 1e-8)
        if value > best:
            best, best_threshold = value, threshold
    return best, best_threshold


def test_the_worked_search_by_hand():
    # Scores 0.15 (0), 0.35 (1), 0.45 (0), 0.85 (1). t = 0.1: 2 hits of 4, F1 2/3. t = 0.2 and 0.3: 2 of 3, F1 4/5.
    # t = 0.4: 1 hit, 1 alarm, 1 miss, F1 1/2. t = 0.5 … 0.8: 1 hit, 1 miss, F1 2/3. t = 0.9: nothing.
    x, y = np.array([[0.15], [0.35], [0.45], [0.85]]), np.array([0, 1, 0, 1])
    found = best_f1(NET, (x, y), grid="tenths")
    assert found.threshold == 0.2  # of 0.2 and 0.3 the lower one
    # precision 2/(3 + 1e-8), recall 2/(2 + 1e-8): 0.8 less about 0.8·(1e-8/1.6667 + …)
    assert found.value == pytest.approx(0.8, abs=2e-8)
    assert found.value < 0.8
    assert (found.value, found.threshold) == searched(x, y)
    exact = best_f1(NET, (x, y))
    assert (exact.value, exact.threshold) == (pytest.approx(0.8), 0.35)


@pytest.mark.parametrize("seed", range(20))
def test_the_grid_is_the_loop(seed):
    x, y = drawn(60, seed=seed, decimals=1 + seed % 3)
    found = best_f1(NET, (x, y), grid="tenths")
    assert (found.value, found.threshold) == searched(x, y)


@pytest.mark.parametrize("seed", range(20))
def test_all_scores_are_scikit_learns_curve(seed):
    x, y = drawn(80, seed=seed, decimals=1 + seed % 3)
    found = best_f1(NET, (x, y))
    precision, recall, thresholds = precision_recall_curve(y, x[:, 0])
    with np.errstate(invalid="ignore"):
        f1 = np.nan_to_num(2 * precision * recall / (precision + recall))
    assert found.value == pytest.approx(f1.max(), abs=1e-12)
    assert f1_score(y, x[:, 0] >= found.threshold) == pytest.approx(found.value)
    assert found.threshold == pytest.approx(thresholds[np.flatnonzero(f1[:-1] > f1.max() - 1e-12)[0]])


def test_no_grid_threshold_finds_anything():
    x, y = np.array([[0.01], [0.02], [0.03]]), np.array([0, 1, 1])
    found = best_f1(NET, (x, y), grid="tenths")
    assert (found.value, found.threshold, found.lower) == (0.0, 0.1, 0.0)
    assert best_f1(NET, (x, y)).value == 1.0


def test_bounds_leave_out_the_row_that_sets_the_threshold():
    x, y = drawn()
    found = best_f1(NET, (x, y))
    detected = x[:, 0] >= found.threshold
    hits, among = (detected & (y == 1)).sum() - 1, (detected | (y == 1)).sum() - 1
    share = 0.05 / 200
    low, high = beta.ppf(share, hits, among - hits + 1), beta.ppf(1 - share, hits + 1, among - hits)
    assert (found.lower, found.upper) == pytest.approx((2 * low / (1 + low), 2 * high / (1 + high)), rel=1e-9)
    assert isinstance(found, Measurement)
    assert (found > 0.1).status == "PASS"
    assert (found > 0.99).status == "FAIL"
    assert (found > found.value - 0.01).needed_n > 200
    assert [part.value for part in found.evidence if isinstance(part, Fact) and part.name == "threshold"] == [
        found.threshold
    ]
    assert (1 - found).threshold == found.threshold


def test_bounds_on_the_grid_hold_at_all_nine():
    x, y = drawn()
    found = best_f1(NET, (x, y), grid="tenths")
    detected = x[:, 0] >= found.threshold
    hits, among = int((detected & (y == 1)).sum()), int((detected | (y == 1)).sum())
    oracle = binomtest(hits, among).proportion_ci(1 - 2 * 0.05 / 9, method="exact")
    assert found.lower == pytest.approx(2 * oracle.low / (1 + oracle.low))
    assert found.upper == pytest.approx(2 * oracle.high / (1 + oracle.high))
    assert found.level == 0.95


def test_on_few_rows_the_best_of_many_is_no_certainty():
    # Scores that say nothing, on ten rows: some threshold looks good, none is.
    x, y = drawn(10, sharp=0.0, seed=4)
    found = best_f1(NET, (x, y))
    assert found.value > 0.6
    assert (found > 0.5).status == "INCONCLUSIVE"


@pytest.mark.parametrize("given", [{"order": np.arange(200)}, {"groups": np.arange(200) // 4}])
def test_rows_that_depend_on_each_other(given):
    x, y = drawn()
    data = as_data(x, y, **given)
    verdict = best_f1(NET, data) > 0.1
    assert verdict.status == "INVALID"
    assert "use grid='tenths'" in verdict.reason
    coarse = best_f1(NET, data, grid="tenths")
    assert coarse.method in ("block-bootstrap", "cluster-bootstrap")
    assert (coarse > 0.1).status == "PASS"


def test_row_order_does_not_matter_and_the_class_is_named():
    x, y = drawn()
    order = np.random.default_rng(1).permutation(200)
    one, other = best_f1(NET, (x, y)), best_f1(NET, (x[order], y[order]))
    assert (one.value, one.lower, one.upper, one.threshold) == (other.value, other.lower, other.upper, other.threshold)
    assert one.positive == 1
    assert best_f1(NET, (x, y), positive=0).value != one.value


def test_errors():
    x, y = drawn()
    with pytest.raises(InvalidInput, match="grid got 'fifths'; 'tenths'"):
        best_f1(NET, (x, y), grid="fifths")
    with pytest.raises(InvalidInput, match="level got"):
        best_f1(NET, (x, y), level=95)
    with pytest.raises(InvalidInput, match="no rows of class 1"):
        best_f1(NET, (x, np.zeros(200, int)))


def true_f1(threshold, share, sharp):
    """F1 of a threshold when logits are normal with mean ±sharp."""
    from scipy.stats import norm

    logit = np.log(threshold / (1 - threshold))
    tpr, fpr = norm.sf(logit - sharp), norm.sf(logit + sharp)
    return 2 * share * tpr / (share * (1 + tpr) + (1 - share) * fpr)


def missed(draws, n, grid, seed):
    """How often each bound misses the F1 that the threshold found reaches on new rows."""
    low = high = 0
    for i in range(draws):
        x, y = drawn(n, seed=seed + i, decimals=12)
        if y.all() or not y.any():
            continue
        found = best_f1(NET, (x, y), grid=grid)
        true = true_f1(found.threshold, 0.4, 1.0)
        low, high = low + (found.lower > true), high + (found.upper < true)
    return low / draws, high / draws


@pytest.mark.parametrize("grid", [None, "tenths"])
def test_bounds_hold_for_new_rows_on_a_small_sample(grid):
    assert max(missed(60, 40, grid, 1000)) <= 8 / 60  # at a rate of 5 %, more come with probability below 1 %


def test_the_value_itself_flatters():
    gaps = []
    for i in range(40):
        x, y = drawn(40, seed=2000 + i, decimals=12)
        found = best_f1(NET, (x, y))
        gaps.append(found.value - true_f1(found.threshold, 0.4, 1.0))
    assert np.mean(gaps) > 0.02


@pytest.mark.slow
@pytest.mark.parametrize("grid", [None, "tenths"])
@pytest.mark.parametrize("n", [15, 40, 200])
def test_bounds_hold_for_new_rows(grid, n):
    assert max(missed(1500, n, grid, 5000)) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 1500)
