"""Peak memory against a simulation that allocates and frees step by step."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robust.costing.liveness import Step, peak_memory


def step(name, reads, writes, elementwise=False):
    return Step(name=name, reads=tuple(reads), writes=tuple(writes), elementwise=elementwise)


def simulated(steps, sizes, inputs, outputs, boundary):
    """Buffers as cells that are taken and given back, one step after the other."""
    edge = {*inputs, *outputs}
    counted = {b for b in sizes if boundary or b not in edge}
    cell = {b: b for b in inputs}
    size = {b: sizes[b] for b in inputs if b in counted}
    most = 0
    for i, now in enumerate(steps):
        later = {b for s in steps[i + 1 :] for b in (*s.reads, *s.writes)} | set(outputs)
        for made in now.writes:
            if made in cell:
                continue
            cell[made] = made
            reusable = [
                b for b in now.reads
                if b not in later and b not in edge and sizes.get(b) == sizes.get(made) and b in counted
            ]  # fmt: skip
            if now.elementwise and len(now.writes) == 1 and reusable and made in counted:
                cell[made] = cell[reusable[0]]
            elif made in counted:
                size[made] = sizes[made]
        most = max(most, sum(size.values()))
        alive = {cell[b] for b in cell if b in later}
        size = {c: s for c, s in size.items() if c in alive}
    return most


@st.composite
def runs(draw):
    """A random run without overwriting: each step makes one or two new buffers from old ones."""
    sizes = {"x": draw(st.integers(1, 4))}
    steps = []
    for i in range(draw(st.integers(1, 8))):
        known = sorted(sizes)
        reads = draw(st.lists(st.sampled_from(known), min_size=1, max_size=3, unique=True))
        writes = [f"b{i}_{j}" for j in range(draw(st.integers(1, 2)))]
        for name in writes:
            sizes[name] = draw(st.integers(1, 4))
        steps.append(step(f"s{i}", reads, writes, draw(st.booleans())))
    outputs = draw(st.lists(st.sampled_from(sorted(sizes)), min_size=1, max_size=2, unique=True))
    return steps, sizes, outputs


@given(run=runs(), boundary=st.booleans())
@settings(max_examples=300, deadline=None)
def test_the_peak_equals_a_simulation(run, boundary):
    steps, sizes, outputs = run
    found = peak_memory(steps, sizes, inputs=["x"], outputs=outputs, boundary=boundary)
    assert found.bytes == simulated(steps, sizes, ["x"], outputs, boundary)
    assert found.bytes == max(size for _, size in found.live)
    assert (found.at, found.bytes) in found.live


@given(run=runs())
@settings(max_examples=100, deadline=None)
def test_without_inputs_and_outputs_it_is_never_more(run):
    steps, sizes, outputs = run
    both = [peak_memory(steps, sizes, inputs=["x"], outputs=outputs, boundary=b).bytes for b in (True, False)]
    assert both[1] <= both[0] <= sum(sizes.values())


def test_a_chain_by_hand():
    # conv 4 -> 32, relu in place, pool 32 -> 8: 36, 32 and 40 bytes live.
    steps = [step("conv", ["x"], ["a"]), step("relu", ["a"], ["b"], True), step("pool", ["b"], ["y"])]
    found = peak_memory(steps, {"x": 4, "a": 32, "b": 32, "y": 8}, inputs=["x"], outputs=["y"], boundary=True)
    assert found.live == (("conv", 36), ("relu", 32), ("pool", 40))
    assert (found.bytes, found.at) == (40, "pool")


def test_a_residual_keeps_its_input_alive():
    # x is read again by the addition: it lives over both convolutions, and the sum takes the place of the second.
    steps = [step("c1", ["x"], ["a"]), step("c2", ["a"], ["b"]), step("add", ["b", "x"], ["y"], True)]
    sizes = dict.fromkeys(("x", "a", "b", "y"), 8)
    assert peak_memory(steps, sizes, inputs=["x"], outputs=["y"], boundary=True).live == (
        ("c1", 16),
        ("c2", 24),
        ("add", 16),
    )


def test_the_callers_input_is_never_written_over():
    steps = [step("relu", ["x"], ["y"], True)]
    assert peak_memory(steps, {"x": 8, "y": 8}, inputs=["x"], outputs=["y"], boundary=True).bytes == 16


def test_an_input_that_is_read_again_is_not_written_over():
    steps = [step("conv", ["x"], ["a"]), step("relu", ["a"], ["b"], True), step("add", ["a", "b"], ["y"])]
    found = peak_memory(steps, dict.fromkeys("xaby", 8), inputs=["x"], outputs=["y"], boundary=False)
    assert found.live == (("conv", 8), ("relu", 16), ("add", 16))


@pytest.mark.parametrize("boundary", [True, False])
def test_a_model_without_operators_holds_its_input(boundary):
    found = peak_memory([], {"x": 12}, inputs=["x"], outputs=["x"], boundary=boundary)
    assert found.bytes == (12 if boundary else 0)
    assert (found.at, found.live) == ("", ())
