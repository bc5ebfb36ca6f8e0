"""Anomaly detection: by hand, against scikit-learn, bounds, shared rows, text, csv, errors."""

import csv
import io

import numpy as np
import pytest
from scipy.stats import binomtest, norm
from sklearn.ensemble import IsolationForest, RandomForestClassifier
from sklearn.metrics import f1_score, precision_score, roc_auc_score, roc_curve

from robust.anomalies.anomaly_scores import as_detector, row_scores
from robust.anomalies.detecting import anomaly_detection
from robust.data.live import as_data
from robust.errors import InvalidInput, ModelFault
from robust.evidence import Fact, Figure, Rows
from robust.models.conversion import as_model


def shrinking(x):
    """An autoencoder that gives back what lies along the diagonal."""
    return np.repeat(x.mean(axis=1, keepdims=True), x.shape[1], axis=1)


def normal_rows(n, seed, d=4):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 1)) + 0.1 * rng.normal(size=(n, d))


def drawn(seed=1, n=300, size=1.0):
    rng = np.random.default_rng(seed)
    x, y = normal_rows(n, seed + 100), (np.arange(n) % 3 == 0).astype(int)
    x[y == 1] += size * rng.normal(size=(int(y.sum()), 4))
    return x, y


HELD_OUT = normal_rows(500, 0)


def errors(x):
    return ((x - shrinking(x)) ** 2).mean(axis=1)


def test_by_hand():
    # Errors of a model that gives back zeros are mean squares: held out 1, 4, …; two normal and two anomalous rows.
    held_out = np.arange(1.0, 60.0)[:, None] * np.ones(2)
    test = np.array([[1.0, 1.0], [60.0, 60.0], [59.0, 59.0], [100.0, 0.0]])
    report = anomaly_detection(lambda x: 0 * x, (test, [0, 0, 1, 1]), normal=held_out)
    assert report.kind == "reconstruction"
    assert report.threshold.value == np.nextafter(59.0**2, np.inf)  # the largest of 59, the fewest that do
    assert (report.tpr.value, report.fpr.value) == (0.5, 0.5)  # 59² is no alarm, 3600 and 5000 are
    assert report.auc.value == 0.75
    assert (report.normal_error.value, report.anomalous_error.value) == (1800.5, 4240.5)
    assert (report.normal_std, report.anomalous_std) == (1799.5, 759.5)


def test_against_scikit_learn():
    x, y = drawn()
    report = anomaly_detection(shrinking, (x, y), normal=HELD_OUT)
    e, called = errors(x), errors(x) >= report.threshold.value
    assert report.tpr.value == called[y == 1].mean()
    assert report.fpr.value == called[y == 0].mean()
    assert report.auc.value == pytest.approx(roc_auc_score(y, e))
    assert report.normal_error.value == pytest.approx(e[y == 0].mean())
    assert report.anomalous_error.value == pytest.approx(e[y == 1].mean())
    assert (report.normal_std, report.anomalous_std) == (e[y == 0].std(), e[y == 1].std())
    for m, rows in ((report.tpr, y == 1), (report.fpr, y == 0)):
        oracle = binomtest(int(called[rows].sum()), int(rows.sum())).proportion_ci(0.9, method="exact")
        assert (m.lower, m.upper, m.n) == pytest.approx((oracle.low, oracle.high, rows.sum()))
    assert report.auc.method == "delong"
    assert [m.name for m in report] == ["threshold", "tpr", "fpr", "auc", "normal_error", "anomalous_error"]
    assert [m.higher_is_better for m in report] == [None, True, False, True, False, True]
    # Each row of the table is a point of scikit-learn's curve, or between two.
    for threshold, tpr, fpr, precision, f1 in zip(
        report.table.threshold, report.table.tpr, report.table.fpr, report.table.precision, report.table.f1, strict=True
    ):
        guess = e >= threshold
        assert (tpr, fpr) == (guess[y == 1].mean(), guess[y == 0].mean())
        assert precision == pytest.approx(precision_score(y, guess, zero_division=0))
        assert f1 == pytest.approx(f1_score(y, guess, zero_division=0))
    curve = roc_curve(y, e, drop_intermediate=False)
    assert {(a, b) for a, b in zip(report.table.fpr, report.table.tpr, strict=True)} <= set(
        zip(curve[0], curve[1], strict=True)
    )


def test_the_table_is_of_the_held_out_rows():
    report = anomaly_detection(shrinking, drawn(), normal=HELD_OUT)
    usual = errors(HELD_OUT)
    at = dict(zip(report.rules, report.table.threshold, strict=True))
    for k in np.arange(0, 5, 0.5):
        assert at[f"mean + {k:g} std"] == pytest.approx(usual.mean() + k * usual.std())
    assert at["quantile 0.99"] == pytest.approx(np.quantile(usual, 0.99))
    assert len(at) == 16
    assert (np.diff(report.table.threshold) >= 0).all()


def test_mean_and_spread_as_the_rule():
    report = anomaly_detection(shrinking, drawn(), normal=HELD_OUT, k=3)
    usual = errors(HELD_OUT)
    assert report.threshold.value == pytest.approx(usual.mean() + 3 * usual.std())
    facts = {part.name: part.value for part in report.threshold.evidence if isinstance(part, Fact)}
    assert facts["threshold"] == "mean + 3 standard deviations of 500 normal scores"
    assert facts["guarantee"].startswith("none")


def test_a_good_detector_passes_and_a_blind_one_fails():
    good = anomaly_detection(shrinking, drawn(), normal=HELD_OUT)
    assert (good.tpr > 0.8).status == "PASS"
    assert (good.fpr < 0.12).status == "PASS"
    assert (good.auc > 0.9).status == "PASS"
    rng = np.random.default_rng(0)
    noise = {row.tobytes(): rng.normal(size=4) for row in np.vstack([HELD_OUT, drawn()[0]])}
    blind = anomaly_detection(
        lambda x: x + np.array([noise[row.tobytes()] for row in x]), drawn(), normal=HELD_OUT, kind="reconstruction"
    )
    assert (blind.tpr > 0.8).status == "FAIL"
    assert (blind.auc > 0.9).status == "FAIL"


@pytest.mark.parametrize("shared", [1, 100])
def test_threshold_rows_among_the_test_are_invalid(shared):
    x, y = drawn()
    held_out = HELD_OUT.copy()
    held_out[:shared] = x[y == 0][:shared]
    report = anomaly_detection(shrinking, (x, y), normal=held_out)
    assert (report.fpr < 0.5).status == "INVALID"
    assert (report.tpr > 0.5).status == "INVALID"
    assert (report.auc > 0.5).status == "PASS"  # needs no threshold
    assert f"{shared} of 300 rows of data are among those of normal" in (report.fpr < 0.5).reason


def test_a_score_and_its_reconstruction_tell_the_same():
    x, y = drawn()
    one = anomaly_detection(shrinking, (x, y), normal=HELD_OUT)
    other = anomaly_detection(errors, (x, y), normal=HELD_OUT)
    assert (one.kind, other.kind) == ("reconstruction", "score")
    for a, b in zip(one, other, strict=True):
        assert (a.value, a.lower, a.upper) == pytest.approx((b.value, b.lower, b.upper))
    column = anomaly_detection(lambda x: errors(x)[:, None], (x, y), normal=HELD_OUT)
    assert column.tpr.value == other.tpr.value


def test_an_outlier_detector_scores_by_itself():
    x, y = drawn(size=4.0)
    forest = IsolationForest(random_state=0).fit(normal_rows(300, 9))
    report = anomaly_detection(forest, (x, y), normal=HELD_OUT)
    assert report.kind == "score"
    assert report.auc.value == pytest.approx(roc_auc_score(y, -forest.score_samples(x)))
    assert (report.auc > 0.5).status == "PASS"


def test_images_of_whole_numbers_do_not_wrap_around():
    rng = np.random.default_rng(0)
    held_out = rng.integers(0, 256, (80, 1, 5, 6), dtype=np.uint8)
    data = as_data(held_out)
    bright = as_model(lambda x: x.astype(float) + 3.0)
    found, kind = row_scores(as_detector(bright), data, None)
    assert kind == "reconstruction"
    np.testing.assert_allclose(found, 9.0)
    wrapped, _ = row_scores(as_detector(as_model(lambda x: np.full_like(x, 255))), data, None)
    np.testing.assert_allclose(wrapped, ((held_out.reshape(80, -1).astype(float) - 255) ** 2).mean(axis=1))
    flat, _ = row_scores(as_detector(as_model(lambda x: x.reshape(len(x), -1) + 3.0)), data, None)
    np.testing.assert_allclose(flat, 9.0)


@pytest.mark.parametrize("anomalous", ["crack", ["crack", "dent"]])
def test_labels_of_any_kind(anomalous):
    x, y = drawn()
    kinds = np.where(y == 1, np.where(np.arange(300) % 2 == 0, "crack", "dent"), "fine")
    report = anomaly_detection(shrinking, (x, kinds), normal=HELD_OUT, anomalous=anomalous)
    assert report.tpr.n == np.isin(kinds, anomalous).sum()


@pytest.mark.parametrize("given", [{"order": np.arange(300)}, {"groups": np.arange(300) // 4}])
def test_rows_that_depend_on_each_other(given):
    x, y = drawn()
    report = anomaly_detection(shrinking, as_data(x, y, **given), normal=HELD_OUT)
    free = anomaly_detection(shrinking, (x, y), normal=HELD_OUT)
    for a, b in zip(list(report)[1:], list(free)[1:], strict=True):
        assert a.value == pytest.approx(b.value)
        assert a.method in ("block-bootstrap", "cluster-bootstrap")
    grouped = as_data(HELD_OUT, groups=np.arange(500) // 5)
    facts = anomaly_detection(shrinking, (x, y), normal=grouped).threshold.evidence
    assert any(isinstance(part, Fact) and "depend on each other" in str(part.value) for part in facts)


def test_row_order_and_seed_do_not_matter_to_what_is_exact():
    x, y = drawn()
    order = np.random.default_rng(0).permutation(300)
    one = anomaly_detection(shrinking, (x, y), normal=HELD_OUT, seed=1)
    other = anomaly_detection(shrinking, (x[order], y[order]), normal=HELD_OUT[::-1].copy(), seed=1)
    for a, b in zip(one, other, strict=True):
        assert (a.value, a.lower, a.upper) == pytest.approx((b.value, b.lower, b.upper), abs=1e-12)


def test_text_and_csv():
    report = anomaly_detection(
        lambda x: 0 * x, (np.diag([1.0, 2.0, 30.0, 40.0]), [0, 0, 1, 1]), normal=np.ones((59, 4))
    )
    assert report.text.splitlines() == [
        "Normal Data:",
        "  Mean reconstruction error: 0.625",
        "  Std reconstruction error: 0.375",
        "Anomaly Data:",
        "  Mean reconstruction error: 312.5",
        "  Std reconstruction error: 87.5",
        "Recommended threshold: 1",
        "At threshold 1:",
        "  TPR: 1",
        "  FPR: 0",
    ]
    lines = list(csv.reader(io.StringIO(report.csv)))
    assert lines[0] == ["rule", "threshold", "tpr", "fpr", "precision", "recall", "f1"]
    assert {line[0] for line in lines[1:]} == set(report.rules)
    np.testing.assert_array_equal(np.array([line[1:4] for line in lines[1:]], dtype=float)[:, 1], report.table.tpr)
    score = anomaly_detection(errors, drawn(), normal=HELD_OUT).text
    assert score.splitlines()[1].startswith("  Mean score: ")


def test_evidence():
    x, y = drawn(size=0.3)
    ids = np.array([f"part-{i}" for i in range(300)])
    report = anomaly_detection(shrinking, as_data(x, y, ids=ids), normal=HELD_OUT)
    (histogram,) = (part for part in report.threshold.evidence if isinstance(part, Figure))
    assert histogram.kind == "histogram"
    assert set(histogram.columns[1].values) == {"normal", "anomalous"}
    assert histogram.rules[0][1] == report.threshold.value
    (missed,) = (part for part in report.tpr.evidence if isinstance(part, Rows))
    e = errors(x)
    below = (y == 1) & (e < report.threshold.value)
    assert missed.total == below.sum() > 0
    assert missed.ids[0] == ids[below][np.argmin(e[below])]
    (alarms,) = (part for part in report.fpr.evidence if isinstance(part, Rows))
    above = (y == 0) & (e >= report.threshold.value)
    assert (alarms.total, alarms.ids[0]) == (above.sum(), ids[above][np.argmax(e[above])])


def test_new_normal_rows_keep_the_guarantee_through_the_whole_measure():
    # Scores are the rows themselves, normal; of 60 draws at 5 %, 8 or more beyond it come with probability 2 %.
    beyond = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        report = anomaly_detection(
            lambda x: x[:, 0], (rng.normal(size=(4, 2)), [0, 0, 1, 1]), normal=rng.normal(size=(60, 2)), quantile=0.9
        )
        beyond += norm.sf(report.threshold.value) > 0.1
    assert beyond <= 8


# --- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"normal": HELD_OUT[:58]}, r"58 normal rows are too few .* quantile 0.95 .* at least 59 are needed"),
        ({"quantile": 0.999}, "500 normal rows are too few .* at least 2995 are needed"),
        ({"k": 2, "quantile": 0.9}, "k=2 and quantile=0.9 are two rules for one threshold"),
        ({"k": -1}, "k got -1; a number of standard deviations, at least 0"),
        ({"k": "3"}, "k got '3'"),
        ({"quantile": 95}, "quantile got 95; a share strictly between 0 and 1"),
        ({"level": 95}, "level got 95"),
        ({"anomalous": 2}, r"anomalous got \[2\], which no row of data has; its labels are \[0, 1\]"),
        ({"anomalous": []}, "anomalous got no label"),
        ({"anomalous": [0, 1]}, "all 300 rows of data are anomalous"),
        ({"kind": "score"}, "gives 4 numbers a row; a score is one"),
        ({"normal": np.ones((80, 3))}, r"normal has rows of shape \(3,\), data of \(4,\)"),
        ({"normal": (HELD_OUT, np.arange(500) % 2)}, "250 of 500 rows of normal=normal are labelled anomalous"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(InvalidInput, match=message):
        anomaly_detection(shrinking, drawn(), **{"normal": HELD_OUT, **options})


def test_data_and_models_that_do_not_fit_are_refused():
    x, y = drawn()
    holes = np.where(np.arange(300)[:, None] == 5, np.nan, x)
    for model, data, message in (
        (shrinking, (x, y * 0.5 + 0.25), r"the targets of data are float64 of shape \(300,\); one label a row"),
        (shrinking, (x, np.eye(2)[y]), r"float64 of shape \(300, 2\); one label a row"),
        (shrinking, x, "has no targets"),
        (lambda x: x[:, :3], (x, y), r"gives 3 numbers for rows of shape \(4,\); a reconstruction has 4"),
        (lambda x: np.nan_to_num(x), (holes, y), r"data has missing values \(NaN\)"),
        (lambda x: x * 1e160, (x, y), "gives scores or errors of up to inf: rescale them"),
        (lambda x: x[:, 0] * 1e160, (x, y), r"scores or errors of up to \d.*e\+160: rescale them"),
        (as_model(shrinking, task="classification"), (x, y), "is a classification model, not an autoencoder"),
        (RandomForestClassifier(n_estimators=2).fit(x, y), (x, y), "choose_threshold and at_threshold judge"),
    ):
        with pytest.raises(InvalidInput, match=message):
            anomaly_detection(model, data, normal=HELD_OUT)
    with pytest.raises(InvalidInput, match='one number for rows of one feature: say kind="reconstruction"'):
        anomaly_detection(lambda x: x, (x[:, :1], y), normal=HELD_OUT[:, :1])
    with pytest.raises(ModelFault, match="NaN or infinity"):
        anomaly_detection(lambda x: x * np.nan, (x, y), normal=HELD_OUT)
    image = np.random.default_rng(0).random((60, 5, 6, 1))
    with pytest.raises(ModelFault, match="a reconstruction has the shape of its row, in the same order of axes"):
        anomaly_detection(lambda x: x.transpose(0, 2, 1, 3), (image, np.arange(60) % 2), normal=image)
