import numpy as np

from robust import accuracy, as_model, degradation
from robust.data.live import as_data
from robust.evidence import Fact, Slices
from robust.measures.slicing import slicings
from robust.measures.truth import score
from robust.metrics.classification import ACCURACY
from robust.predicting.predictions import predict

N = 400
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 1))
Y = (X[:, 0] > 0).astype(int)
SIGN = as_model(lambda x: (x[:, 0] > 0).astype(int), name="sign")


def tables(**slices):
    data = as_data(X, Y, slices=slices)
    return slicings(score(ACCURACY, predict(SIGN, data), data), data)


def test_classes_come_first_and_parts_cover_all_rows_once():
    (by_class, by_site), facts = tables(site=np.repeat(["a", "b"], N // 2))
    assert (by_class.by, by_site.by, facts) == ("class", "site", ())
    assert [name for name, _ in by_site.parts] == ["site=a", "site=b"]
    assert np.sum([rows for _, rows in by_site.parts], axis=0).tolist() == [1] * N


def test_numbers_with_many_values_are_cut_at_their_quartiles():
    (_, by_age), _ = tables(age=np.arange(N, dtype=float))
    assert [int(rows.sum()) for _, rows in by_age.parts] == [100] * 4
    assert sorted(name for name, _ in by_age.parts)[0] == "age=0 .. 99.75"


def test_text_with_too_many_values_is_named_and_not_sliced():
    found, facts = tables(row=np.array([f"r{i}" for i in range(N)]))
    assert [table.by for table in found] == ["class"]
    assert facts == (Fact(name="not sliced by row", value="400 values in 400 rows"),)


def test_bounds_of_all_parts_hold_at_once():
    (table,), _ = tables()
    assert table.level(0.95) == 0.975


def test_slices_of_grouped_rows_have_the_bounds_of_clusters():
    groups = np.repeat(np.arange(40), 10)
    wrong = (groups % 8 == 0).astype(int)  # whole groups are wrong
    model = as_model(lambda x: x[:, 0].astype(int), name="echo")
    alone, grouped = (
        accuracy(model, as_data(wrong[:, None].astype(float), np.zeros(N, int), **given))
        for given in ({}, {"groups": groups})
    )
    width = [next(e for e in m.evidence if isinstance(e, Slices)).slices[0] for m in (alone, grouped)]
    assert width[1].upper - width[1].lower > 1.5 * (width[0].upper - width[0].lower)


def test_the_worst_slice_of_a_degradation_comes_first():
    site = np.where(np.arange(N) % 4 == 0, "bad", "good")
    data = as_data(np.column_stack([X[:, 0], site == "bad"]), Y, slices={"site": site})
    new = as_model(lambda x: np.where(x[:, 1] == 1, 0, (x[:, 0] > 0).astype(int)), name="new")
    found = [e for e in degradation(SIGN, new, data).evidence if isinstance(e, Slices) and e.by == "site"]
    assert [part.name for part in found[0].slices] == ["site=bad", "site=good"]
    assert found[0].slices[0].lower > 0.2
    assert found[0].slices[1].value == 0
