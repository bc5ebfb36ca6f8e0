"""What is added to a layer's products."""

import math

import numpy as np
import torch
from torch import nn

from robust.layers.shifts import along, bias_shift, gap, normalised, scaled, shifted, times


def test_a_shift_is_what_the_layer_gives_for_rows_of_zeros():
    torch.manual_seed(0)
    conv, norm = nn.Conv2d(2, 4, 1), nn.BatchNorm2d(4).eval()
    nn.init.normal_(norm.running_mean)
    nn.init.uniform_(norm.running_var, 0.5, 2.0)
    nn.init.normal_(norm.weight)
    constant = torch.randn(1, 4, 3, 3)
    with torch.no_grad():
        wanted = (norm(conv(torch.zeros(1, 2, 3, 3))) + constant).double().numpy()
        scale = (norm.weight / torch.sqrt(norm.running_var + norm.eps)).double()
        offset = (norm.bias - norm.running_mean * scale).numpy()
    shift = bias_shift(conv.bias.detach().numpy(), 4)
    found = shifted(normalised(shift, scale.numpy(), offset, 3), constant.numpy())
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
    assert gap(found, wanted) < 1e-6


def test_a_normalisation_behind_a_constant_of_all_rows():
    torch.manual_seed(0)
    norm, constant = nn.BatchNorm2d(4).eval(), torch.randn(1, 4, 1, 1)
    nn.init.uniform_(norm.running_var, 0.5, 2.0)
    scale = 1 / torch.sqrt(norm.running_var + norm.eps)
    with torch.no_grad():
        wanted = norm(constant).numpy()
    found = normalised(constant.numpy().astype(float), scale.double().numpy(), np.zeros(4), 3)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    assert along(scale.numpy(), 3).shape == (4, 1, 1)


def test_what_is_not_known_stays_unknown():
    assert shifted(None, np.ones(3)) is None
    assert shifted(np.ones(3), None) is None
    assert shifted(np.ones(3), np.ones(4)) is None
    assert normalised(np.ones(3), None, None, 1) is None
    assert gap(None, np.ones(3)) is None
    assert math.isinf(gap(np.ones(3), np.ones(4)))


def test_weights_that_take_up_a_scale_give_the_scaled_outputs():
    torch.manual_seed(0)
    x, scale = torch.randn(2, 3, 5, 5), torch.rand(1, 4, 1, 1) + 0.5
    conv, up = nn.Conv2d(3, 4, 3, bias=False), nn.ConvTranspose2d(3, 4, 2, bias=False)
    with torch.no_grad():
        for module, axis in ((conv, 0), (up, 1)):
            wanted = module(x) * scale
            taken = times(module.weight.double().numpy(), scale.double().numpy(), axis)
            module.weight.copy_(torch.from_numpy(taken))
            np.testing.assert_allclose(module(x).numpy(), wanted.numpy(), atol=1e-5)
    weight = conv.weight.detach().numpy()
    assert times(weight, np.ones((1, 1, 3, 3)), 0) is None  # a number a pixel
    assert times(weight, np.ones((5, 1, 1)), 0) is None
    assert times(weight, None, 0) is weight
    assert scaled(np.ones(3), np.array(math.inf)) is None
    assert scaled(np.ones(3), np.ones(4)) is None
