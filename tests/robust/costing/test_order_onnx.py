import numpy as np
import pytest

from robust.costing.count_onnx import count_onnx
from robust.costing.order_onnx import places_in_order


@pytest.mark.parametrize("seed", range(5))
def test_any_order_of_any_graph_is_mended(seed):
    rng = np.random.default_rng(seed)
    made = [[f"t{i}", f"u{i}"] for i in range(40)]
    read = [["x", *(made[j][j % 2] for j in rng.choice(i, size=min(i, 3), replace=False))] for i in range(40)]
    assert places_in_order(made, read) == list(range(40))
    mixed = rng.permutation(40)
    found = [mixed[place] for place in places_in_order([made[i] for i in mixed], [read[i] for i in mixed])]
    assert sorted(found) == list(range(40))
    known = {"x"}
    for place in found:
        assert known.issuperset(read[place])
        known.update(made[place])


def test_a_chain_longer_than_the_stack_and_a_circle():
    names = [f"t{i}" for i in range(5001)]
    back = places_in_order([[name] for name in names[:0:-1]], [[name] for name in names[-2::-1]])
    assert back == list(range(4999, -1, -1))
    assert places_in_order([["z"], ["a"], ["b"], ["c"]], [["c"], ["b"], ["a"], ["x"]]) == [0, 1, 2, 3]


def test_a_file_that_a_runtime_would_sort_costs_what_the_sorted_one_does(files):
    nodes = [
        files.node("MatMul", ["x", "a.weight"], ["h"], name="a"),
        files.node("Relu", ["h"], ["r"], name="r"),
        files.node("MatMul", ["r", "b.weight"], ["y"], name="b"),
    ]
    weights = {"a.weight": np.zeros((4, 6), np.float32), "b.weight": np.zeros((6, 2), np.float32)}
    tallies = [
        count_onnx(
            files.model(order, [files.value("x", ["n", 4])], [files.value("y", ["n", 2])], weights),
            row_shapes=None,
            values=None,
        )
        for order in (nodes, [nodes[2], nodes[0], nodes[1]])
    ]
    assert tallies[0] == tallies[1]
    assert [layer.macc for layer in tallies[1].layers] == [24, 0, 12]
