from dataclasses import replace

import numpy as np
import onnx
import pytest
from safetensors.torch import load_file

from robust.data.live import as_data
from robust.data.loading import load_data
from robust.errors import InvalidInput
from robust.examples.catalogue import example_path
from robust.examples.digits_torch import small_cnn
from robust.models.conversion import as_model
from robust.models.loading import load_model
from robust.predicting.cache import ArrayCache
from robust.predicting.settings import Settings, using
from robust.quantization.degradation_paired import degradation
from robust.quantizers.building import quantize
from robust.quantizers.side_by_side import compare_calibrations

FOLDER = example_path("digits")
FLOAT = FOLDER / "float.onnx"


@pytest.fixture(scope="module")
def train():
    return load_data(FOLDER / "train.npz")


@pytest.fixture(scope="module")
def test():
    return load_data(FOLDER / "test.npz")


@pytest.fixture(scope="module")
def table(train, test):
    return compare_calibrations(FLOAT, train, test)


def texts(table):
    return [finding.text for finding in table.findings]


def test_every_calibration_of_the_example_is_seen_with_all_its_figures(table):
    assert [row.name for row in table] == ["minmax", "entropy", "percentile", "dynamic"]
    for row in table:
        m = row.degradation
        assert m < 0.01  # int8 passes the gate
        assert m.lower < m.value < m.upper
        assert (m.n, row.coverage.weights, row.coverage.macc) == (719, 1, 1)
        assert row.flips.right_to_wrong - row.flips.wrong_to_right == pytest.approx(719 * m.value)
        assert 6000 < row.rom < 7200 < table.reference_rom
    assert texts(table) == []
    assert table.failed == ()


def test_candidates_differ_from_each_other(table):
    assert len({row.model.identity() for row in table}) == 4


def test_a_row_is_what_quantize_and_degradation_say(table, train, test):
    alone = degradation(FLOAT, quantize(FLOAT, train, calibrate="entropy"), test)
    m = table["entropy"].degradation
    assert (m.value, m.lower, m.upper) == (alone.value, alone.lower, alone.upper)


def test_the_reference_is_asked_once(train, test):
    model, asked = load_model(FLOAT), []

    def forward(x):
        asked.append(len(x))
        return model.forward(x)

    judge = replace(model, forward=forward)
    with using(Settings(cache=ArrayCache())):
        compare_calibrations(FLOAT, train, test, reference=judge, methods=["minmax"])
        once = sum(asked)
        asked.clear()
    with using(Settings(cache=ArrayCache())):
        compare_calibrations(FLOAT, train, test, reference=judge, methods=["minmax", "dynamic", "qoperator"])
    assert sum(asked) == once


def test_rows_that_are_judged_on_are_leakage(test):
    (told,) = texts(compare_calibrations(FLOAT, test, test, methods=["minmax"]))
    assert told.startswith("leakage: 719 of 719 rows")


def test_bad_calibration_rows_fail_the_gate(train, test):
    dark = compare_calibrations(FLOAT, train.x * np.float32(0.1), test, methods=["minmax", "dynamic"])
    assert (dark["minmax"].degradation < 0.01).status == "FAIL"
    assert dark["dynamic"].degradation < 0.01  # it looks at the rows themselves


def test_layers_left_in_float_are_told_and_named(train, test):
    found = compare_calibrations(FLOAT, train, test, methods=["weight-only"])
    assert texts(found) == [
        "weight-only quantizes 21.22 % of the weights; left in float: 0 (Conv, node 'node_Conv_37'), "
        "4 (Conv, node 'node_Conv_39')"
    ]
    assert found["weight-only"].coverage.weights == pytest.approx(1280 / 6032)
    assert texts(compare_calibrations(FLOAT, train, test, methods=["minmax"], keep=("4",))) == []


def test_torchao_leaves_convolutions_in_float_and_that_is_told(test):
    net = small_cnn()
    net.load_state_dict(load_file(FOLDER / "net.safetensors"))
    found = compare_calibrations(net, FOLDER / "train.npz", test, methods="torchao")
    assert found["torchao"].coverage.weights == pytest.approx(1280 / 6032)
    assert texts(found) == ["torchao quantizes 21.22 % of the weights; left in float: 0 (Conv2d), 4 (Conv2d)"]
    assert found.reference.name == "Sequential"


def test_ways_that_do_not_fit_are_listed_and_the_others_go_on(train, test):
    found = compare_calibrations(FLOAT, train, test, methods=["torchao", "minmax", "minmax"])
    assert [row.name for row in found] == ["minmax"]
    ((name, reason),) = found.failed
    assert name == "torchao"
    assert "live torch modules" in reason
    with pytest.raises(InvalidInput, match="torchao: method 'torchao' is for live torch modules"):
        compare_calibrations(FLOAT, train, test, methods=["torchao"])


@pytest.mark.parametrize(
    ("methods", "match"),
    [
        (["minmax", "distribution"], "'distribution' is for 8-bit floating-point types"),
        (["qat"], "methods must be of 'minmax', .* got 'qat'"),
        ([], "methods names none; 'minmax'"),
    ],
)
def test_methods_that_are_none(train, test, methods, match):
    with pytest.raises(InvalidInput, match=match):
        compare_calibrations(FLOAT, train, test, methods=methods)


def test_other_metrics_and_a_regression(tmp_path, test):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(240, 4)).astype(np.float32)
    weight = rng.normal(size=(1, 4)).astype(np.float32)
    y = (x @ weight.T)[:, 0] + 0.1 * rng.normal(size=240)
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Gemm", ["x", "fc.weight"], ["y"], name="fc", transB=1)],
        "g",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 4])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["n", 1])],
        [onnx.numpy_helper.from_array(weight, "fc.weight")],
    )
    onnx.save(
        onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=8),
        tmp_path / "r.onnx",
    )
    model = as_model(tmp_path / "r.onnx", task="regression")
    found = compare_calibrations(
        model, x[:120], as_data(x[120:], y[120:]), metric="rmse", methods=["minmax", "dynamic"]
    )
    assert found.metric == "RMSE"
    assert all(row.flips is None and row.degradation.unit == "relative" for row in found)
    with pytest.raises(InvalidInput, match="metric"):
        compare_calibrations(model, x[:120], as_data(x[120:], y[120:]), metric="beauty")
