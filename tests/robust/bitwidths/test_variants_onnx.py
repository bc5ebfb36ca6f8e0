"""Several settings in one session give what each gives in its own, and share what they have in common."""

import numpy as np
import pytest
from onnx import helper

from robust.bitwidths.judging import open_judge
from robust.bitwidths.settings import Bits, uniform
from robust.bitwidths.simulation import simulate
from robust.bitwidths.variants_onnx import Variants
from robust.data.live import as_data
from robust.errors import ModelFault
from robust.predicting.metering import metered

NODE = helper.make_node


@pytest.fixture(scope="module")
def judge(nets):
    return open_judge(simulate(nets.onnx, nets.train), nets.validation, metric="accuracy", level=0.95, seed=0)


def settings_of(judge):
    names = judge.simulation.names()
    every = [
        uniform(names, Bits.of(bits, part), per_channel=own)
        for part, own in (("both", True), ("weights", False), ("activations", True))
        for bits in (16, 8, 3)
    ]
    return [*every, uniform(["4"], Bits(weights=2), per_channel=True), every[0]]


def test_together_is_as_one_by_one(judge):
    settings = settings_of(judge)
    for setting, answer in zip(settings, judge.answers(settings), strict=True):
        alone = judge.answer(setting)
        np.testing.assert_allclose(
            answer.scored.predictions.outputs, alone.scored.predictions.outputs, rtol=1e-5, atol=1e-5
        )
        assert answer.setting is setting
        assert answer.cost.forward_rows == alone.cost.forward_rows == 300
        assert answer.model.identity() == alone.model.identity()
        assert answer.model.forward(judge.data.x[:3]).shape == (3, 10)


def test_rows_are_counted_once_a_setting(judge):
    with metered() as meter:
        judge.answers(settings_of(judge))
    assert meter.cost().forward_rows == 11 * 300


def test_what_settings_have_in_common_is_in_the_graph_once(judge):
    simulation = judge.simulation
    variants = Variants(simulation.simulator.found)
    plans = [
        simulation._plan(uniform(simulation.names(), bits, per_channel=True), simulation.ranges.ends)
        for bits in (Bits(weights=4, activations=8), Bits(weights=3, activations=8), Bits(weights=4, activations=8))
    ]
    outputs = [variants.add(plan).get("output", "output") for plan in plans]
    graph = variants.model(None).graph
    assert outputs[0] == outputs[2]
    kinds = [node.op_type for node in graph.node]
    assert kinds.count("Conv") == 2 * 2
    assert kinds.count("QuantizeLinear") == 1 + 2 * 2  # the first layer's input is the same in both
    names = [name for node in graph.node for name in node.output]
    assert len(set(names)) == len(names)


def test_a_setting_without_numbers_is_named_by_asking_one_by_one(nets, tmp_path):
    """Rounded to 2 bits the divisor is 0."""
    w = np.array([[1.0, 0.2], [0.0, 0.2]], dtype=np.float32)
    nodes = [NODE("MatMul", ["x", "w"], ["h"]), NODE("Reciprocal", ["h"], ["y"])]
    model = nets.saved(nets.graph(nodes, {"w": w}, (2,)), tmp_path, output="values", task="regression")
    x = np.random.default_rng(0).uniform(1, 2, size=(50, 2)).astype(np.float32)
    judge = open_judge(simulate(model, as_data(x)), as_data(x, model.forward(x)), metric="rmse", level=0.95, seed=0)
    every = [uniform(judge.simulation.names(), Bits(weights=bits), per_channel=False) for bits in (8, 2)]
    with pytest.raises(ModelFault, match="NaN or infinity for 50 of 50 rows"):
        judge.answers(every)
