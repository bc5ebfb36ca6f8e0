import numpy as np
import pytest

from robust.attacks.noise import RandomNoise
from robust.attacks.target import aim
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.models.conversion import as_model


def test_share_of_rows_that_a_draw_breaks_is_the_share_of_the_box(linear):
    # Rows at 0.5 with eps 1 lie beyond 0 with probability 1/4 a draw: 1 − (3/4)² of them for two draws.
    data = as_data(np.full((4000, 1), 0.5), np.ones(4000, dtype=int))
    model = linear([[0.0], [1.0]])
    for draws, share in ((1, 1 / 4), (2, 7 / 16)):
        new = RandomNoise(eps=1.0, draws=draws).perturb(model, data)
        assert np.mean(new < 0) == pytest.approx(share, abs=3 * np.sqrt(share * (1 - share) / 4000))


def test_works_on_labels_alone_and_on_trees(cancer):
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(20, random_state=0).fit(cancer.x, cancer.y)
    by_label = as_model(lambda x: forest.predict(x), classes=[0, 1], name="labels")
    attack = RandomNoise(eps=0.5, draws=5)
    new = attack.perturb(forest, cancer)
    assert (forest.predict(new) != cancer.y).mean() > 0.01
    again = attack.perturb(by_label, cancer)
    assert (forest.predict(again) != cancer.y).mean() == pytest.approx((forest.predict(new) != cancer.y).mean())


def test_a_label_that_is_no_class_is_wrong():
    model = as_model(lambda x: np.where(x[:, 0] > 0.4, 7, 0), name="odd", task="classification")
    data = as_data(np.full((50, 1), 0.3), np.zeros(50, dtype=int))
    assert (RandomNoise(eps=0.2).perturb(model, data) > 0.4).all()


def test_text_labels():
    model = as_model(lambda x: np.hstack([x, -x]), output="logits", classes=["cat", "dog"], name="pets")
    data = as_data(np.full((50, 1), 0.1), np.array(["cat"] * 50))
    assert (RandomNoise(eps=0.2).perturb(model, data) < 0).all()


def test_a_sweep_is_monotone_and_agrees_with_single_runs(digits, digits_model):
    attack, grid = RandomNoise(draws=10), [0.1, 0.3, 0.5]
    survived = attack.sweep(aim(digits_model, digits), grid, seed=0).survived
    assert (survived[1:] <= survived[:-1]).all()
    for k, eps in enumerate(grid):
        new = attack.at(eps).perturb(digits_model, digits)
        alone = digits_model.forward(new).argmax(axis=1) == digits.y
        assert survived[k + 1].mean() == pytest.approx(alone.mean(), abs=0.02)
    # The largest budget is tried with every draw, so there the two are the same.
    assert (survived[-1] == alone).all()


def test_the_same_for_any_order_and_any_neighbours(digits, digits_model):
    attack = RandomNoise(eps=0.3, draws=5)
    new = attack.perturb(digits_model, digits, seed=3)
    back = np.random.default_rng(0).permutation(len(digits))
    assert (attack.perturb(digits_model, digits.rows(back), seed=3) == new[back]).all()
    assert (attack.perturb(digits_model, digits.rows(np.arange(7)), seed=3) == new[:7]).all()
    assert (attack.perturb(digits_model, digits, seed=4) != new).any()


def test_errors():
    with pytest.raises(InvalidInput, match="draws got 0"):
        RandomNoise(eps=0.1, draws=0)
    with pytest.raises(InvalidInput, match="norm got 'l3'"):
        RandomNoise(norm="l3")
    with pytest.raises(InvalidInput, match="template"):
        RandomNoise().perturb(as_model(lambda x: x, output="logits"), (np.zeros((2, 2)), [0, 0]))
