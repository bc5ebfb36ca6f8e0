import pytest
from scipy.stats import binomtest
from statsmodels.stats.contingency_tables import mcnemar

from robust.errors import InvalidInput
from robust.intervals.mcnemar import mcnemar_p


@pytest.mark.parametrize(("b", "c"), [(0, 1), (5, 0), (3, 7), (7, 3), (26, 12), (241, 58), (500, 501), (1, 2)])
def test_it_agrees_with_scipy_and_statsmodels(b, c):
    assert mcnemar_p(b, c) == pytest.approx(binomtest(b, b + c).pvalue, rel=1e-9)
    assert mcnemar_p(b, c) == pytest.approx(mcnemar([[9, b], [c, 4]], exact=True).pvalue, rel=1e-9)


def test_balanced_flips_and_no_flips_are_no_evidence():
    assert mcnemar_p(0, 0) == 1.0
    assert mcnemar_p(8, 8) == 1.0


def test_a_broken_model_is_found():
    assert mcnemar_p(60, 10) < 1e-9


@pytest.mark.parametrize(("b", "c", "message"), [(-1, 0, "b got -1"), (1, 0.5, r"c got 0\.5"), (True, 0, "b got True")])
def test_bad_input(b, c, message):
    with pytest.raises(InvalidInput, match=message):
        mcnemar_p(b, c)
