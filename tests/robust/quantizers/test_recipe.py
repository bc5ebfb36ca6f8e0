import pytest

from robust.errors import InvalidInput
from robust.quantizers.recipe import read_batch, read_recipe


def recipe(**given):
    usual = {
        "method": "static",
        "calibrate": "minmax",
        "percentile": 99.999,
        "per_channel": True,
        "weight_type": None,
        "activation_type": None,
        "reduce_range": None,
        "keep": (),
    }
    return read_recipe(**(usual | given))


@pytest.mark.parametrize(
    ("method", "weights", "activations", "reduced"),
    [
        ("static", "int8", "int8", True),
        ("qoperator", "int8", "int8", True),
        ("dynamic", "uint8", "uint8", False),
        ("weight-only", "int4", "float", False),
        ("torchao", "int8", "int8", False),
    ],
)
def test_each_method_has_its_own_types(method, weights, activations, reduced):
    found = recipe(method=method)
    assert (found.weight_type, found.activation_type, found.reduce_range) == (weights, activations, reduced)


def test_unsigned_weights_have_unsigned_activations():
    assert recipe(weight_type="uint8").activation_type == "uint8"
    assert recipe(weight_type="uint8", activation_type="int16").activation_type == "int16"


def test_seven_bits_are_for_weights_of_eight():
    assert not recipe(weight_type="int4").reduce_range
    assert not recipe(reduce_range=False).reduce_range


def test_labels_say_what_differs():
    assert recipe().label == "int8 static minmax"
    assert recipe(activation_type="int16", calibrate="entropy").label == "int8 static int16 activations entropy"
    assert recipe(method="dynamic", keep=["a", "b", "a"]).label == "uint8 dynamic without a, b"
    assert recipe(keep="a").keep == ("a",)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"method": "qat"}, "method must be one of 'static'.*got 'qat'"),
        ({"calibrate": "distribution"}, "8-bit floating-point types.*55 %"),
        ({"calibrate": "mean"}, "calibrate must be one of 'minmax'"),
        ({"method": "dynamic", "calibrate": "entropy"}, "takes no ranges from calibration rows"),
        ({"percentile": 50}, "percentile must be above 50"),
        ({"percentile": 100.1}, "percentile must be above 50"),
        ({"percentile": True}, "percentile must be above 50"),
        ({"percentile": float("nan")}, "percentile must be above 50"),
        ({"weight_type": "int16"}, "weight_type of method 'static' must be one of"),
        (
            {"method": "dynamic", "activation_type": "int8"},
            "activation_type of method 'dynamic' must be one of 'uint8'",
        ),
        ({"weight_type": "uint8", "activation_type": "int8"}, "take weights of int8, got uint8"),
        ({"method": "torchao", "per_channel": False}, "leave per_channel out"),
        ({"method": "weight-only", "reduce_range": True}, "reduce_range is for products of 8-bit integers"),
        ({"weight_type": "int4", "reduce_range": True}, "reduce_range is for weights of 8 bits"),
        ({"keep": [3]}, "keep takes names of modules"),
        ({"keep": [""]}, "keep takes names of modules"),
    ],
)
def test_refusals(given, match):
    with pytest.raises(InvalidInput, match=match):
        recipe(**given)


@pytest.mark.parametrize("batch", [0, -1, 1.5, True, "8"])
def test_a_batch_is_a_whole_number(batch):
    with pytest.raises(InvalidInput, match="batch must be a whole number of at least 1"):
        read_batch(batch)
