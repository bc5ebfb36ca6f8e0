import numpy as np
import pytest

from robust.attacks.reachable import can_be_broken
from robust.attacks.target import aim
from robust.data.live import as_data
from robust.models.conversion import as_model


def asked(model, data):
    target = aim(model, data)
    right = ~target.wrong(target.scores(target.x), slice(None))
    part = target.part(right)
    return can_be_broken(part, np.arange(len(part)), seed=0)


def needle(x):
    """Class 1 in a region that uniform draws all but never meet."""
    return np.all(x > 0.99, axis=1).astype(int)


def test_other_rows_are_points_of_another_class():
    x = np.array([[0.1, 0.2, 0.3], [0.5, 0.4, 0.2], [0.995, 0.995, 0.995]])
    model = as_model(needle, task="classification", name="needle")
    assert asked(model, as_data(x, [0, 0, 1], schema={"bounds": (0, 1)})).tolist() == [True] * 3
    # Without the third row nobody knows where class 1 is.
    alone = as_data(np.repeat(x[:2], 2, axis=0), [0] * 4, schema={"bounds": (0, 1)})
    assert not asked(as_model(needle, task="classification", classes=[0, 1], name="needle"), alone).any()


def test_immutable_features_stay():
    x = np.array([[0.0, 0.3], [0.0, 0.6], [1.0, 0.3], [1.0, 0.6]])
    model = as_model(lambda rows: (rows[:, 0] > 0.5).astype(int), task="classification", name="first")
    free = as_data(x, [0, 0, 1, 1], schema={"bounds": (0, 1)})
    held = as_data(x, [0, 0, 1, 1], schema={"bounds": (0, 1), "x0": {"immutable": True}})
    assert asked(model, free).all()
    assert not asked(model, held).any()


def test_noise_finds_what_no_row_shows():
    x = np.full((20, 2), 0.1)
    model = as_model(lambda rows: np.stack([0.5 - rows[:, 0], rows[:, 0] - 0.5], axis=1), output="logits", name="half")
    assert asked(model, as_data(x, np.zeros(20, dtype=int), schema={"bounds": (0, 1)})).all()


def test_missing_values_stay_missing():
    x = np.array([[np.nan, 0.1], [0.9, np.nan], [0.2, 0.3], [0.8, 0.9]])
    seen = []

    def forward(rows):
        seen.append(np.isnan(rows))
        return (np.nan_to_num(rows, nan=0.0).max(axis=1) > 0.5).astype(int)

    model = as_model(forward, task="classification", name="gaps")
    data = as_data(x, [0, 1, 0, 1], schema={"bounds": (0, 1)})
    asked(model, data)
    assert all(np.all(gaps.sum(axis=1) <= 1) for gaps in seen)


@pytest.mark.parametrize("count", [0, 3])
def test_one_answer_a_row(linear, count):
    data = as_data(np.linspace(-1, 1, 8)[:, None], [0] * 4 + [1] * 4)
    assert len(can_be_broken(aim(linear([[0.0], [1.0]]), data), np.arange(count), seed=0)) == count
