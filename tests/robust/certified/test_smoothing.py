import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import beta, binom

from robust.certified.accuracy_proved import certified_accuracy
from robust.certified.noisy_votes import hits_needed, radius_needed
from robust.certified.smoothing import corrected, smoothed_accuracy
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.models.conversion import as_model
from robust.predicting.metering import metered


def sign(**options):
    return as_model(lambda x: (x[:, 0] > 0).astype(int), name="sign", **options)


@pytest.mark.parametrize(
    ("p", "n", "alpha"), [(0.5, 100, 0.001), (0.84, 1000, 0.001), (0.9, 50, 0.05), (0.99, 10, 0.01)]
)
def test_hits_needed_is_the_first_whose_exact_bound_passes(p, n, alpha):
    k = hits_needed(p, n, alpha)
    if k <= n:
        assert beta.ppf(alpha, k, n - k + 1) > p
    assert beta.ppf(alpha, k - 1, n - k + 2) <= p
    assert k > n or binom.sf(k - 1, n, p) <= alpha  # a row at p itself is certified with a chance of at most alpha


def test_a_linear_model_has_the_radius_of_its_distance():
    # p = Φ(distance/σ), so that the smoothed sign holds up to its distance from 0, the base model's own.
    x = np.array([[0.5], [0.8], [1.3], [2.0], [-1.5]])
    found = smoothed_accuracy(sign(), as_data(x, [1, 1, 1, 1, 0]), eps=1.0, sigma=1.0, draws=3000)
    assert found.row_values.tolist() == [0, 0, 1, 1, 1]
    assert found.name == "smoothed_certified_accuracy"
    assert any("smoothed model that is certified" in str(fact) for fact in found.evidence)


@pytest.mark.parametrize("noise", ["known p", pytest.param("many", marks=pytest.mark.slow)])
def test_a_row_just_outside_is_certified_with_at_most_the_chance_alpha(noise):
    # All rows at distance 1 have p = Φ(1) exactly, a hair too little for eps = 1: every certificate is wrong.
    n, alpha = (4000, 0.02) if noise == "known p" else (60_000, 0.005)
    data = as_data(np.full((n, 1), 1.0 - 1e-9), np.ones(n, dtype=int))
    wrong = int(
        smoothed_accuracy(sign(batch_size=4096), data, eps=1.0, sigma=1.0, draws=200, alpha=alpha).row_values.sum()
    )
    assert wrong <= binom.ppf(0.999, n, alpha)
    exact = binom.sf(hits_needed(float(ndtr(1.0)), 200, alpha) - 1, 200, ndtr(1.0 - 1e-9))
    assert binom.ppf(0.001, n, exact) <= wrong <= binom.ppf(0.999, n, exact)


def test_the_lower_bound_of_the_share_covers():
    # 30 % of the rows hold (far from 0), 70 % are just outside; alpha is large, so that wrong certificates matter.
    rng = np.random.default_rng(0)
    covered, value = 0, []
    for seed in range(100):
        holds = rng.random(80) < 0.3
        data = as_data(np.where(holds, 50.0, 1.0 - 1e-9)[:, None], np.ones(80, dtype=int))
        found = smoothed_accuracy(sign(), data, eps=1.0, sigma=1.0, draws=30, alpha=0.3, seed=seed, level=0.9)
        covered += found.lower <= 0.3
        value.append(found.value)
    assert covered >= binom.ppf(0.001, 100, 0.9)
    assert np.mean(value) > 0.35  # the share certified itself is no lower bound: it needs the correction


@pytest.mark.parametrize(("norm", "radius"), [("linf", 5.0), ("l2", 4.0), ("l1", 4.0)])
def test_other_norms_are_taken_at_their_largest_euclidean_one(norm, radius):
    axes, spread = np.array([3.0, 8.0, 0.0]), np.array([1.0, 2.0, 0.0])
    assert radius_needed(axes, spread, norm=norm) == radius


def test_batches_order_and_company_change_nothing_and_leaving_early_is_exact():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 3))
    y = (x[:, 0] > 0).astype(int)
    data, order = as_data(x, y), rng.permutation(30)
    runs = {
        size: smoothed_accuracy(sign(batch_size=size), data, eps=0.5, sigma=0.7, draws=50).row_values
        for size in (1, 7, 1000)
    }
    np.testing.assert_array_equal(runs[1], runs[7])
    np.testing.assert_array_equal(runs[1], runs[1000])
    moved = smoothed_accuracy(sign(), data.rows(order), eps=0.5, sigma=0.7, draws=50).row_values
    np.testing.assert_array_equal(runs[1][order], moved)
    with metered() as meter:
        smoothed_accuracy(sign(batch_size=1), data, eps=0.5, sigma=0.7, draws=50)
    assert meter.forward_rows < 30 * 40  # rows whose answer is settled are not asked on


def test_features_that_may_not_move_get_no_noise():
    seen = []

    def model(x):
        seen.append(np.array(x))
        return (x[:, 0] > 0).astype(int)

    data = as_data(np.full((5, 3), 2.0), np.ones(5, dtype=int), schema={"x1": {"immutable": True}})
    smoothed_accuracy(as_model(model, name="m"), data, eps=0.5, sigma=0.5, draws=100)
    noisy = np.concatenate(seen)
    assert (noisy[:, 1] == 2.0).all()
    assert np.std(noisy[:, 0]) > 0.1
    smoothed_accuracy(as_model(model, name="m"), data, eps={"x2": 0.5}, draws=100)
    assert (np.concatenate(seen[len(noisy) :] or seen)[:, 1] == 2.0).all()


def test_a_model_that_noise_confuses_certifies_nothing():
    # Right on the rows, wrong a little beside them.
    fragile = as_model(lambda x: (np.abs(x[:, 0] - 1.0) < 1e-6).astype(int), name="fragile")
    found = smoothed_accuracy(fragile, as_data(np.ones((20, 1)), np.ones(20, dtype=int)), eps=0.1)
    assert found.value == 0.0
    assert (found > 0.5).status == "FAIL"


def test_too_few_draws_are_told_and_certify_nothing():
    found = smoothed_accuracy(
        sign(), as_data(np.full((9, 1), 99.0), np.ones(9, dtype=int)), eps=1.0, sigma=0.1, draws=50
    )
    assert found.value == 0.0
    assert not next(check for check in found.validity if check.name == "draws").passed


def test_through_certified_accuracy_with_bounds_of_the_share():
    data = as_data(np.full((100, 1), 9.0), np.ones(100, dtype=int))
    found = certified_accuracy(sign(), data, eps=1.0, norm="l2", method="smoothing", sigma=1.0, draws=200)
    q = beta.ppf(0.05, 100, 1)
    assert found.lower == pytest.approx((q - 0.001) / 0.999)
    assert found.lower == pytest.approx(corrected(q, 0.001))
    assert found.method == "clopper-pearson, certificates at alpha"
    assert found.sizing.at(100) == (pytest.approx(found.lower), 1.0)


def test_labels_that_are_texts():
    model = as_model(lambda x: np.where(x[:, :1] > 0, [[0.1, 0.9]], [[0.9, 0.1]]), classes=["no", "yes"], name="m")
    found = smoothed_accuracy(model, as_data(np.array([[5.0], [-5.0]]), ["yes", "no"]), eps=1.0, draws=100)
    assert found.value == 1.0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"alpha": 0.5}, "alpha got 0.5"),
        ({"alpha": True}, "alpha got True"),
        ({"draws": 0}, "draws got 0"),
        ({"sigma": -1.0}, "sigma got -1.0"),
        ({"sigma": float("nan")}, "sigma got nan"),
        ({"sigma": {"x0": -1.0}}, r"sigma\['x0'\] got -1.0"),
        ({"sigma": {}}, r"sigma got an empty dict; one number or {feature name"),
        ({"sigma": 0.0}, "gives 'x0' no noise"),
        ({"norm": "l7"}, "norm got 'l7'"),
    ],
)
def test_what_is_refused(options, told):
    with pytest.raises(InvalidInput, match=told):
        smoothed_accuracy(sign(), as_data(np.ones((5, 1)), np.ones(5, dtype=int)), eps=1.0, **options)


def test_regression_and_data_outside_its_bounds_are_refused():
    with pytest.raises(InvalidInput, match="needs a classifier"):
        smoothed_accuracy(
            as_model(lambda x: x[:, 0] * 1.5, name="r", task="regression"),
            as_data(np.ones((5, 1)), np.ones(5)),
            eps=1.0,
        )
    data = as_data(np.ones((5, 1)), np.ones(5, dtype=int), schema={"bounds": (0, 1)}).with_x(np.full((5, 1), 2.0))
    with pytest.raises(InvalidInput, match="breaks its schema"):
        smoothed_accuracy(sign(), data, eps=1.0)


@pytest.mark.parametrize("form", ["labels", "logit", "logits", "probability"])
@pytest.mark.parametrize("raises", [True, False])
def test_rows_and_draws_without_an_answer_count_as_wrong(raises, form):
    # Beyond 4 there is no answer: of the row at 3.5, σ = 1, a third of the draws is lost.
    def forward(x):
        z = np.asarray(x, dtype=float)[:, 0]
        lost = z > 4
        if raises and lost.any():
            raise ValueError("reading out of range")
        z = np.where(lost, np.nan, z)
        if form == "labels":
            return np.where(lost, np.nan, z > 0)
        if form == "logits":
            return np.column_stack([-z, z])
        return (1 / (1 + np.exp(-z)) if form == "probability" else z)[:, None]

    output = {"labels": None, "logit": "logits", "logits": "logits", "probability": "probabilities"}[form]
    model = as_model(forward, output=output, task="classification", name="sensor")
    rows = as_data(np.array([[-3.0], [-3.2], [2.0], [3.5], [5.0]]), [0, 0, 1, 1, 1], ids=list("abcde"))
    m = smoothed_accuracy(model, rows, eps=0.5, sigma=1.0, draws=500)
    # Φ(0.5) is 0.691, and the two draws in three that row d keeps its answer are not surely above.
    assert m.row_values.tolist() == [1, 1, 1, 0, 0]
    did = "raises ValueError: reading out of range" if raises else "gives NaN or infinity"
    assert m.evidence[0].text == f"sensor {did} on 1 of 5 rows as they are: they count as wrong"
    assert m.evidence[1].ids == ("e",)
    assert m.evidence[2].reference == 0.8
