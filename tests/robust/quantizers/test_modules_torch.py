import numpy as np
import pytest
import torch
from torch import nn

from robust.errors import InvalidInput
from robust.quantizers.building import quantize

ROWS = np.random.default_rng(0).standard_normal((40, 16)).astype(np.float32)


@pytest.mark.parametrize("method", ["static", "torchao"])
def test_rows_of_another_shape_name_the_shapes(method):
    net = nn.Sequential(nn.Linear(16, 5))
    with pytest.raises(InvalidInput, match=r"rows of shape \(7,\) do not fit .*0\.weight has shape \(5, 16\)"):
        quantize(net, ROWS[:, :7], method=method)


@pytest.mark.parametrize("method", ["static", "dynamic", "torchao"])
@pytest.mark.parametrize("activations", ["int8", "float"])
def test_what_torchao_quantized_is_quantized_already(method, activations):
    net = nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 5))
    candidate = quantize(net, ROWS, method="torchao", activation_type=activations)
    with pytest.raises(InvalidInput, match=r"quantized already, in 0 \(Linear\), 2 \(Linear\): quantize the float"):
        quantize(candidate, ROWS, method=method)
    assert not any(isinstance(p, torch.Tensor) and p.dtype == torch.int8 for p in net.parameters())
