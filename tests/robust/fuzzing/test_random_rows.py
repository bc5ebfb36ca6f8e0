"""Random rows of all levels: they are where they are said to be, and a row hangs on seed and index alone."""

import itertools

import numpy as np
import pytest

from robust import as_data, as_model
from robust.data.schema import build_schema
from robust.errors import InvalidInput
from robust.fuzzing.domain import domain_of
from robust.fuzzing.edge_rows import edge_ladder, edge_rows
from robust.fuzzing.odd_rows import odd_rows, odd_table, oddities
from robust.fuzzing.random_attack import fuzz
from robust.fuzzing.random_rows import inside_rows
from robust.fuzzing.row_source import TURNS, Draws, RowSource, block_rows
from robust.fuzzing.streams import fuzz_streams
from robust.fuzzing.subject import subject_of

RNG = np.random.default_rng(3)


def drawn(make, domain, n=2048, seed=0, stream=1):
    return RowSource(make=make, width=domain.width, seed=seed, stream=stream).take(0, n)


def inside(domain, n=2048, **options):
    return drawn(lambda draws: inside_rows(domain, draws), domain, n, **options)


def edges(domain, n=2048):
    ladder = edge_ladder(domain)
    return drawn(lambda draws: edge_rows(domain, draws, ladder=ladder), domain, n)


def odd(domain, kind, n=2048):
    table, fixed = odd_table(domain, kind), np.zeros(domain.width, dtype=bool)
    return drawn(
        lambda draws: odd_rows(domain, draws, inside_rows(domain, draws), oddity=kind, table=table, fixed=fixed),
        domain,
        n,
    )


def mixed():
    """Every kind of feature and relation at once, of 200 rows."""
    n = 200
    a, b = RNG.integers(0, 50, n).astype(float), RNG.integers(0, 50, n).astype(float)
    low = RNG.random(n)
    city = np.eye(3)[RNG.integers(0, 3, n)]
    x = np.column_stack([a, b, a + b, low, low + RNG.random(n), RNG.integers(0, 2, n), city, RNG.normal(size=n)])
    names = ["a", "b", "total", "low", "high", "sex", "city_a", "city_b", "city_c", "free"]
    schema = {
        "a": {"kind": "integer", "bounds": (0, 60)},
        "b": {"kind": "integer", "bounds": (0, 60)},
        "total": {"kind": "integer", "bounds": (0, 120)},
        "low": {"bounds": (0, 2)},
        "high": {"bounds": (0, 2)},
        "sex": {"kind": "binary", "immutable": True},
        **{f"city_{c}": {"one_hot": "city"} for c in "abc"},
        "relations": ["total = a + b", "low <= high"],
    }
    return as_data(x, names=names, schema=schema)


SCHEMAS = {
    "mixed": mixed(),
    "unit": as_data(RNG.random((50, 4)).astype(np.float32), schema={"bounds": (0, 1)}),
    "image": as_data((0.2 + 0.6 * RNG.random((20, 1, 4, 4))).astype(np.float32), schema={"bounds": (0.1, 0.9)}),
    "bytes": as_data(RNG.integers(0, 255, (30, 5)).astype(np.uint8)),
    "flags": as_data(RNG.integers(0, 2, (30, 5)).astype(bool)),
    "far apart": as_data(RNG.random((30, 2)), schema={"bounds": (-1.7e308, 1.7e308)}),
    "narrow": as_data((1e8 + 8 * RNG.integers(0, 2, (30, 2))).astype(np.float32), schema={"bounds": (1e8, 1e8 + 8)}),
    "constant": as_data(np.full((10, 3), 7.0)),
    "halves": as_data(RNG.random((30, 2)).astype(np.float16), schema={"bounds": (0, 1)}),
}


@pytest.mark.parametrize("name", SCHEMAS)
@pytest.mark.parametrize("make", [inside, edges])
def test_rows_inside_and_at_the_edges_obey_the_schema(name, make):
    data = SCHEMAS[name]
    domain = domain_of(data)
    rows = make(domain)
    assert rows.dtype == data.x.dtype
    assert data.schema.violations(rows.reshape(len(rows), *data.schema.shape)) == []
    assert domain.obeyed(rows).all()
    assert np.isfinite(rows.astype(float)).all()
    assert (rows >= domain.lower).all()
    assert (rows <= domain.upper).all()


def test_obeyed_agrees_with_the_schema_on_rows_that_break_it():
    data = SCHEMAS["mixed"]
    domain = domain_of(data)
    rows = inside(domain, 500).copy()
    rows[0, 0] += 0.5
    rows[1, 2] += 1
    rows[2, 6:9] = 1
    rows[3, 3] = rows[3, 4] + 1
    rows[4, 1] = 61
    rows[5, 9] = np.nan
    rows[6, 9] = np.inf
    assert np.flatnonzero(~domain.obeyed(rows)).tolist() == [0, 1, 2, 3, 4, 5, 6]
    for i in range(5):
        assert data.schema.violations(rows[i : i + 1])


def test_linked_features_leave_the_data_s_own_rows():
    data = SCHEMAS["mixed"]
    rows = inside(domain_of(data))
    known = {tuple(row) for row in data.x[:, :3]}
    assert len({tuple(row) for row in rows[:, :3]} - known) > 500
    assert len(np.unique(rows[:, 9])) > 1000
    assert rows[:, 6:9].mean(axis=0) == pytest.approx([1 / 3] * 3, abs=0.08)


def test_uniform_rows_are_uniform():
    from scipy.stats import kstest

    rows = inside(domain_of(SCHEMAS["unit"]), 8000)
    uniform = rows.reshape(-1, TURNS, 4)[:, :4].reshape(-1, 4)
    for column in uniform.T:
        assert kstest(column, "uniform").pvalue > 1e-3
    assert np.abs(np.corrcoef(uniform.T) - np.eye(4)).max() < 0.06


def test_edges_hold_what_they_promise():
    domain = domain_of(SCHEMAS["unit"])
    rows = edges(domain)
    last = np.nextafter(np.float32(1), np.float32(0))
    for value in (0.0, 1.0, last, np.nextafter(np.float32(0), np.float32(1))):
        assert (rows == value).any(axis=0).all()
    assert np.signbit(rows[rows == 0]).any()
    assert (rows == rows[:, :1]).all(axis=1).sum() > 200  # one value for all features
    data = {row.tobytes() for row in SCHEMAS["unit"].x}
    assert sum(row.tobytes() in data for row in rows) > 200
    assert (rows[1:] == rows[:-1]).all(axis=1).sum() > 200
    corners = {tuple(row) for row in rows if set(row.tolist()) <= {0.0, 1.0}}
    assert len(corners) == 16


def test_one_hot_groups_all_at_their_first_and_last_member():
    rows = edges(domain_of(SCHEMAS["mixed"]))
    share = rows[:, 6:9].mean(axis=0)
    assert share[0] > 0.35
    assert share[2] > 0.35


@pytest.mark.parametrize("name", ["mixed", "unit", "image", "halves", "far apart", "narrow"])
def test_odd_rows_are_odd(name):
    domain = domain_of(SCHEMAS[name])
    largest = float(np.finfo(domain.dtype).max)
    for kind in oddities(domain):
        rows = odd(domain, kind)
        ordinary = domain.obeyed(rows)
        assert 0.2 < ordinary.mean() < (1.01 if kind == "denormal" or name == "far apart" else 0.3), kind
        with np.errstate(invalid="ignore"):
            seen = {
                "nan": lambda x: np.isnan(x).any(),
                "infinite": lambda x: (x == np.inf).any() and (x == -np.inf).any(),
                "huge": lambda x: (
                    (x == largest).any() and (np.abs(x[np.isfinite(x)]) >= min(1e29, largest / 100)).any()
                ),
                "denormal": lambda x: ((np.abs(x) > 0) & (np.abs(x) < np.finfo(x.dtype).tiny)).any(),
                "beyond": lambda x: (x > domain.upper).any() and (x < domain.lower).any(),
                "unlike": lambda x: (x[:, domain.whole] != np.rint(x[:, domain.whole])).any(),
            }
        assert seen[kind](rows), kind


def test_integers_have_limits_and_next_numbers_as_odd_values():
    domain = domain_of(as_data(RNG.integers(10, 20, (30, 3)).astype(np.int16)))
    assert oddities(domain) == ("huge", "beyond")
    assert {-32768, 32767} <= set(odd(domain, "huge").ravel().tolist())
    assert {9, 20} <= set(odd(domain, "beyond").ravel().tolist())


def test_values_that_the_data_lacks_are_missing_inside_too():
    x = RNG.random((100, 3))
    x[::4, 1] = np.nan
    domain = domain_of(as_data(x))
    rows = inside(domain)
    assert np.isnan(rows).any(axis=0).tolist() == [False, True, False]
    assert domain.obeyed(rows).all()


@pytest.mark.parametrize("width", [1, 7, 100, 40_000])
def test_a_row_hangs_on_its_index_alone(width):
    def make(draws):
        return draws.uniform(width, 1)

    whole = RowSource(make=make, width=width, seed=5, stream=9).take(0, 600 if width < 1000 else 20)
    other = RowSource(make=make, width=width, seed=5, stream=9)
    for start, stop in ((0, 1), (3, 17), (len(whole) - 5, len(whole)), (7, 8)):
        assert np.array_equal(other.take(start, stop), whole[start:stop])
    assert not np.array_equal(RowSource(make=make, width=width, seed=6, stream=9).take(0, 8), whole[:8])
    assert not np.array_equal(RowSource(make=make, width=width, seed=5, stream=8).take(0, 8), whole[:8])
    assert len(np.unique(whole[:, 0])) > 0.9 * len(whole)
    assert block_rows(width) % TURNS == 0


def test_draws_are_uniform_and_of_sixteen_bits():
    numbers = Draws(seed=1, stream=2, block=3, rows=256).uniform(100, 4)
    assert numbers.dtype == np.float32
    assert np.array_equal(numbers * 65536, np.rint(numbers * 65536))
    assert 0 <= numbers.min() < 0.001
    assert 0.999 < numbers.max() < 1


def test_the_simplest_row_is_of_zeros_where_they_are_inside():
    assert domain_of(SCHEMAS["mixed"]).base.tolist() == [0, 0, 0, 0, 0, 0, 1, 0, 0, 0]
    assert domain_of(SCHEMAS["constant"]).base.tolist() == [7.0] * 3
    assert domain_of(SCHEMAS["image"]).base.min() >= 0.1


def test_a_schema_alone_needs_bounds_and_rows_that_obey_it():
    names, shape = ("a", "b", "total"), (3,)
    schema = build_schema({"bounds": (1, 5), "relations": ["total = a + b"]}, names=names, shape=shape)
    domain = domain_of(schema)
    rows = inside(domain)
    assert domain.obeyed(rows).all()
    assert len(np.unique(rows[:, 0])) > 500
    with pytest.raises(InvalidInput, match="leaves bounds of 3 features open \\('a', 'b', 'total'\\)"):
        domain_of(build_schema({}, names=names, shape=shape))
    with pytest.raises(InvalidInput, match="contradict each other"):
        domain_of(build_schema({"bounds": (3, 5), "relations": ["total = a + b"]}, names=names, shape=shape))


def test_blocks_are_made_once_while_they_are_kept():
    made = []

    def make(draws):
        made.append(draws.block)
        return np.full((draws.rows, 1), draws.block)

    size = block_rows(1)
    for keep, count in ((1, 6), (2, 6), (3, 3)):
        made.clear()
        source = RowSource(make=make, width=1, seed=0, stream=0, keep=keep)
        for _ in range(2):
            assert source.take(0, 3 * size)[::size, 0].tolist() == [0, 1, 2]
        assert len(made) == count


def test_odd_values_of_all_kinds_stand_in_the_same_ordinary_rows():
    data = as_data(np.random.default_rng(0).random((50, 6)), schema={"bounds": (0, 1)})
    domain = domain_of(data)
    subject = subject_of(as_model(lambda x: x[:, 0]), data.schema, data.x.dtype)
    streams = [one for one in fuzz_streams(domain, subject, ("outside",), n=20_000, seed=3) if one.rows > 100]
    blocks = [stream.source.take(0, 500) for stream in streams]
    assert len(blocks) == 5
    same = [(one == other).all(axis=1).mean() for one, other in itertools.combinations(blocks, 2)]
    # A quarter of the rows have no odd values: the first, or the second.
    assert all(share == 0 or 0.2 < share < 0.3 for share in same)
    assert 3 <= np.count_nonzero(same) < len(same)
    assert not any(np.array_equal(one, other, equal_nan=True) for one, other in itertools.combinations(blocks, 2))


def test_what_the_first_row_alone_decides_is_found():
    data = as_data(np.random.default_rng(0).random((50, 6)), schema={"bounds": (0, 1)})

    def turned(x):
        answers = np.nan_to_num(x).sum(axis=1)
        return answers if len(x) == 0 or np.isfinite(x[0]).all() else answers[::-1]

    for seed in range(3):
        found = fuzz(as_model(turned, task="regression"), data, n=4_000, seed=seed)
        assert {example.property for example in found.examples} >= {"batch invariance"}
