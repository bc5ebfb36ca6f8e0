"""Public classification measures: values, oracles, bounds, invariance, errors."""

import warnings

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn import metrics as sk

from robust.data.live import as_data
from robust.errors import InvalidInput, ModelFault
from robust.evidence import Figure, Rows, Slices
from robust.measures.classification import accuracy, auc, f1, log_loss
from robust.models.conversion import as_model

MEASURES = [accuracy, f1, log_loss, auc]


def noisy(n=200, k=3, seed=0, sharp=2.0):
    """Rows that hold their own class probabilities, so that the model is the identity."""
    rng = np.random.default_rng(seed)
    y = np.r_[np.arange(k), rng.integers(0, k, n - k)]
    logits = rng.normal(size=(n, k)) + sharp * np.eye(k)[y]
    p = np.exp(logits)
    return p / p.sum(axis=1, keepdims=True), y


def identity(**options):
    return as_model(lambda x: x, name="m", output="probabilities", **options)


def expected(measure, p, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if measure is accuracy:
            return sk.accuracy_score(y, p.argmax(axis=1))
        if measure is f1:
            return sk.f1_score(y, p.argmax(axis=1), average="macro")
        if measure is log_loss:
            return sk.log_loss(y, p)
        return sk.roc_auc_score(y, p, multi_class="ovr") if p.shape[1] > 2 else sk.roc_auc_score(y, p[:, 1])


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("k", [2, 3])
def test_value_is_scikit_learns_and_bounds_enclose_it(measure, k):
    p, y = noisy(k=k)
    m = measure(identity(), (p, y))
    assert m.value == pytest.approx(expected(measure, p, y), rel=1e-9)
    assert m.lower < m.value < m.upper
    assert (m.n, m.name, m.level) == (200, measure.__name__, 0.95)
    assert m.higher_is_better is (measure is not log_loss)
    assert m.unit == ("nats" if measure is log_loss else "share")


def test_accuracy_has_exact_bounds():
    p, y = noisy(n=50)
    right = int((p.argmax(axis=1) == y).sum())
    m = accuracy(identity(), (p, y), level=0.975)
    interval = binomtest(right, 50).proportion_ci(0.95, method="exact")
    assert (m.lower, m.upper) == pytest.approx((interval.low, interval.high))
    assert m.method == "clopper-pearson"
    assert m.row_values.mean() == m.value
    assert (accuracy(identity(), (p, y)) > 0.5).status == "PASS"


@pytest.mark.parametrize(("measure", "method"), [(f1, "bca-bootstrap"), (log_loss, "bca-bootstrap"), (auc, "delong")])
def test_methods(measure, method):
    p, y = noisy()
    assert measure(identity(), (p, y)).method == method


@pytest.mark.parametrize("measure", MEASURES)
def test_the_order_of_independent_rows_does_not_matter(measure):
    p, y = noisy(n=120)
    order = np.random.default_rng(3).permutation(120)
    one, other = measure(identity(), (p, y)), measure(identity(), (p[order], y[order]))
    for field in ("value", "lower", "upper"):
        assert getattr(one, field) == pytest.approx(getattr(other, field), abs=1e-12)


@pytest.mark.parametrize("measure", MEASURES)
def test_batch_size_and_seed(measure):
    p, y = noisy(n=400)  # ten mistakes in each class, so that it is the bootstrap that bounds macro-F1
    one = measure(identity(), (p, y), seed=1)
    other = measure(identity(batch_size=7), (p, y), seed=1)
    assert (one.value, one.lower, one.upper) == (other.value, other.lower, other.upper)
    third = measure(identity(), (p, y), seed=2)
    assert one.value == third.value
    if measure in (f1, log_loss):
        assert one.upper != third.upper  # the bootstrap did draw other samples
        assert one.upper == pytest.approx(third.upper, rel=0.05)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("given", [{"order": np.arange(200)}, {"groups": np.arange(200) // 4}])
def test_order_and_groups_change_the_method(measure, given):
    p, y = noisy()
    free, bound = measure(identity(), (p, y)), measure(identity(), as_data(p, y, **given))
    assert bound.value == pytest.approx(free.value, abs=1e-12)
    assert bound.method == ("block-bootstrap" if "order" in given else "cluster-bootstrap")
    assert 0 <= bound.lower < bound.value < bound.upper
    assert bound.upper <= (np.inf if measure is log_loss else 1.0)


def test_stored_order_of_ordered_rows_does_not_matter():
    p, y = noisy(n=100)
    time, order = np.arange(100), np.random.default_rng(0).permutation(100)
    one = f1(identity(), as_data(p, y, order=time))
    other = f1(identity(), as_data(p[order], y[order], order=time[order]))
    assert (one.lower, one.upper) == pytest.approx((other.lower, other.upper), abs=1e-12)


def test_few_groups_prove_nothing():
    p, y = noisy(n=90)
    m = accuracy(identity(), as_data(p, y, groups=np.arange(90) // 10))  # nine
    assert (m.lower, m.upper) == (0.0, 1.0)
    verdict = m > 0.1
    assert verdict.status == "INCONCLUSIVE"


@pytest.mark.parametrize("measure", [f1, auc, log_loss])
@pytest.mark.parametrize("extra", [{}, {"order": True}, {"groups": True}])
def test_a_perfect_model_on_few_rows_is_no_certainty(measure, extra):
    n = 60
    y = np.arange(n) % 2
    p = np.where(y[:, None] == np.arange(2), 1.0, 0.0)
    given = {"order": np.arange(n)} if "order" in extra else {"groups": np.arange(n) // 2} if extra else {}
    m = measure(identity(), as_data(p, y, **given))
    if measure is log_loss:
        assert m.value == pytest.approx(0, abs=1e-15)
        verdict = m < 0.01
    else:
        assert m.value == 1
        verdict = m > 0.99
    assert verdict.status == "INCONCLUSIVE"
    assert verdict.needed_n is not None
    assert verdict.needed_n > n


def test_a_rare_class_in_blocks_is_not_vouched_for_by_the_common_ones():
    # One row of two in the rare class: one more mistake there costs a third of macro-F1.
    n = 300
    y = np.zeros(n, dtype=int)
    y[[100, 200]] = 1
    m = f1(identity(), as_data(np.eye(2)[y], y, order=np.arange(n)))
    assert m.value == 1
    assert m.lower < 0.7


def test_a_bad_model_fails():
    p, y = noisy(sharp=-3.0)
    assert (accuracy(identity(), (p, y)) >= 0.5).status == "FAIL"
    assert (f1(identity(), (p, y)) >= 0.5).status == "FAIL"
    assert (auc(identity(), (p, y)) > 0.5).status == "FAIL"
    assert (log_loss(identity(), (p, y)) < 1.0).status == "FAIL"


def test_logits_and_probabilities_tell_the_same():
    p, y = noisy()
    logits = as_model(lambda x: np.log(x) + 3.0, output="logits")
    for measure in MEASURES:
        assert measure(logits, (p, y)).value == pytest.approx(measure(identity(), (p, y)).value, rel=1e-9)


def test_evidence_names_rows_by_their_ids():
    p, y = noisy(n=60)
    ids = np.array([f"row-{i}" for i in range(60)])
    m = accuracy(identity(), as_data(p, y, ids=ids, slices={"site": np.arange(60) % 3}))
    wrong = p.argmax(axis=1) != y
    (rows,) = (part for part in m.evidence if isinstance(part, Rows))
    assert rows.total == wrong.sum()
    assert set(rows.ids) <= set(ids[wrong])
    assert rows.values == tuple(sorted(rows.values, reverse=True))
    by = {part.by: part for part in m.evidence if isinstance(part, Slices)}
    assert set(by) == {"class", "site"}  # too few mistakes to tell their direction
    assert sum(part.n for part in by["site"].slices) == 60
    assert by["site"].slices[0].value == min(part.value for part in by["site"].slices)
    # Simultaneous bounds are those of single ones at a Bonferroni level.
    part = by["site"].slices[0]
    interval = binomtest(round(part.value * part.n), part.n).proportion_ci(1 - 2 * 0.05 / 3, method="exact")
    assert (part.lower, part.upper) == pytest.approx((interval.low, interval.high))
    (figure,) = (part for part in m.evidence if isinstance(part, Figure))
    counts = {series.name: series.values for series in figure.columns}["value"]
    np.testing.assert_array_equal(np.reshape(counts, (3, 3)), sk.confusion_matrix(y, p.argmax(axis=1)))


def test_provenance():
    p, y = noisy(n=30)
    data = as_data(p, y, name="held out")
    m = f1(identity(), data, seed=5)
    assert m.provenance.data == (("held out", data.fingerprint),)
    assert m.provenance.models == (("m", ""),)  # a callable has no content hash
    assert m.provenance.seed == 5
    assert m.provenance.cost.forward_rows == 30


# --- errors ---------------------------------------------------------------------------------------------------


def labels_only(x):
    return x.argmax(axis=1)


@pytest.mark.parametrize("measure", [log_loss, auc])
def test_labels_alone_do_not_do(measure):
    with pytest.raises(InvalidInput, match="labels_only gives labels only; this measure needs probabilities or logits"):
        measure(labels_only, noisy())


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("level", [0.5, 1.0, 0.0, 95])
def test_level_is_checked(measure, level):
    with pytest.raises(InvalidInput, match="level got"):
        measure(identity(), noisy(n=30), level=level)


@pytest.mark.parametrize("measure", MEASURES)
def test_what_does_not_fit_is_refused(measure):
    p, y = noisy(n=30)
    with pytest.raises(InvalidInput, match="data has no targets: pass y="):
        measure(identity(), p)
    with pytest.raises(InvalidInput, match=r"labels that m does not know: \[7\]"):
        measure(identity(), (p, np.where(y == 2, 7, y)))
    with pytest.raises(InvalidInput, match=f"{measure.__name__} is a classification metric; m is a regression model"):
        measure(as_model(lambda x: x[:, 0], name="m", task="regression"), (p, y))
    with pytest.raises(InvalidInput, match="zero rows"):
        measure(identity(), (p[:0], y[:0]))
    with pytest.raises(ModelFault, match="NaN or infinity"):
        measure(as_model(lambda x: x * np.nan, output="probabilities"), (p, y))


@pytest.mark.parametrize("given", [{}, {"order": np.arange(30)}, {"groups": np.arange(30)}])
def test_auc_names_the_class_without_rows(given):
    p, y = noisy(n=30)
    model = as_model(lambda x: x, name="m", output="probabilities", classes=["cat", "dog", "emu"])
    names = np.array(["cat", "dog", "dog"])[y]
    with pytest.raises(InvalidInput, match=r"auc needs rows of each class; data has none of \['emu'\] of m"):
        auc(model, as_data(p, names, **given))
