"""Counts of torch modules: fixtures by hand, torch's own counter, and what must not change them."""

import io

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from robust.costing.count_torch import count_torch
from robust.costing.program_inputs_torch import told_shapes
from robust.errors import ModelFault
from robust.models.adapter_torch import TorchAdapter


def counted(module, *shapes, rows=1, integer=False):
    adapter = TorchAdapter(module=module, block=1, integer=integer)
    return count_torch(adapter, [np.zeros((rows, *shape)) for shape in shapes], name="net", fixed=rows > 1)


def macc(tally):
    return sum(layer.macc or 0 for layer in tally.layers)


def by_name(tally):
    return {layer.name: layer for layer in tally.layers}


class Function(nn.Module):
    """A module of one function."""

    def __init__(self, function, **parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self._function = function

    def forward(self, *x):
        return self._function(self, *x)


# --- the two networks of the reference ------------------------------------------------------------------------


def test_the_convolutional_network_by_hand(convolutional):
    tally = counted(convolutional, (1, 8, 8))
    layers = by_name(tally)
    assert {name: layers[name].macc for name in ("conv1", "bn1", "conv2", "bn2", "fc")} == {
        "conv1": 4608,
        "bn1": 0,
        "conv2": 73728,
        "bn2": 0,
        "fc": 2560,
    }
    assert (macc(tally), tally.parameters, tally.uncounted) == (80896, 3866, ())
    # 3,866 parameters and 2·(8 + 16) running statistics of 4 bytes; the counter of training batches is not needed.
    assert tally.rom == 4 * (3866 + 48) == 15656
    # The second convolution: 8·64 numbers in, 16·64 out; normalisation and ReLU write over them, the pool has 4·1,280.
    assert (tally.ram.bytes, tally.ram.at) == (4 * (512 + 1024), "conv2")
    assert tally.ram_without_io.bytes == 6144


def test_the_sequential_network_by_hand(sequential):
    tally = counted(sequential, (8, 8))
    layers = by_name(tally)
    assert {name: layer.macc for name, layer in layers.items()} == {
        "rnn": 12288,
        "att": 10240,
        "net": 1024,
        "head": 384,
    }
    assert macc(tally) == 23936
    assert tally.uncounted == ()
    # 4·16·(8 + 16 + 2) + 48·17 + 16·17 + 6·65, those of the projection that attention uses itself included.
    assert tally.parameters == 1664 + 816 + 272 + 390
    assert layers["att"].parameters == 816 + 272
    assert tally.rom == 4 * tally.parameters


def test_macc_are_a_samples_whatever_the_batch(convolutional, sequential):
    for module, shape in ((convolutional, (1, 8, 8)), (sequential, (8, 8))):
        one, four = counted(module, shape), counted(module, shape, rows=4)
        assert macc(one) == macc(four)
        assert (one.rom, one.parameters) == (four.rom, four.parameters)
        assert (one.rows, four.rows) == (1, 4)
        assert four.ram.bytes == pytest.approx(4 * one.ram.bytes, rel=0.05)


def test_modules_are_left_as_they_were(convolutional):
    convolutional.train()
    convolutional.bn1.eval()
    before = {name: tensor.clone() for name, tensor in convolutional.state_dict().items()}
    fused = torch.backends.mha.get_fastpath_enabled()
    counted(convolutional, (1, 8, 8))
    assert [part.training for part in (convolutional, convolutional.bn1, convolutional.bn2)] == [True, False, True]
    assert all(torch.equal(tensor, before[name]) for name, tensor in convolutional.state_dict().items())
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in convolutional.modules())
    assert torch.backends.mha.get_fastpath_enabled() is fused


# --- what other counters miss ---------------------------------------------------------------------------------

SEQUENCES = {
    "LSTM": (nn.LSTM(8, 16, batch_first=True), 8 * 4 * 16 * 24),
    "LSTM with no bias": (nn.LSTM(8, 16, batch_first=True, bias=False), 8 * 4 * 16 * 24),
    "deep LSTM both ways": (
        nn.LSTM(8, 16, 2, batch_first=True, bidirectional=True),
        2 * 8 * 4 * 16 * (8 + 16) + 2 * 8 * 4 * 16 * (32 + 16),
    ),
    # Projected states of 4: gates from 8 + 4, and 16·4 for the projection.
    "LSTM with projection": (nn.LSTM(8, 16, batch_first=True, proj_size=4), 8 * (4 * 16 * 12 + 16 * 4)),
    "GRU": (nn.GRU(8, 16, batch_first=True), 8 * 3 * 16 * 24),
    "RNN": (nn.RNN(8, 16, batch_first=True), 8 * 16 * 24),
}


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize(("layer", "expected"), SEQUENCES.values(), ids=SEQUENCES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_recurrent_layers_in_any_precision(layer, expected, dtype):
    tally = counted(Function(lambda m, x: m.layer(x)[0], layer=layer.to(dtype)), (8, 8))
    assert macc(tally) == expected
    assert tally.uncounted == ()


@pytest.mark.parametrize("weights", [True, False])
@pytest.mark.parametrize("heads", [1, 4])
def test_attention_with_and_without_its_weights(weights, heads):
    part = nn.MultiheadAttention(16, heads, batch_first=True)
    tally = counted(Function(lambda m, x: m.a(x, x, x, need_weights=weights)[0], a=part), (8, 16))
    assert macc(tally) == 8 * 16 * 48 + 2 * 8 * 8 * 16 + 8 * 16 * 16
    assert tally.uncounted == ()


def test_attention_to_another_sequence():
    part = nn.MultiheadAttention(16, 4, kdim=6, vdim=10, batch_first=True)
    tally = counted(Function(lambda m, x, k, v: m.a(x, k, v)[0], a=part), (8, 16), (5, 6), (5, 10))
    # Q 8·16·16, K 5·6·16, V 5·10·16, two products 8·5·16, out 8·16·16.
    assert macc(tally) == 2048 + 480 + 800 + 2 * 640 + 2048


def test_an_encoder_layer_by_hand():
    tally = counted(nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), (8, 16))
    assert macc(tally) == 10240 + 2 * 8 * 16 * 32
    assert tally.uncounted == ()


PRODUCTS = {
    "functional linear": (lambda m, x: functional.linear(x, x[0]), (8, 16), 8 * 8 * 16),
    "matmul": (lambda m, x: x @ x.mT, (8, 16), 8 * 8 * 16),
    "matmul with heads": (lambda m, x: x @ x.mT, (3, 8, 16), 3 * 8 * 8 * 16),
    "matrix and vector": (lambda m, x: x[0] @ x[0, 0], (8, 16), 8 * 16),
    "inner": (lambda m, x: torch.dot(x[0, 0], x[0, 1]), (8, 16), 16),
    "bmm": (lambda m, x: torch.baddbmm(x @ x.mT, x, x.mT), (8, 16), 2 * 8 * 8 * 16),
    "addbmm": (lambda m, x: torch.addbmm(torch.zeros(8, 8), x, x.mT), (8, 16), 8 * 8 * 16),
    "in place": (lambda m, x: torch.zeros(8, 8).addmm_(x[0], x[0].mT), (8, 16), 8 * 8 * 16),
    "activations": (lambda m, x: functional.prelu(functional.hardswish(x), torch.ones(1)), (8, 16), 0),
    "einsum": (lambda m, x: torch.einsum("bik,bjk->bij", x, x), (8, 16), 8 * 8 * 16),
    "fused attention": (
        lambda m, x: functional.scaled_dot_product_attention(x, x, x),
        (4, 8, 16),
        2 * 4 * 8 * 8 * 16,
    ),
    "causal": (
        lambda m, x: functional.scaled_dot_product_attention(x, x, x, is_causal=True),
        (4, 8, 16),
        2 * 4 * 8 * 8 * 16,
    ),
    "depthwise": (lambda m, x: functional.conv1d(x, torch.ones(8, 1, 3), groups=8), (8, 16), 8 * 14 * 3),
    "transposed": (lambda m, x: functional.conv_transpose1d(x, torch.ones(8, 2, 3)), (8, 16), 8 * 16 * 2 * 3),
    "no product": (lambda m, x: torch.softmax(functional.gelu(x).cumsum(1), -1).sort().values, (8, 16), 0),
    "no operator": (lambda m, x: x, (8, 16), 0),
}


@pytest.mark.parametrize(("function", "shape", "expected"), PRODUCTS.values(), ids=PRODUCTS)
def test_functional_products(function, shape, expected):
    tally = counted(Function(function), shape)
    assert macc(tally) == expected
    assert tally.uncounted == ()


def test_torchs_own_counter_agrees_where_it_can_see():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.GroupNorm(2, 8),
        nn.SiLU(),
        nn.Conv2d(8, 8, 5, groups=4, dilation=2),
        nn.AdaptiveAvgPool2d(4),
        nn.ConvTranspose2d(8, 4, 2, stride=2),
        nn.Flatten(),
        nn.LazyLinear(7),
    )
    x = torch.zeros(1, 3, 32, 32)
    net(x)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net.eval()(x)
    assert macc(counted(net, (3, 32, 32))) == counter.get_total_flops() // 2 > 0


def test_modules_that_enter_inference_mode_themselves(sequential):
    # Operators then arrive whole, not yet in their parts.
    class Inferring(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = sequential

        @torch.inference_mode()
        def forward(self, x):
            return torch.einsum("ij,kj->ik", self.net(x), torch.ones(3, 6))

    tally = counted(Inferring(), (8, 8))
    assert (macc(tally), tally.uncounted) == (23936 + 18, ())


def test_a_module_that_runs_twice_counts_twice_and_is_stored_once():
    shared = nn.Linear(4, 4)
    tally = counted(nn.Sequential(shared, nn.ReLU(), shared), (4,))
    assert (macc(tally), tally.parameters, tally.rom) == (32, 20, 80)


def test_tied_weights_are_stored_once():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.out = nn.Embedding(50, 8), nn.Linear(8, 50, bias=False)
            self.out.weight = self.words.weight

        def forward(self, x):
            return self.out(self.words(x).mean(1))

    tally = counted(Tied(), (3,), integer=True)
    assert (macc(tally), tally.parameters, tally.rom) == (400, 400, 1600)


@pytest.mark.parametrize("through_a_file", [False, True])
def test_tied_weights_of_programs_are_counted_once(through_a_file):
    net = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8)).eval()
    net[2].weight = net[0].weight
    example = torch.zeros(1, 8)
    program = reloaded(net, example) if through_a_file else torch.export.export(net, (example,)).module()
    for module in (net, program):
        tally = counted(module, (8,))
        assert (macc(tally), tally.parameters, tally.rom) == (128, 64 + 8 + 8, 320)


def test_a_parameter_and_a_buffer_of_one_memory_are_one_parameter():
    class Aliased(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Module()
            self.fc = nn.Linear(4, 2, bias=False)
            self.first.register_buffer("copy", self.fc.weight.detach())

        def forward(self, x):
            return self.fc(x)

    tally = counted(Aliased(), (4,))
    assert (tally.parameters, tally.rom) == (8, 32)


def test_parameters_that_never_run_are_stored_all_the_same():
    class Idle(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.idle = nn.Linear(4, 2), nn.Linear(100, 100)

        def forward(self, x):
            return self.used(x)

    tally = counted(Idle(), (4,))
    assert (macc(tally), tally.parameters) == (8, 10 + 10100)
    assert sum(layer.parameters for layer in tally.layers) == tally.parameters
    assert sum(layer.rom for layer in tally.layers) == tally.rom


def test_half_precision_halves_both_memories():
    net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
    full, half = counted(net, (8,)), counted(net.bfloat16(), (8,))
    assert (half.rom * 2, half.ram.bytes * 2) == (full.rom, full.ram.bytes)
    assert macc(half) == macc(full)


# --- memory ---------------------------------------------------------------------------------------------------


def test_memory_of_a_perceptron_by_hand():
    # 8 -> 16 -> 4: at the first layer 8 + 16 numbers live, at the second 16 + 4.
    net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
    tally = counted(net, (8,))
    assert (tally.ram.bytes, tally.ram.at) == (4 * 24, "0")
    assert tally.ram_without_io.bytes == 4 * 16
    inplace = nn.Sequential(nn.Linear(8, 16), nn.ReLU(inplace=True), nn.Linear(16, 4))
    assert counted(inplace, (8,)).ram.bytes == tally.ram.bytes


def test_a_residual_holds_its_input():
    # x, two results of 8 numbers each while the second layer runs; the sum takes the place of one.
    net = Function(lambda m, x: x + m.b(m.a(x)), a=nn.Linear(8, 8), b=nn.Linear(8, 8))
    assert counted(net, (8,)).ram.bytes == 4 * 24


def test_views_are_free_and_copies_are_not():
    views = Function(lambda m, x: m.a(x.view(-1, 32).unsqueeze(1)[:, 0]), a=nn.Linear(32, 1))
    assert counted(views, (8, 4)).ram.bytes == 4 * (32 + 1)
    # A transposed row cannot be seen as flat without a copy of its 32 numbers.
    copies = Function(lambda m, x: m.a(x.transpose(1, 2).reshape(-1, 32)), a=nn.Linear(32, 1))
    assert counted(copies, (8, 4)).ram.bytes == 4 * (32 + 32)
    assert counted(copies, (8, 4)).ram_without_io.bytes == 4 * 32


def test_indices_that_nobody_reads_take_no_memory():
    # A maximum's places are 64-bit numbers, eight times the values of a row here.
    plain = counted(nn.MaxPool2d(2), (4, 8, 8))
    assert plain.ram.bytes == 4 * (256 + 64)
    wanted = counted(nn.MaxPool2d(2, return_indices=True), (4, 8, 8))
    assert wanted.ram.bytes == plain.ram.bytes + 8 * 64


# --- exported programs ----------------------------------------------------------------------------------------


def reloaded(module, example, **options):
    """A program after a trip through a file."""
    program = torch.export.export(module.eval(), (example,), **options)
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    buffer.seek(0)
    return torch.export.load(buffer).module()


FREE = {"dynamic_shapes": ({0: torch.export.Dim("batch")},)}


@pytest.mark.filterwarnings("ignore:The tensor attributes self.rnn")
def test_exported_programs_count_as_their_modules(convolutional, sequential):
    for module, shape in ((convolutional, (1, 8, 8)), (sequential, (8, 8))):
        live, program = counted(module, shape), reloaded(module, torch.zeros(4, *shape), **FREE)
        assert told_shapes(program) == (shape,)
        exported = counted(program, shape)
        assert (macc(exported), exported.parameters, exported.rom) == (macc(live), live.parameters, live.rom)
        assert exported.ram.bytes == live.ram.bytes
        names = [(layer.name, layer.macc) for layer in live.layers if layer.macc]
        assert [(layer.name, layer.macc) for layer in exported.layers if layer.macc] == names
        assert exported.uncounted == ()


def test_a_fixed_batch_is_run_as_it_is(convolutional):
    program = reloaded(convolutional, torch.zeros(4, 1, 8, 8))
    tally = counted(program, (1, 8, 8), rows=4)
    assert (macc(tally), tally.rows, tally.ram.bytes) == (80896, 4, 4 * 6144)


def test_live_modules_do_not_tell_their_rows(convolutional):
    assert told_shapes(convolutional) is None


# --- weights that are not plain tensors -----------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_an_int8_network_of_torch_by_hand(convolutional):
    from torch.ao.quantization import get_default_qconfig_mapping
    from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

    x = torch.zeros(4, 1, 8, 8)
    prepared = prepare_fx(convolutional.eval(), get_default_qconfig_mapping("x86"), (x,))
    prepared(x)
    tally = counted(convert_fx(prepared), (1, 8, 8))
    assert (macc(tally), tally.parameters, tally.uncounted) == (80896, 3818, ())
    # 3,784 weights of 1 byte and 34 biases of 4; a scale and a zero point of 8 bytes for each of 34 channels; three
    # scales and zero points of activations of 4 and 8 bytes.
    assert tally.rom == 3784 + 4 * 34 + 16 * 34 + 3 * 12


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_a_partly_quantized_network_is_counted_layer_by_layer(convolutional):
    from torch.ao.quantization import quantize_dynamic

    # Of a convolutional network, dynamic quantization reaches the linear layer alone: two thirds of the weights.
    tally = counted(quantize_dynamic(convolutional.eval(), {nn.Linear}), (1, 8, 8))
    layers = by_name(tally)
    assert (macc(tally), tally.parameters, tally.uncounted) == (80896, 3866, ())
    assert [layers[name].rom for name in ("conv1", "conv2")] == [4 * 80, 4 * 1168]
    # 2,560 weights of 1 byte and 10 biases of 4, and a scale and a zero point, or one for each of 10 channels.
    assert layers["fc"].rom - 2560 - 40 in (16, 160)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_packed_weights_that_cannot_be_read_are_uncounted():
    from torch.ao.quantization import quantize_dynamic

    net = quantize_dynamic(Function(lambda m, x: m.rnn(x)[0], rnn=nn.LSTM(4, 4, batch_first=True)), {nn.LSTM})
    tally = counted(net, (3, 4))
    assert {item for missed in tally.uncounted for item in missed.affects} == {"macc", "parameters", "rom"}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiled_modules_count_as_one_layer(convolutional):
    traced = torch.jit.trace(convolutional.eval(), torch.zeros(1, 1, 8, 8))
    tally = counted(traced, (1, 8, 8))
    assert (macc(tally), tally.parameters, tally.rom, tally.ram.bytes) == (80896, 3866, 15656, 6144)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("compiled", [torch.jit.script, lambda part: torch.jit.trace(part, torch.zeros(1, 6))])
def test_compiled_parts_count_as_their_module(compiled):
    part = nn.Sequential(nn.Linear(6, 5), nn.ReLU())
    tally = counted(nn.Sequential(compiled(part), nn.Linear(5, 2)), (6,))
    assert {layer.name: (layer.macc, layer.parameters) for layer in tally.layers} == {"net": (30, 35), "1": (10, 12)}
    assert (tally.rom, tally.uncounted) == (4 * 47, ())


class Narrow(torch.Tensor):
    """A matrix of 8-bit integers with one scale, as libraries for weight quantization wrap it."""

    @staticmethod
    def __new__(cls, integers, scale):
        return torch.Tensor._make_wrapper_subclass(cls, integers.shape, dtype=scale.dtype)

    def __init__(self, integers, scale):
        self.integers, self.scale = integers, scale

    def __tensor_flatten__(self):
        return ["integers", "scale"], None

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        if func is torch.ops.aten.detach.default:
            return cls(args[0].integers, args[0].scale)
        plain = [arg.integers * arg.scale if isinstance(arg, cls) else arg for arg in args]
        return func(*plain, **(kwargs or {}))


def test_wrapped_weights_are_stored_at_their_own_width():
    net = nn.Linear(16, 4)
    integers, scale = torch.zeros(4, 16, dtype=torch.int8), torch.ones(())
    net.weight = nn.Parameter(Narrow(integers, scale), requires_grad=False)
    tally = counted(Function(lambda m, x: m.fc(x), fc=net), (16,))
    assert (macc(tally), tally.parameters, tally.uncounted) == (64, 68, ())
    assert tally.rom == 64 + 4 + 4 * 4


def test_lazy_weights_without_a_shape_are_uncounted():
    tally = counted(Function(lambda m, x: m.used(x), used=nn.Linear(4, 2), idle=nn.LazyLinear(4)), (4,))
    assert {(missed.name, missed.affects) for missed in tally.uncounted} == {("idle", ("parameters", "rom"))}


# --- what cannot be counted -----------------------------------------------------------------------------------


def test_an_operator_of_somebodys_own_is_uncounted():
    with torch.library._scoped_library("costing_test", "FRAGMENT") as library:
        library.define("secret(Tensor x, Tensor w) -> Tensor")
        library.impl("secret", lambda x, w: x @ w, "CompositeExplicitAutograd")
        net = Function(lambda m, x: torch.ops.costing_test.secret(m.a(x), m.a.weight), a=nn.Linear(4, 4))
        tally = counted(net, (4,))
    (missed,) = tally.uncounted
    assert (missed.name, missed.kind, missed.affects) == ("net", "costing_test.secret", ("macc",))
    layers = by_name(tally)
    assert layers["a"].macc == 16
    assert layers["net"].macc is None


def test_transforms_and_distances_are_uncounted():
    tally = counted(Function(lambda m, x: torch.fft.rfft(x).abs() + torch.cdist(x, x)[..., :3]), (4, 4))
    assert {missed.kind for missed in tally.uncounted} == {"aten._fft_r2c", "aten._cdist_forward"}


def test_a_branch_is_uncounted():
    net = Function(lambda m, x: torch.cond(x.sum() > 0, lambda x: x + 1, lambda x: x @ x, (x,)))
    adapter = TorchAdapter(module=net, block=1)
    tally = count_torch(adapter, [np.ones((4, 4))], name="net", fixed=False)
    (missed,) = tally.uncounted
    assert missed.kind == "cond"
    assert missed.affects == ("macc", "ram")


def test_a_module_that_raises_is_told_with_the_shape():
    with pytest.raises(ModelFault, match=r"net raised RuntimeError: mat1 and mat2 .* on inputs of shape \(1, 5\)"):
        counted(nn.Linear(4, 2), (5,))


def test_exiting_from_inside_does_not_end_the_program():
    def leave(_module, _x):
        raise SystemExit(0)

    with pytest.raises(ModelFault, match="raised SystemExit"):
        counted(Function(leave), (4,))


# --- what is stored and not read ------------------------------------------------------------------------------


@pytest.mark.parametrize("exported", [False, True])
def test_stored_tensors_that_no_operator_reads_are_named(exported):
    net = nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4)).eval()
    net.register_buffer("table", torch.zeros(1000))
    net.register_buffer("made_anew", torch.zeros(100), persistent=False)
    module = torch.export.export(net, (torch.zeros(1, 8),)).module() if exported else net
    tally = counted(module, (8,))
    # The counter of batches is for training and belongs to nothing; buffers that no file keeps do.
    assert tally.rom == 4 * (36 + 16 + 1000 + 100)
    assert tally.notes[-2] == (
        "ROM includes 4,400 bytes of 2 stored tensors that no operator of a run reads, and a converter may drop: "
        "'table' (4,000 bytes), 'made_anew' (400 bytes)"
    )
    assert len(counted(nn.LSTM(4, 4, batch_first=True), (3, 4)).notes) == 1


def test_a_module_spread_over_devices_counts_as_its_part():
    tally = counted(nn.DataParallel(nn.Linear(8, 4)), (8,))
    assert (macc(tally), tally.parameters, tally.uncounted) == (32, 36, ())
