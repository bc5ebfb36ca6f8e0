from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.stats import kstest

from robust.attacks.balls import ball_around, numbers_a_row
from robust.attacks.projection import space_of
from robust.data.schema import build_schema
from robust.randomness import row_uniform


def space(eps, *, width=3, spec=None, dtype=np.float64):
    schema = build_schema(spec, names=[f"x{j}" for j in range(width)], shape=(width,))
    return space_of(schema, np.dtype(dtype), eps=np.broadcast_to(np.asarray(eps, float), (width,)), norm="l1")


def shares(ball, move):
    """A move in budgets; 0 where a feature must stay."""
    return np.divide(move, ball.eps, out=np.zeros(move.shape), where=np.broadcast_to(ball.eps > 0, move.shape))


def nearest_by_bisection(wish, room):
    """Σ clip(|wish| − λ, 0, room) falls in λ: halve until nothing is left to halve."""
    size, low, high = np.abs(wish), 0.0, np.abs(wish).max() + 1.0
    if np.clip(size, 0, room).sum() <= 1:
        return np.sign(wish) * np.clip(size, 0, room)
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if np.clip(size - middle, 0, room).sum() > 1 else (low, middle)
    return np.sign(wish) * np.clip(size - high, 0, room)


@settings(max_examples=300, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    width=st.integers(1, 12),
    far=st.sampled_from([0.1, 1.0, 10.0, 1e3]),
    bound=st.booleans(),
)
def test_projection_is_exact(seed, width, far, bound):
    rng = np.random.default_rng(seed)
    x = np.where(rng.random((1, width)) < 0.2, 0.0, rng.uniform(0, 1, (1, width)))
    eps = np.where(rng.random(width) < 0.2, 0.0, rng.uniform(0.05, 3, width))
    ball = ball_around(space(eps, width=width, spec={"bounds": (0, 1)} if bound else None), x)
    goal = far * rng.normal(0.3, 1.0, (1, width))
    wish = shares(ball, goal)[0]
    room = shares(ball, np.where(goal > 0, ball.high, -ball.low))[0]
    found = shares(ball, ball.nearest(goal))[0]
    assert found == pytest.approx(nearest_by_bisection(wish, room), abs=1.1e-9)
    assert np.abs(found).sum() <= 1


def steepest(ball, gradient):
    """The largest gradient·δ inside ball and bounds, by a linear programme in positive and negative parts."""
    eps = ball.eps[0]
    far = np.where(eps > 0, eps, 0.0)  # no feature can move farther than its own budget
    price = np.divide(1.0, eps, out=np.zeros(len(eps)), where=eps > 0)
    best = linprog(
        np.hstack([-gradient, gradient]),
        A_ub=np.hstack([price, price])[None],
        b_ub=[1.0],
        bounds=[*((0, u) for u in np.minimum(ball.high[0], far)), *((0, u) for u in np.minimum(-ball.low[0], far))],
    )
    return -best.fun


@pytest.mark.parametrize("seed", range(20))
def test_no_point_of_the_ball_is_nearer_than_the_projection(seed):
    # p is nearest to z in a convex set exactly if (z − p)·(q − p) ≤ 0 for all q in it: the largest is an LP's.
    rng = np.random.default_rng(seed)
    x, eps, goal = rng.uniform(0, 1, (1, 5)), rng.uniform(0.2, 1.5), rng.normal(0, 1.5, (1, 5))
    ball = ball_around(space(eps, width=5, spec={"bounds": (0, 1)}), x)
    p = ball.nearest(goal)
    assert np.abs(p).sum() <= eps
    away = (goal - p)[0]
    assert steepest(ball, away) <= float(away @ p[0]) + 1e-7


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), width=st.integers(1, 8), bound=st.booleans())
def test_optimum_solves_the_linear_programme(seed, width, bound):
    rng = np.random.default_rng(seed)
    x, eps = rng.uniform(0, 1, (1, width)), rng.uniform(0.1, 2, width)
    eps[0] = 0.0 if seed % 3 == 0 and width > 1 else eps[0]
    gradient = rng.normal(size=(1, width))
    ball = ball_around(space(eps, width=width, spec={"bounds": (0, 1)} if bound else None), x)
    move = ball.optimum(gradient)
    assert float(np.sum(gradient * move)) == pytest.approx(steepest(ball, gradient[0]), rel=1e-7, abs=1e-9)
    assert np.abs(shares(ball, move)).sum() <= 1


def test_draws_are_uniform_in_the_ball():
    where = space(2.0, width=5)
    ball = ball_around(where, np.zeros((4000, 5)))
    assert numbers_a_row(where) == 6
    share = ball.drawn(row_uniform(np.arange(4000), 6, seed=0, stream=0)) / 2
    assert kstest(np.abs(share).sum(axis=1) ** 5, "uniform").pvalue > 0.001  # volume grows with the fifth power
    # One coordinate: 1 − (1 − t)^5 is the share of the ball with |δ_1| below t, either sign as likely.
    assert kstest(np.abs(share[:, 0]), "beta", args=(1, 5)).pvalue > 0.001
    assert abs(np.mean(share[:, 0] > 0) - 0.5) < 0.03


def test_draws_leave_features_alone_that_must_stay():
    where = space([2.0, 0.0, 1.0])
    share = ball_around(where, np.zeros((500, 3))).drawn(row_uniform(np.arange(500), 4, seed=0, stream=0))
    assert (share[:, 1] == 0).all()
    assert kstest((np.abs(share[:, 0]) / 2 + np.abs(share[:, 2])) ** 2, "uniform").pvalue > 0.001


def test_a_step_goes_to_the_steepest_features_that_can_move():
    ball = ball_around(space(1.0, width=4, spec={"bounds": (0, 1)}), np.array([[0.2, 1.0, 0.5, 0.5]]))
    gradient = np.array([[2.0, 9.0, -3.0, 1.0]])
    # Of four features one takes the step; feature 1 is the steepest, but lies on its bound.
    assert ball.spread(ball.centre(), gradient, 0.2, 0.25)[0] == pytest.approx([0, 0, -0.2, 0])
    assert ball.spread(ball.centre(), gradient, 0.2, 0.5)[0] == pytest.approx([0.1, 0, -0.1, 0])
    # Feature 2 has room for 0.5 alone, the next steepest takes the rest.
    assert ball.spread(ball.centre(), gradient, 0.8, 0.25)[0] == pytest.approx([0.3, 0, -0.5, 0])
    # Steps of each row's own length over each row's own number of features.
    pair = ball.joined(ball)
    both = pair.spread(pair.centre(), np.vstack([gradient] * 2), np.array([[0.2], [0.4]]), np.array([[0.25], [0.5]]))
    assert both == pytest.approx(np.array([[0, 0, -0.2, 0], [0.2, 0, -0.2, 0]]))


def test_budgets_by_feature_weigh_gradients():
    ball = ball_around(space([1.0, 10.0, 0.0]), np.zeros((1, 3)))
    assert ball.optimum(np.array([[5.0, 1.0, 99.0]]))[0] == pytest.approx([0, 10, 0], rel=1e-8)


def test_whole_steps_and_jumps_are_paid_by_what_they_cost():
    mixed = {"x0": {"kind": "integer"}}
    ball = ball_around(space(2.5, width=2, spec=mixed), np.zeros((1, 2)))
    row = ball.points(ball.optimum(np.array([[4.0, 3.0]])))  # two whole steps, none for the half that is left
    assert row.tolist() == [[2.0, 0.0]]
    row = ball.points(ball.nearest(np.array([[1.7, 0.9]])))  # a nearest point with 1.65 of the first
    assert row[0, 0] == 1
    assert row[0, 1] == pytest.approx(0.85, rel=1e-6)
    group = {f"x{j}": {"one_hot": "g"} for j in range(3)}
    slope = np.array([[-1.0, 2.0, 5.0]])
    for eps, jumps in ((2.0, True), (1.9, False)):  # a jump costs 2: one member falls by 1, another rises by 1
        ball = ball_around(space(eps, spec=group), np.array([[1.0, 0, 0]]))
        assert ball.points(ball.optimum(slope), slope).tolist() == [[0, 0, 1] if jumps else [1, 0, 0]]


def test_a_row_on_the_corner_of_its_bounds_and_no_gradient():
    ball = ball_around(space(1.0, spec={"bounds": (0, 1)}), np.array([[0.0, 1.0, 0.0]]))
    assert (ball.optimum(np.array([[-1.0, 1.0, -3.0]])) == 0).all()
    assert (ball.ascend(ball.centre(), np.zeros((1, 3)), 1.0) == 0).all()


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 10**6), eps=st.floats(0.5, 6.0), dtype=st.sampled_from([np.float32, np.float64]))
def test_rows_of_mixed_kinds_stay_inside_before_anybody_verifies_them(seed, eps, dtype):
    spec = {"x0": {"kind": "integer"}, "x1": {"kind": "binary"}, **{f"x{j}": {"one_hot": "g"} for j in (2, 3, 4)}}
    rng = np.random.default_rng(seed)
    x = np.zeros((20, 7), dtype=dtype)
    x[:, 0], x[:, 1] = rng.integers(-5, 6, 20), rng.integers(0, 2, 20)
    x[np.arange(20), 2 + rng.integers(0, 3, 20)] = 1
    x[:, 5:] = rng.normal(size=(20, 2))
    ball = ball_around(space(eps, width=7, spec=spec, dtype=dtype), x)
    slope = rng.normal(size=x.shape)
    moves = (
        ball.optimum(slope),
        ball.nearest(rng.normal(0, eps, x.shape)),
        ball.spread(ball.centre(), slope, 1.0, 0.5),
    )
    jumped = False
    for move in moves:
        rows = ball.points(move, slope)
        for new, old in zip(rows.tolist(), x.tolist(), strict=True):
            gaps = [abs(Fraction(a) - Fraction(b)) for a, b in zip(new, old, strict=True)]
            assert sum(gaps) <= Fraction(eps)
            assert new[0] == int(new[0])
            assert new[1] in (0, 1)
            assert sorted(new[2:5]) == [0, 0, 1]
        jumped |= bool((rows[:, 2:5] != x[:, 2:5]).any())
    assert jumped or eps < 2 + 1e-6
