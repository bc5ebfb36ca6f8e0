"""Where two layers of one name mean the same."""

import numpy as np

from robust.layers.blocks import Block, Point
from robust.layers.meeting_points import meeting

B, CONSTANT = np.array([1.0, -2.0, 0.5]), np.array([0.3, 0.1, -0.4])


def block(end, shift=B, *, activations=(), points=(), integers=False):
    return Block(name="a", kind="Gemm", end=end, shift=shift, activations=activations, points=points, integers=integers)


def ends(old, new):
    return tuple(one.end for one in meeting(old, new))


def test_before_an_activation_that_the_other_does_not_have():
    old = block("silu", activations=("silu",), points=(Point(end="old"),))
    assert ends(old, block("new")) == ("old", "new")
    assert ends(block("new"), old) == ("new", "old")
    assert ends(old, block("new", activations=("silu",))) == ("silu", "new")
    other = block("tanh", activations=("tanh",), points=(Point(end="new"),))
    assert ends(old, other) == ("old", "new")
    moved, _ = meeting(old, other)
    assert (moved.home, moved.activations) == ("silu", ())


def test_ends_of_one_name_are_one_tensor():
    old = Block(name="act", kind="HardSwish", end="y", aliases=("y",))
    before = (Point(end="sum"),)
    new = Block(name="sum", kind="Add", end="y", aliases=("y", "sum"), activations=("hardswish",), points=before)
    assert ends(old, new) == ("y", "y")


def test_a_range_stands_for_a_clip_but_for_no_other_activation():
    before = Point(end="old")
    old = block("relu", activations=("relu",), points=(before,))
    assert ends(old, block("new", integers=True)) == ("relu", "new")
    assert ends(old, block("new")) == ("old", "new")
    assert ends(block("silu", activations=("silu",), points=(before,)), block("new", integers=True)) == ("old", "new")


def behind(shift, **options):
    return Point(end="behind", level=1, shift=shift, **options)


def test_a_constant_that_a_file_has_in_the_bias():
    old = block("plain", points=(behind(B + CONSTANT),))
    assert ends(old, block("fused", B + CONSTANT)) == ("behind", "fused")
    assert ends(block("fused", B + CONSTANT), old) == ("fused", "behind")
    assert ends(old, block("new", B + 0.01)) == ("plain", "new")  # a bias that is rounded
    assert ends(old, block("new", 1.7 * B)) == ("plain", "new")  # a fault in a bias is none of another point
    assert ends(old, block("new", None)) == ("plain", "new")
    relu = block(
        "plain", points=(behind(B + CONSTANT), Point(end="relu", level=1, shift=B + CONSTANT, activations=("relu",)))
    )
    assert ends(relu, block("fused", B + CONSTANT, activations=("relu",))) == ("relu", "fused")


def test_a_bias_that_is_an_operator_of_its_own():
    early = Point(end="product", level=-1, shift=np.zeros(()))
    old = block("plain", np.zeros(()), points=(behind(CONSTANT),))
    assert ends(old, block("sum", CONSTANT, points=(early,))) == ("plain", "product")
    # The same operators in both: what is missing is a fault, and no reason to look elsewhere.
    assert ends(block("sum", B, points=(early,)), block("sum", 0 * B, points=(early,))) == ("sum", "sum")


def test_constants_of_other_shapes():
    full = np.arange(12.0).reshape(1, 4, 3)
    old = block("plain", points=(behind(B + full),))
    assert ends(old, block("fused", B + full)) == ("behind", "fused")
    assert ends(old, block("new", np.zeros(5))) == ("plain", "new")


W = np.array([[1.0, 2.0], [-1.0, 0.5], [3.0, -2.0]])


def weighty(end, weight, shift=B, *, points=()):
    return Block(name="a", kind="Gemm", end=end, shift=shift, weight=weight, points=points)


def test_a_factor_that_a_file_has_in_the_weights():
    old = weighty("plain", W, points=(Point(end="times", level=1, shift=0.1 * B, scale=np.array(0.1)),))
    assert ends(old, weighty("fused", 0.1 * W, 0.1 * B)) == ("times", "fused")
    assert ends(weighty("fused", 0.1 * W, 0.1 * B), old) == ("fused", "times")
    met, _ = meeting(old, weighty("fused", 0.1 * W, 0.1 * B))
    np.testing.assert_allclose(met.weight, 0.1 * W)
    assert met.passed == ("times",)
    # A fault in the weights is none of another point, though they are nearer to those before the factor.
    near = weighty("plain", W, points=(Point(end="times", level=1, shift=0.8 * B, scale=np.array(0.8)),))
    assert ends(near, weighty("faulty", 1.04 * W, 0.8 * B)) == ("times", "faulty")
    # Weights as they were: the factor went elsewhere.
    assert ends(near, weighty("new", W)) == ("plain", "new")
    # So where an activation of the other model has it, and what is added tells that the bias is none.
    early = Point(end="product", level=-1, shift=np.zeros(()))
    later = Point(end="sixth", level=1, shift=np.array(0.5), scale=np.array(1 / 6))
    old_gate = Block(
        name="a",
        kind="Gemm",
        end="gate",
        shift=np.zeros(()),
        weight=W,
        activations=("hardsigmoid",),
        points=(Point(end="before", shift=np.zeros(())),),
    )
    assert ends(old_gate, weighty("sum", W, np.array(3.0), points=(early, later))) == ("before", "product")
    # The factor in both: nothing is taken up.
    also = weighty("new", W, points=(Point(end="product", level=1, shift=0.8 * B, scale=np.array(0.8)),))
    assert ends(near, also) == ("plain", "new")


def test_a_factor_and_then_a_sum():
    scale = np.array([0.5, 2.0, 1.5])
    points = (
        Point(end="times", level=1, shift=scale * B, scale=scale),
        Point(end="sum", level=2, shift=scale * B + CONSTANT, scale=scale),
    )
    old, fused = weighty("plain", W, points=points), scale[:, None] * W
    assert ends(old, weighty("both", fused, scale * B + CONSTANT)) == ("sum", "both")
    assert ends(old, weighty("one", fused, scale * B)) == ("times", "one")
