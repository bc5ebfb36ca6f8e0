"""Strategies for properties of users: rows obey the schema, and failures shrink to simple ones."""

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from robust import as_data
from robust.errors import InvalidInput
from robust.fuzzing import batches, rows
from robust.fuzzing.domain import domain_of

RNG = np.random.default_rng(0)
X = np.column_stack([RNG.random(40), RNG.integers(18, 90, 40), np.eye(2)[RNG.integers(0, 2, 40)], RNG.random(40)])
DATA = as_data(
    X,
    names=["share", "age", "red", "blue", "twice"],
    schema={
        "share": {"bounds": (0, 1)},
        "age": {"kind": "integer", "bounds": (18, 120)},
        "red": {"one_hot": "colour"},
        "blue": {"one_hot": "colour"},
    },
)
IMAGES = as_data(RNG.random((9, 1, 3, 3)).astype(np.float32), schema={"bounds": (0, 1)})
QUIET = settings(
    database=None,
    max_examples=60,
    deadline=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)


@QUIET
@given(batches(DATA))
def test_batches_obey_the_schema(x):
    assert x.dtype == np.float64
    assert x.shape[1:] == (5,)
    assert 1 <= len(x) <= 16
    assert DATA.schema.violations(x) == []


@QUIET
@given(rows(IMAGES, level="edges"))
def test_rows_have_the_shape_and_type_of_the_data(row):
    assert row.shape == (1, 3, 3)
    assert row.dtype == np.float32
    assert IMAGES.schema.violations(row[None]) == []


@QUIET
@given(rows(IMAGES.schema))
def test_a_schema_is_enough(row):
    assert IMAGES.schema.violations(row[None]) == []


@QUIET
@given(batches(DATA, min_rows=0, max_rows=2))
def test_numbers_of_rows(x):
    assert len(x) <= 2


def seeded(strategy, condition):
    import random

    return find(strategy, condition, settings=QUIET, random=random.Random(1))


def test_failures_shrink_to_one_feature():
    row = seeded(rows(IMAGES), lambda row: row[0, 1, 2] > 0.5)
    assert np.count_nonzero(row) == 1
    assert row[0, 1, 2] == 1.0
    batch = seeded(batches(DATA), lambda x: (x[:, 1] > 60).any())
    assert batch.tolist() == [[0.0, 61.0, 1.0, 0.0, domain_of(DATA).base[4]]]


def test_outside_is_outside():
    outside = rows(DATA, level="outside")
    assert np.isnan(seeded(outside, lambda row: np.isnan(row).any())).sum() == 1
    assert seeded(outside, lambda row: row[1] > 120)[1] > 120
    assert np.isinf(seeded(outside, lambda row: np.isinf(row).any())).any()


@given(st.data())
@settings(QUIET, max_examples=3)
def test_a_row_is_the_user_s_own(data):
    strategy = rows(IMAGES)
    one = data.draw(strategy)
    one += 5
    assert data.draw(strategy).max() <= 1


@pytest.mark.parametrize("counts", [(2, 1), (-1, 3), (1.0, 2), (True, 2)])
def test_numbers_of_rows_are_checked(counts):
    with pytest.raises(InvalidInput, match="min_rows"):
        batches(DATA, min_rows=counts[0], max_rows=counts[1])


def test_levels_are_checked():
    with pytest.raises(InvalidInput, match="level got 'inner'"):
        rows(DATA, level="inner")
