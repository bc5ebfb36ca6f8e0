"""Storage of torch weights: of torchao's tensors, packed layers, fake quantizers and exported programs."""

import warnings

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize
from torchao.quantization import (
    Int8DynamicActivationInt8WeightConfig,
    Int8WeightOnlyConfig,
    IntxWeightOnlyConfig,
    quantize_,
)
from torchao.quantization.granularity import PerAxis
from torchao.quantization.qat import IntxFakeQuantizeConfig, QATConfig

from robust.examples.digits_torch import small_cnn
from robust.models.conversion import as_model
from robust.models.loading import load_model
from robust.quantization.coverage import coverage_by_layer, quantized_coverage
from robust.quantization.degradation_paired import degradation

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # torch's own, of parts of its own
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e, prepare_qat_pt2e
    from torchao.quantization.pt2e.quantizer.x86_inductor_quantizer import (
        X86InductorQuantizer,
        get_default_x86_inductor_quantization_config,
    )

#: Weights and products of the small network, by hand.
WEIGHTS, MACC = {"0": 144, "4": 4608, "9": 1280}, {"0": 9216, "4": 73728, "9": 1280}
SHAPE = (1, 8, 8)


def network():
    torch.manual_seed(0)
    return small_cnn().eval()


def shares(layers):
    weights = sum(WEIGHTS[name] for name in layers) / sum(WEIGHTS.values())
    return pytest.approx(weights), pytest.approx(sum(MACC[name] for name in layers) / sum(MACC.values()))


def test_a_float_module():
    found = coverage_by_layer(network(), input_shape=SHAPE)
    assert (found.weights, found.macc) == (0.0, 0.0)
    assert {layer.name: (layer.weights, layer.bits, layer.macc) for layer in found.layers} == {
        name: (WEIGHTS[name], 32, MACC[name]) for name in WEIGHTS
    }


@pytest.mark.parametrize(
    ("settings", "bits", "integer"),
    [
        (Int8WeightOnlyConfig(), 8, False),
        (Int8DynamicActivationInt8WeightConfig(), 8, True),
        (IntxWeightOnlyConfig(torch.int4, PerAxis(0)), 4, False),
    ],
)
def test_convolutions_that_were_left_in_float_are_told(settings, bits, integer):
    quantized = network()
    quantize_(quantized, settings)
    found = coverage_by_layer(quantized, input_shape=SHAPE)
    weights, macc = shares(["9"])
    assert found.weights == weights
    assert found.macc == (macc if integer else 0.0)
    assert found.layers[-1].bits == bits
    assert str(found).startswith("21.22 % of the weights are held in 8 bits or fewer; ")
    assert str(found).endswith("; in float: 0, 4")


def test_a_degradation_says_what_share_is_quantized():
    net, quantized = network(), network()
    quantize_(quantized, Int8WeightOnlyConfig())
    rows = torch.rand(64, *SHAPE).numpy()
    y = net(torch.from_numpy(rows)).argmax(dim=1).numpy()
    (check,) = (c for c in degradation(net, quantized, (rows, y), quantized=True).validity if c.name == "quantized")
    assert check.passed
    assert "21.22 % of the weights" in check.reason
    (check,) = (c for c in degradation(net, network(), (rows, y), quantized=True).validity if c.name == "quantized")
    assert not check.passed
    assert check.reason == "Sequential: 0 % of the weights are quantized: this is the float model"


def test_fake_quantized_layers_are_simulated_while_they_round():
    training = network()
    quantize_(training, QATConfig(weight_config=IntxFakeQuantizeConfig(torch.int4, group_size=32), step="prepare"))
    found = coverage_by_layer(training, input_shape=SHAPE)
    assert (found.weights, found.simulated, found.layers[-1].bits) == (shares(["9"])[0], True, 4)
    assert "rounded to 8 bits or fewer in floating point" in str(found)
    training[9].weight_fake_quantizer.enabled = False
    assert coverage_by_layer(training, input_shape=SHAPE).weights == 0.0


def test_packed_layers():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        packed = torch.ao.quantization.quantize_dynamic(network(), {nn.Linear})
        found = coverage_by_layer(packed, input_shape=SHAPE)
    assert (found.weights, found.macc) == shares(["9"])


def test_a_shared_weight_counts_once():
    tied = nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 10, bias=False))
    tied[1].weight = tied[0].weight
    assert sum(layer.weights for layer in coverage_by_layer(tied, input_shape=(3,)).layers) == 40


class Masked(nn.Module):
    """Constants of all kinds beside a float layer."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 8, bias=False)
        self.register_buffer("mask", torch.ones(64, 64, dtype=torch.bool).tril())
        self.register_buffer("table", torch.zeros(16, 16, dtype=torch.int8))
        self.register_buffer("anchors", torch.zeros(32, 4))
        self.register_buffer("places", torch.zeros(32, 4, dtype=torch.int64))

    def forward(self, x):
        return self.fc(x)


def test_constants_are_no_weights():
    net = Masked()
    found = coverage_by_layer(net, input_shape=(8,))
    assert (found.weights, [layer.name for layer in found.layers]) == (0.0, ["fc"])
    quantize_(net, Int8WeightOnlyConfig())
    assert coverage_by_layer(net, input_shape=(8,)).weights == 1.0


def test_a_traced_module_calls_the_modules_that_hold_its_weights():
    traced = torch.fx.symbolic_trace(network())
    assert coverage_by_layer(traced, input_shape=SHAPE).weights == 0.0
    quantize_(traced, Int8WeightOnlyConfig())
    found = coverage_by_layer(traced, input_shape=SHAPE)
    assert found.weights == shares(["9"])[0]
    assert {layer.name: layer.weights for layer in found.layers} == WEIGHTS


@pytest.mark.parametrize("name", ["weight_mask", "edge_weight_bins", "mask_of_weight_rows"])
def test_masks_and_tables_of_weights_are_no_weights(name):
    net = nn.Linear(8, 8)
    net.register_buffer(name, torch.ones(64, 64, dtype=torch.uint8))
    assert coverage_by_layer(net, input_shape=(8,)).weights == 0.0


def test_without_a_run_a_small_buffer_may_be_a_weight():
    net = nn.Sequential(nn.Linear(8, 8))
    net[0].register_buffer("table", torch.full((8, 8), 3, dtype=torch.int8))
    found = coverage_by_layer(net)
    assert found.weights is None
    assert found.reason == "how 0 keep their weights cannot be read"
    assert coverage_by_layer(net, input_shape=(8,)).weights == 0.0


def test_what_rounds_a_weight_on_its_way_is_unknown_and_what_scales_it_is_not():
    class Made(nn.Module):
        def __init__(self, rounds):
            super().__init__()
            self.rounds = rounds

        def forward(self, weight):
            return torch.round(weight * 8) / 8 if self.rounds else weight / 2

    for rounds, share in ((False, 0.0), (True, None)):
        net = network()
        parametrize.register_parametrization(net[9], "weight", Made(rounds))
        found = coverage_by_layer(net, input_shape=SHAPE)
        assert found.weights == share
        assert found.reason == ("how 9 keep their weights cannot be read" if rounds else "")
        assert [layer.name for layer in found.layers] == ["0", "4", "9"]


def quantizer(**options):
    return X86InductorQuantizer().set_global(get_default_x86_inductor_quantization_config(**options))


@pytest.fixture(scope="module")
def program():
    rows = torch.rand(8, *SHAPE)
    free = ({0: torch.export.Dim("batch")},)
    prepared = prepare_pt2e(torch.export.export(network(), (rows,), dynamic_shapes=free).module(), quantizer())
    prepared(rows)
    return torch.export.export(convert_pt2e(prepared), (rows,), dynamic_shapes=free)


def test_a_quantized_program_live_and_from_its_file(program, tmp_path):
    torch.export.save(program, tmp_path / "int8.pt2")
    for model in (program, load_model(tmp_path / "int8.pt2")):
        found = coverage_by_layer(model)
        assert (found.weights, found.macc, found.simulated) == (1.0, 1.0, False)
        assert {layer.name: layer.weights for layer in found.layers} == WEIGHTS


def test_a_program_that_is_prepared_for_training_is_simulated():
    rows = torch.rand(8, *SHAPE)
    exported = torch.export.export(network(), (rows,)).module()
    prepared = prepare_qat_pt2e(exported, quantizer(is_qat=True))
    prepared(rows)
    found = coverage_by_layer(prepared, data=rows.numpy())
    assert (found.weights, found.simulated) == (1.0, True)


def test_a_float_program_is_no_quantized_one():
    assert quantized_coverage(as_model(torch.export.export(network(), (torch.rand(8, *SHAPE),)))) == 0.0
