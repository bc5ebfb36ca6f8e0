import pytest
from onnx import helper

from robust.models.layer_names import layer_of, module_of, stored_name


def node(name="", **notes):
    made = helper.make_node("Conv", ["x", "w"], ["y"], name=name)
    for key, value in notes.items():
        made.metadata_props.add(key=f"pkg.torch.onnx.{key}", value=value)
    return made


@pytest.mark.parametrize(
    ("stored", "module"),
    [
        ("0.weight", "0"),
        ("block.1.weight_quantized", "block.1"),
        ("block.1.weight_bias", "block.1"),
        ("head.bias", "head"),
        ("attention.in_proj_weight", "attention"),
        ("weight", None),
        ("onnx::MatMul_12", None),
        ("val_3", None),
    ],
)
def test_a_weight_names_its_module(stored, module):
    assert module_of(stored) == module


@pytest.mark.parametrize(
    "name", ["list.0", "list.0_quantized", "list.0__2", "list.0__2_quantized", "list.0_token_1", "list.0_token_1__2"]
)
def test_a_quantized_or_copied_tensor_has_the_name_of_the_one_before(name):
    assert stored_name(name) == "list.0"


def test_the_weight_comes_before_the_exporters_notes():
    noted = node("n", name_scopes="['', 'other', 'conv']", class_hierarchy="['Net', 'torch.nn.Conv2d', 'aten']")
    assert layer_of(noted, 0, ["conv1.weight"]) == ("conv1", "Conv")
    assert layer_of(noted, 0, ["val_0"]) == ("other", "Conv2d")


@pytest.mark.parametrize("scopes", ["", "[", "{'a': 1}", "['', '']", "x" * 20_000])
def test_notes_that_tell_nothing_leave_the_name_of_the_operator(scopes):
    assert layer_of(node("conv_3", name_scopes=scopes), 0, []) == ("conv_3", "Conv")


def test_names_of_a_tracing_exporter_and_none_at_all():
    assert layer_of(node("/features/0/Conv"), 0, []) == ("features.0", "Conv")
    assert layer_of(node(), 7, []) == ("Conv_7", "Conv")
