"""Budgets that a search passes over are asked where a sample shows that they matter."""

import numpy as np
import pytest
import torch
from torch import nn

from robust.attacks import curve_search
from robust.attacks.accuracy_curve import robustness_curve
from robust.attacks.accuracy_under_attack import robust_accuracy
from robust.attacks.curve_search import kept_sweep, sure_sweep
from robust.attacks.fgsm import FGSM, PatientFGSM
from robust.attacks.keeping import followed
from robust.attacks.pgd import PGD
from robust.attacks.target import aim
from robust.attacks.transfer import Transfer
from robust.models.conversion import as_model
from robust.predicting.metering import metered

GRID = [0.05 * step for step in range(1, 13)]


@pytest.fixture(scope="module")
def rows(sides):
    return sides(300, noise=0.3)


@pytest.mark.parametrize(("width", "at"), [(0.04, 0.8), (0.02, 0.7), (0.01, 0.6)])
def test_a_narrow_band_is_not_passed_over(narrow_band, rows, width, at):
    model = narrow_band(width=width, at=at)
    hasty = kept_sweep(FGSM(), aim(model, rows), GRID, seed=0).survived[1:].mean(axis=1)
    curve = robustness_curve(model, rows, FGSM(), eps=GRID)
    alone = [robust_accuracy(model, rows, attack=FGSM(eps=eps)).row_values for eps in GRID]
    exact = np.minimum.accumulate(alone, axis=0).mean(axis=1)
    assert (hasty - exact).max() > 0.05  # the search alone would pass over it
    assert curve.values == pytest.approx(exact)


def test_handed_over_by_a_surrogate_it_is_found_too(narrow_band, rows):
    twin = nn.Linear(8, 2, bias=False)
    with torch.no_grad():
        twin.weight.copy_(torch.tensor([[-1.0], [1.0]]) / 8)
    banded = narrow_band(width=0.04, at=0.8)
    plain = as_model(twin.eval(), output="logits")
    attack = Transfer(attack=FGSM(), surrogate=plain)
    patient = Transfer(attack=PatientFGSM(), surrogate=plain)
    found = sure_sweep(attack, aim(banded, rows), GRID, seed=0).survived
    assert (found == kept_sweep(patient, aim(banded, rows), GRID, seed=0).survived).all()
    assert (found != kept_sweep(attack, aim(banded, rows), GRID, seed=0).survived).any()


def test_where_nothing_is_missed_only_a_sample_is_asked_again(digits_model, digits, monkeypatch):
    target = aim(digits_model, digits)
    with metered() as alone:
        first = kept_sweep(FGSM(), target, GRID, seed=0)
    monkeypatch.setattr(curve_search, "_SAMPLE", 10)
    with metered() as both:
        second = sure_sweep(FGSM(), target, GRID, seed=0)
    assert (first.survived == second.survived).all()
    assert both.backward_rows - alone.backward_rows == 10
    assert both.forward_rows - alone.forward_rows <= 10 * (len(GRID) + 1)


@pytest.mark.parametrize(("attack", "grid"), [(PGD(steps=2), GRID[:2]), (FGSM(), GRID[:1])])
def test_searches_that_pass_over_nothing_are_not_asked_again(digits_model, digits, attack, grid):
    with metered() as alone:
        kept_sweep(attack, aim(digits_model, digits), grid, seed=0)
    with metered() as both:
        sure_sweep(attack, aim(digits_model, digits), grid, seed=0)
    assert (both.forward_rows, both.backward_rows) == (alone.forward_rows, alone.backward_rows)


def test_who_interrupts_is_told_what_was_asked_again(narrow_band, rows):
    with followed() as progress:
        sure_sweep(FGSM(), aim(narrow_band(width=0.04, at=0.8), rows), GRID, seed=0)
    assert progress.rows == {"FGSM": 300, "FGSM at every budget": 64 + 300}
