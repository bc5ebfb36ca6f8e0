"""The checks of operating points as the audit runs them."""

import numpy as np
import pytest

from robust.check import Subject
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Fact, Figure
from robust.models.conversion import as_model
from robust.operating.checks import CHECKS, BestF1Options, OperatingOptions
from robust.operating.choosing import choose_threshold
from robust.operating.threshold_rates import at_threshold

OPERATING, BEST = CHECKS


def drawn(seed, n=400, noise=1.0):
    """Rows that hold their own score."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    return (1 / (1 + np.exp(-(2 * y - 1 + noise * rng.normal(size=n)))))[:, None], y


def several(seed, n=600):
    """Three classes, of which the last is hard to tell from the second."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    logits = np.eye(3)[y] * [6.0, 3.0, 1.0] + rng.normal(size=(n, 3))
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), y


def subject(rows=drawn, **changes):
    model = as_model(lambda x: x[:, 0] if x.shape[1] == 1 else x, output="probabilities")
    fields = {"model": model, "task": "classification", "test": as_data(*rows(1)), "validation": as_data(*rows(2))}
    return Subject(**(fields | changes))


def fact(m, name):
    (found,) = (item.value for item in m.evidence if isinstance(item, Fact) and item.name == name)
    return found


def test_codes_and_names():
    assert [(check.code, check.name) for check in CHECKS] == [("MET041", "at_threshold"), ("MET042", "best_f1")]
    assert BEST.by_request


@pytest.mark.parametrize("figure", ["f1", "tpr", "fpr", "precision"])
def test_the_figure_that_is_asked_for_comes_first(figure):
    own = subject()
    found = OPERATING.run(own, OperatingOptions(figure=figure))
    assert found[0].name == figure
    assert {m.name for m in found} == {"tpr", "fpr", "precision", "f1"}
    rates = at_threshold(own.model, own.test, choose_threshold(own.model, own.validation))
    expected = getattr(rates, figure)
    assert (found[0].value, found[0].lower, found[0].upper) == (expected.value, expected.lower, expected.upper)


def test_the_limits_of_the_choice_are_handed_on():
    own = subject()
    fpr = OPERATING.run(own, OperatingOptions(figure="fpr", maximize="tpr", max_fpr=0.05))[0]
    assert fpr.value < 0.12
    assert "largest tpr, fpr ≤ 0.05" in fact(fpr, "threshold")


def test_a_threshold_from_test_rows_is_invalid():
    own = subject(validation=as_data(*drawn(1)))
    f1, *others = OPERATING.run(own, OperatingOptions())
    assert (f1 > 0.01).status == "INVALID"
    assert "400 of 400 rows" in (f1 > 0.01).reason
    fpr = next(m for m in others if m.name == "fpr")
    assert (fpr < 0.99).status == "INVALID"


def test_of_several_classes_the_hardest_of_the_validation_rows_is_judged():
    own = subject(several)
    found = OPERATING.run(own, OperatingOptions())
    assert found[0].provenance.options[0] == ("positive", "2")
    assert fact(found[0], "class that is detected").startswith("2: its best F1 on the validation rows")
    named = OPERATING.run(own, OperatingOptions(positive=0))
    assert fact(named[0], "class that is detected") == "0"
    assert named[0].value > found[0].value


def test_the_test_rows_have_no_part_in_the_choice_of_the_class():
    x, y = several(1)
    turned = subject(several, test=as_data(x, (y + 1) % 3))  # now all classes are hard, the first most of all
    assert OPERATING.run(turned, OperatingOptions())[0].provenance.options[0] == ("positive", "2")


def test_several_labels_a_row():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, (300, 3))
    x = np.clip(0.5 + (y - 0.5) * [0.9, 0.5, 0.1] + 0.1 * rng.normal(size=(300, 3)), 0, 1)
    own = Subject(
        model=as_model(lambda x: x, output="probabilities", task="multilabel"),
        task="multilabel",
        test=as_data(x[:150], y[:150]),
        validation=as_data(x[150:], y[150:]),
    )
    assert OPERATING.run(own, OperatingOptions())[0].provenance.options[0] == ("positive", "2")


def test_a_useless_model_fails():
    useless = as_model(lambda x: np.modf(1e4 * x[:, 0])[0], output="probabilities")
    tpr = OPERATING.run(subject(model=useless), OperatingOptions(figure="tpr", maximize="tpr", max_fpr=0.05))[0]
    assert (tpr > 0.5).status == "FAIL"


def test_the_best_f1_needs_a_class_where_there_are_several():
    assert BEST.run(subject(), BestF1Options()).name == "best_f1"
    with pytest.raises(InvalidInput, match="name the one that is detected"):
        BEST.run(subject(several), BestF1Options())
    found = BEST.run(subject(several), BestF1Options(positive="2", grid="tenths"))
    assert found.threshold in [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]


def test_evidence_has_a_figure():
    found = OPERATING.run(subject(), OperatingOptions())
    assert any(isinstance(item, Figure) for item in found[0].evidence)


def test_without_validation_rows_it_is_said():
    with pytest.raises(InvalidInput, match=r"no validation rows: .*validation in \[data\]"):
        OPERATING.run(subject(validation=None), OperatingOptions())
