"""Watched ONNX models against quantization by hand, in numpy."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from robust.layers.layer_error import layer_errors
from robust.layers.opening import watched
from robust.layers.point_sums import decibels
from robust.models.conversion import as_model


def constants(content):
    return {
        tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load_model_from_string(content).graph.initializer
    }


def fake(values, stored, name):
    """Quantized and dequantized by the scale and zero point of a tensor."""
    scale, zero = stored[f"{name}_scale"].astype(np.float64), stored[f"{name}_zero_point"].astype(np.int64)
    return (np.clip(np.rint(values / scale) + zero, -128, 127) - zero) * scale


def test_both_ratios_of_a_perceptron_by_hand(nets, tmp_path):
    model = nets.mlp(6, 5)
    x = nets.rows_of(model, 3)
    content = nets.quantized(model, nets.rows_of(model, 4, 256), tmp_path, per_channel=False)
    found = layer_errors(nets.saved(model, tmp_path, "f.onnx"), nets.saved(content, tmp_path, "q.onnx"), x)
    plain, built = constants(model.SerializeToString()), constants(content)
    r, q = x.astype(np.float64), fake(x.astype(np.float64), built, "x")
    wanted = {}
    for i in range(5):
        name, last = f"layers.{i}", i == 4
        w = (
            plain[f"{name}.weight"].astype(np.float64),
            (
                (
                    built[f"{name}.weight_quantized"].astype(np.int64)
                    - built[f"{name}.weight_zero_point"].astype(np.int64)
                )
                * built[f"{name}.weight_scale"].astype(np.float64)
            ),
        )
        b = (
            plain[f"{name}.bias"].astype(np.float64),
            (built[f"{name}.bias_quantized"] * built[f"{name}.bias_quantized_scale"].astype(np.float64)),
        )
        own, r, q = q @ w[0].T + b[0], r @ w[0].T + b[0], q @ w[1].T + b[1]
        if not last:
            own, r, q = (np.maximum(one, 0) for one in (own, r, q))
        q = fake(q, built, f"{name}_out" if last else f"{name}_relu")
        wanted[name] = [decibels((one**2).sum(), ((one - q) ** 2).sum()) for one in (r, own)]
    rows = {row.layer: row for row in found.rows}
    for name, (together, alone) in wanted.items():
        # A product that lies between two integers may be rounded either way.
        assert rows[name].sqnr == pytest.approx(together, abs=0.1), name
        assert rows[name].own_sqnr == pytest.approx(alone, abs=0.1), name


def test_watching_changes_no_answer(digits, x):
    for name in ("float.onnx", "int8.onnx"):
        model = as_model(digits / name)
        seen, plain = watched(model, model, x[:3]).answers(x)
        np.testing.assert_allclose(seen, plain, atol=1e-5)


def test_integers_come_out_as_the_numbers_that_they_stand_for(digits, x):
    model = as_model(digits / "int8.onnx")
    stored = constants((digits / "int8.onnx").read_bytes())
    values = watched(model, model, x[:3]).values(x, ["relu"])
    scale, zero = float(stored["relu_scale"]), int(stored["relu_zero_point"])
    codes = values["relu"] / scale + zero
    np.testing.assert_allclose(codes, np.rint(codes), atol=1e-6)
    assert values["relu"].min() == 0.0  # the quantizer has cut off what is negative
    entry = values["(input)"]
    assert np.abs(entry - x).max() <= float(stored["image_scale"]) / 2 + 1e-7
    assert codes.min() == -128
    assert 60 < codes.max() <= 127


def test_a_point_that_is_fed_is_what_its_readers_read(digits, x):
    model = as_model(digits / "float.onnx")
    seen = watched(model, model, x[:3])
    ends = [block.end for block in seen.blocks]
    values = seen.values(x, ends)
    given = {end: values[end] for end in ends} | {"max_pool2d": 2 * values["max_pool2d"]}
    own = seen.own(x, given)
    # The layer that makes it is not moved; the one that reads it is, and the one after that reads what is given.
    np.testing.assert_array_equal(own["max_pool2d"], values["max_pool2d"])
    assert np.abs(own["relu_1"] - values["relu_1"]).max() > 0.1
    np.testing.assert_array_equal(own["max_pool2d_1"], values["max_pool2d_1"])
