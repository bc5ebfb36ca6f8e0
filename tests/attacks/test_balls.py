import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import kstest

from robust.attacks.balls import ball_around, numbers_a_row
from robust.attacks.projection import space_of
from robust.data.schema import build_schema
from robust.randomness import row_uniform


def space(*, eps, norm, width=3, spec=None, dtype=np.float64):
    names = [f"x{j}" for j in range(width)]
    schema = build_schema(spec, names=names, shape=(width,))
    return space_of(schema, np.dtype(dtype), eps=np.broadcast_to(np.asarray(eps, float), (width,)), norm=norm)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_l2_projection_is_the_nearest_point(seed):
    rng = np.random.default_rng(seed)
    x, goal = rng.uniform(0, 1, (1, 3)), rng.normal(0.5, 1.5, (1, 3))
    eps = rng.uniform(0.1, 1.0)
    ball = ball_around(space(eps=eps, norm="l2", spec={"bounds": (0, 1)}), x)
    found = ball.points(ball.state_of(goal))
    best = minimize(
        lambda z: np.sum((z - goal[0]) ** 2),
        x[0],
        jac=lambda z: 2 * (z - goal[0]),
        bounds=[(0, 1)] * 3,
        constraints={
            "type": "ineq",
            "fun": lambda z: eps**2 - np.sum((z - x[0]) ** 2),
            "jac": lambda z: 2 * (x[0] - z),
        },
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 300},
    )
    assert np.sum((found - goal) ** 2) <= best.fun + 1e-6
    assert np.linalg.norm(found - x) <= eps
    assert found.min() >= 0
    assert found.max() <= 1


def test_l2_step_of_one_budget_is_the_normalised_gradient():
    ball = ball_around(space(eps=0.5, norm="l2"), np.zeros((1, 3)))
    move = ball.ascend(ball.centre(), np.array([[3.0, 0.0, 4.0]]), 1.0)
    assert move[0] == pytest.approx([0.3, 0.0, 0.4], rel=1e-8)


def test_l2_budgets_by_feature_are_semi_axes():
    ball = ball_around(space(eps=[1.0, 2.0, 0.0], norm="l2"), np.zeros((1, 3)))
    move = ball.ascend(ball.centre(), np.array([[0.0, 1.0, 9.0]]), 1.0)
    assert move[0] == pytest.approx([0.0, 2.0, 0.0], rel=1e-8)


def test_a_tiny_gradient_still_has_a_direction():
    ball = ball_around(space(eps=1.0, norm="l2"), np.zeros((2, 3)))
    move = ball.ascend(ball.centre(), np.array([[1e-300, 0, 0], [0, 0, 0]]), 1.0)
    assert move.tolist() == [[pytest.approx(1.0), 0, 0], [0, 0, 0]]


def test_linf_draws_are_uniform_in_ball_and_bounds():
    x = np.tile([0.0, 0.5, 0.95], (4000, 1))
    ball = ball_around(space(eps=0.1, norm="linf", spec={"bounds": (0, 1)}), x)
    drawn = ball.drawn(row_uniform(np.arange(4000), 3, seed=0, stream=0))
    for j, (low, high) in enumerate([(0, 0.1), (0.4, 0.6), (0.85, 1.0)]):
        assert kstest(drawn[:, j], "uniform", args=(low, high - low)).pvalue > 0.001


def test_l2_draws_are_uniform_in_the_ball():
    where = space(eps=2.0, norm="l2", width=5)
    ball = ball_around(where, np.zeros((4000, 5)))
    move = ball.drawn(row_uniform(np.arange(4000), numbers_a_row(where), seed=0, stream=0))
    radius = np.linalg.norm(move, axis=1) / 2
    assert kstest(radius**5, "uniform").pvalue > 0.001
    # A coordinate of a uniform direction in five dimensions, squared, is Beta(1/2, 2).
    assert kstest((move[:, 0] / np.linalg.norm(move, axis=1)) ** 2, "beta", args=(0.5, 2)).pvalue > 0.001


def test_whole_features_are_drawn_over_whole_values():
    where = space(eps=2.9, norm="linf", width=1, spec={"x0": {"kind": "integer", "bounds": (0, 10)}})
    ball = ball_around(where, np.full((3000, 1), 1.0))
    points = ball.points(ball.drawn(row_uniform(np.arange(3000), 1, seed=0, stream=0)))
    values, counts = np.unique(points, return_counts=True)
    assert values.tolist() == [0, 1, 2, 3]
    assert counts.min() > 650


def test_a_one_hot_group_jumps_to_the_steepest_member():
    spec = {"x0": {"one_hot": "g"}, "x1": {"one_hot": "g"}, "x2": {"one_hot": "g"}}
    x = np.array([[1.0, 0, 0], [0, 1.0, 0]])
    slope = np.array([[-1.0, 2, 5], [0.1, 3, -1]])
    for norm, eps, jumps in (("linf", 1.0, True), ("linf", 0.99, False), ("l2", 1.5, True), ("l2", 1.4, False)):
        ball = ball_around(space(eps=eps, norm=norm, spec=spec), x)
        rows = ball.points(ball.ascend(ball.centre(), slope, 1.0), slope)
        assert rows.tolist() == [[0, 0, 1] if jumps else [1, 0, 0], [0, 1, 0]]


def test_a_group_does_not_jump_to_a_member_that_must_stay():
    spec = {"x0": {"one_hot": "g"}, "x1": {"one_hot": "g"}, "x2": {"one_hot": "g"}}
    ball = ball_around(space(eps=[1.0, 1.0, 0.0], norm="linf", spec=spec), np.array([[1.0, 0, 0]]))
    slope = np.array([[-1.0, 1, 5]])
    assert ball.points(ball.ascend(ball.centre(), slope, 1.0), slope).tolist() == [[0, 1, 0]]


def test_in_l2_other_features_share_what_whole_steps_leave():
    ball = ball_around(space(eps=1.25, norm="l2", width=2, spec={"x0": {"kind": "integer"}}), np.zeros((1, 2)))
    rows = ball.points(ball.ascend(ball.centre(), np.array([[4.0, 3.0]]), 1.0))
    assert rows[0, 0] == 1
    assert rows[0, 1] == pytest.approx(0.75, rel=1e-6)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_a_budget_of_one_step_buys_one_step(norm):
    ball = ball_around(space(eps=1.0, norm=norm, width=1, spec={"x0": {"kind": "integer"}}), np.array([[7.0]]))
    assert ball.points(ball.ascend(ball.centre(), np.array([[-0.2]]), 1.0)).tolist() == [[6.0]]
    assert ball.points(ball.optimum(np.array([[-0.2]]))).tolist() == [[6.0]]


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_parts_and_joins_are_the_balls_of_their_rows(norm):
    x = np.random.default_rng(0).uniform(0, 1, (5, 3))
    where = space(eps=0.2, norm=norm, spec={"bounds": (0, 1)})
    own = np.linspace(0.1, 0.5, 5)[:, None]
    for eps in (None, own):
        whole = ball_around(where, x, eps=eps)
        glued = whole.part(np.arange(2)).joined(whole.part(np.arange(2, 5)))
        slope = np.random.default_rng(1).normal(size=(5, 3))
        assert (glued.ascend(glued.centre(), slope, 1.0) == whole.ascend(whole.centre(), slope, 1.0)).all()
