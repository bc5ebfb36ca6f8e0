"""Several settings in one session give what each gives in its own, and share what they have in common."""

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
from onnx import helper

from robust.bitwidths.judging import open_judge
from robust.bitwidths.rounding import grid_of
from robust.bitwidths.settings import Bits, uniform
from robust.bitwidths.simulation import simulate
from robust.bitwidths.simulator_onnx import onnx_simulator
from robust.bitwidths.variants_onnx import Variants
from robust.data.live import as_data
from robust.errors import ModelFault
from robust.evidence import Finding
from robust.models.base import adapter_of
from robust.predicting.calling import bind
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


def test_calls_of_any_size_give_the_same_bits(judge):
    settings = settings_of(judge)
    (count, model), *rest = judge.simulation.together(settings)
    assert (count, rest) == (len(settings), [])
    caller = bind(model, judge.data.schema)
    whole = caller.again(judge.data.x, size=300)
    assert judge.simulation.batch == 64
    for size in (256, 64, 7):
        assert np.array_equal(caller.again(judge.data.x, size=size), whole)


def test_models_whose_rows_depend_on_each_other_keep_their_batch(judge):
    assert replace(judge, remarks=(Finding(text="answers depend on the rows beside them"),))._rows() == 256
    assert judge._rows() == 64


@pytest.mark.parametrize("opset", [11, 18])
@pytest.mark.parametrize("bits", [2, 5, 8, 9])
def test_rounded_inputs_are_those_of_the_grid(bits, opset, nets, tmp_path):
    """Behind a matrix product with 1: halves go to the even code, whatever is outside is cut off."""
    model = nets.saved(
        nets.graph([NODE("MatMul", ["x", "w"], ["y"])], {"w": np.ones((1, 1), dtype=np.float32)}, (1,), opset=opset),
        tmp_path,
        output="values",
    )
    levels, step = 2**bits - 1, 0.125  # a power of two, so that halves are halves
    low, high = -(levels // 3) * step, (levels - levels // 3) * step
    simulation = simulate(model, as_data(np.array([[low], [high]] * 20, dtype=np.float32)))
    grid = grid_of(low, high, bits)
    assert grid.scale == step
    steps = np.arange(grid.low - 3, grid.high + 3, 0.25)
    x = np.concatenate([steps * grid.scale, [1e30, -1e30]]).astype(np.float32)[:, None]
    found = simulation.at(uniform(simulation.names(), Bits(activations=bits), per_channel=True)).forward(x)
    assert np.array_equal(found, grid.nearest(x))
    kinds = [node.op_type for node in _graph(simulation, bits).node]
    assert ("QuantizeLinear" in kinds) == (bits <= 8 and opset > 11)
    assert ("Clip" in kinds) == (bits != 8 or opset == 11)


def _graph(simulation, bits):
    variants = Variants(simulation.simulator.found)
    setting = uniform(simulation.names(), Bits(activations=bits), per_channel=True)
    variants.add(simulation._plan(setting, simulation.ranges.ends))
    return variants.model(None).graph


def test_sessions_have_as_many_threads_as_the_files_own(nets):
    adapter = adapter_of(nets.onnx)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    own = onnxruntime.InferenceSession(nets.onnx.content(), options, providers=["CPUExecutionProvider"])
    simulator = onnx_simulator(replace(adapter, session=own), nets.onnx.content(), "float.onnx")
    opened = simulator._session(simulator.found.model)
    assert opened.get_session_options().intra_op_num_threads == 1


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
