import logging

import numpy as np
import pytest
import torch
from torch import nn

from robust.errors import InvalidInput
from robust.models.loading import load_model
from robust.quantizers.building import quantize

ROWS = np.random.default_rng(0).standard_normal((40, 16)).astype(np.float32)


class Bessel(nn.Module):
    def forward(self, x):
        return torch.special.bessel_j0(x)


class Branching(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(16, 5)

    def forward(self, x):
        if x.sum() > 0:
            return self.a(x)
        return self.a(-x)


def test_an_operator_without_a_form_is_named_with_its_node_and_module():
    net = nn.Sequential(nn.Linear(16, 8), Bessel(), nn.Linear(8, 5))
    with pytest.raises(
        InvalidInput, match=r"operator prims\.bessel_j0\S* \(node 'bessel_j0', in module 1 \(Bessel\)\)"
    ):
        quantize(net, ROWS)


def test_a_module_that_goes_on_by_values_is_told_in_one_sentence(capfd, caplog):
    with caplog.at_level(logging.WARNING), pytest.raises(InvalidInput) as caught:
        quantize(nn.Sequential(Branching()), ROWS)
    text = str(caught.value)
    assert "goes on by the values of a tensor, at 'if x.sum() > 0:' (test_export_faults_torch.py, line " in text
    assert "torch.where" in text
    assert len(text.splitlines()) == 1
    assert capfd.readouterr() == ("", "")


def test_an_operator_that_onnxruntime_does_not_know_is_named_with_its_node(tmp_path):
    import onnx
    from onnx import helper

    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", 16]) for name in ("x", "y")]
    node = helper.make_node("MyOp", ["x"], ["y"], name="odd1", domain="my.domain")
    graph = helper.make_graph([node], "g", ends[:1], ends[1:])
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("my.domain", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), tmp_path / "custom.onnx")
    with pytest.raises(InvalidInput, match=r"has operator my\.domain:MyOp at node 'odd1', which onnxruntime does not"):
        load_model(tmp_path / "custom.onnx")
