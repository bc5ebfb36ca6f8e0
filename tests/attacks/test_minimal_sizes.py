"""Norms of moves and of gradients, against numpy's and against each other."""

import numpy as np
import pytest

from robust.attacks.minimal_sizes import dual_norms, fits, move_sizes, sizes_of, smallest_move
from robust.attacks.obedience import obeys
from robust.attacks.projection import space_of
from robust.data.live import as_data

ORDER = {"linf": np.inf, "l2": 2, "l1": 1}


def space(norm, units, dtype=np.float64):
    schema = as_data(np.zeros((1, len(units)))).schema
    return space_of(schema, np.dtype(dtype), eps=np.asarray(units, dtype=float), norm=norm)


@pytest.mark.parametrize("norm", ORDER)
def test_norms_are_those_of_the_moves_in_units(norm):
    rng = np.random.default_rng(0)
    units, x, move = rng.uniform(0.5, 3, 6), rng.normal(size=(9, 6)), rng.normal(size=(9, 6))
    wanted = np.linalg.norm(move / units, ord=ORDER[norm], axis=1)
    assert sizes_of(space(norm, units), x, x + move) == pytest.approx(wanted)
    assert move_sizes(space(norm, units), move) == pytest.approx(wanted)
    gradient = rng.normal(size=(9, 6))
    dual = np.linalg.norm(gradient * units, ord={"linf": 1, "l2": 2, "l1": np.inf}[norm], axis=1)
    assert dual_norms(space(norm, units), gradient) == pytest.approx(dual)
    assert (np.sum(gradient * move, axis=1) <= dual * wanted * (1 + 1e-12)).all()  # Hölder's inequality


@pytest.mark.parametrize("norm", ORDER)
def test_neither_small_nor_missing_nor_fixed_features_disturb(norm):
    tiny = np.full((1, 3), 1e-200)
    assert move_sizes(space(norm, np.ones(3)), tiny)[0] == pytest.approx(
        np.linalg.norm([1, 1, 1], ord=ORDER[norm]) * 1e-200
    )
    x = np.array([[np.nan, 1.0, 2.0]])
    assert sizes_of(space(norm, [1, 1, 0]), x, x + 1.0)[0] == 1.0


@pytest.mark.parametrize("norm", ORDER)
def test_what_fits_is_what_obeys(norm):
    rng = np.random.default_rng(1)
    data = as_data(rng.normal(size=(200, 4)))
    new = data.x + rng.normal(size=(200, 4)) * 0.3
    for eps in (0.0, 0.4, 0.8):
        good = fits(space(norm, np.ones(4)), data.x, new, eps)
        assert (good == obeys(new, data.x, data.schema, eps=eps, norm=norm)).all()
    assert fits(space(norm, np.ones(4)), data.x, data.x, 0.0).all()


def test_smallest_moves():
    assert smallest_move(space("l2", [1.0, 1.0]), np.array([[1.0, 1e6]]))[0] == pytest.approx(
        1e-12, rel=1e-3, abs=5e-12
    )
    assert smallest_move(space("l2", [0.0, 0.0]), np.zeros((1, 2)))[0] == 1.0
    assert smallest_move(space("l2", [1.0], np.uint8), np.zeros((1, 1), dtype=np.uint8))[0] == 1.0
