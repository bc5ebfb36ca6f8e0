"""Which stored tensors are factors of a run, whatever they are called and wherever they are kept."""

import copy
import warnings
import zlib

import pytest
import torch
from torch import nn
from torch.nn.utils import prune
from torchao.quantization import Int8WeightOnlyConfig, quantize_

from robust.quantization.coverage import coverage_by_layer
from robust.quantization.degradation_paired import degradation

WIDE = 8 * 8


def shares(module, shape=(8,)):
    found = coverage_by_layer(module, input_shape=shape)
    return found.weights, {layer.name: (layer.weights, layer.bits) for layer in found.layers}


class Kept(nn.Module):
    """A linear layer whose weight is kept in whole numbers, in a place of any name."""

    def __init__(self, name="weight", *, plain=False, per_row=True):
        super().__init__()
        weight = torch.arange(32, dtype=torch.int8).reshape(4, 8) - 16
        if plain:
            setattr(self, name, weight)
        else:
            self.register_buffer(name, weight)
        self.register_buffer("scale", torch.full((4, 1), 0.1) if per_row else torch.tensor(0.1))
        self.name = name

    def forward(self, x):
        return x @ (getattr(self, self.name).float() * self.scale).T


@pytest.mark.parametrize("name", ["weight", "qweight", "w", "kernel", "W_q", "packed", "mask"])
@pytest.mark.parametrize("plain", [False, True])
def test_a_weight_is_known_by_its_use_and_not_by_its_name(name, plain):
    assert shares(Kept(name, plain=plain)) == (1.0, {"Kept": (32, 8)})


class Packed(nn.Module):
    """Eight weights of 4 bits in each word."""

    def __init__(self):
        super().__init__()
        self.register_buffer("words", torch.arange(8, dtype=torch.int32).reshape(4, 2) * 123456)

    def forward(self, x):
        weight = torch.zeros(4, 16)
        for place in range(8):
            weight[:, place::8] = ((self.words >> (4 * place)) & 15).float() - 8
        return nn.functional.linear(x, weight)


def test_several_weights_in_each_word():
    assert shares(Packed(), (16,)) == (1.0, {"Packed": (64, 4)})
    both = nn.Sequential(Packed(), nn.Linear(4, 16))
    assert shares(both, (16,)) == (0.5, {"0": (64, 4), "1": (64, 32)})


class Beside(nn.Module):
    """A float layer and a quantized one that may be called, and may matter."""

    def __init__(self, use):
        super().__init__()
        self.net, self.old, self.use = nn.Linear(8, 8), nn.Linear(8, 8), use
        quantize_(self.old, Int8WeightOnlyConfig())
        self.register_buffer("zero", torch.zeros(()))

    def forward(self, x):
        if self.use == "dropped":
            self.old(x)
        if self.use in ("a float", "a tensor", "each"):
            zero = {"a float": 0.0, "a tensor": self.zero, "each": self.zero.expand(8)}[self.use]
            return self.net(x) + self.old(x) * zero
        return self.net(x) + (self.old(x) if self.use == "used" else 0)


@pytest.mark.parametrize(
    ("use", "share"),
    [("never", 0.0), ("dropped", 0.0), ("used", 0.5), ("a float", 0.0), ("a tensor", 0.0), ("each", 0.0)],
)
def test_what_does_not_reach_the_output_does_not_count(use, share):
    assert shares(Beside(use))[0] == share


def test_of_a_traced_module_too():
    for use, share in (("never", 0.0), ("dropped", 0.0), ("used", 0.5), ("a float", 0.0), ("a tensor", 0.0)):
        assert shares(torch.fx.symbolic_trace(Beside(use)))[0] == share


@pytest.mark.parametrize("use", ["never", "a float"])
def test_a_gate_fails_on_a_float_net_that_carries_a_quantized_layer(use):
    net = Beside(use)
    moved = copy.deepcopy(net)
    moved.net.weight.data += 1e-4
    x = torch.rand(64, 8).numpy()
    y = net(torch.from_numpy(x)).argmax(dim=1).numpy()
    verdict = degradation(net, moved, (x, y), quantized=True) < 0.1
    assert verdict.status == "INVALID"
    assert "0 % of the weights are quantized: this is the float model" in str(verdict)


class Graph(nn.Module):
    """A float layer between the neighbours that a stored table says."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 8)
        self.register_buffer("edges", torch.eye(5, dtype=torch.uint8))

    def forward(self, x):
        return self.fc(self.edges.float() @ x)


def test_a_table_of_edges_is_no_weight():
    assert shares(Graph(), (5, 8)) == (0.0, {"fc": (WIDE, 32)})


def test_a_pruned_weight_counts_once_and_its_mask_not():
    net = nn.Sequential(nn.Linear(8, 8))
    prune.l1_unstructured(net[0], "weight", 0.2)
    assert shares(net) == (0.0, {"0": (WIDE, 32)})


class Codes(nn.Module):
    """A table of 8 bits that is unpacked after it is looked up, and one of places that is not."""

    def __init__(self):
        super().__init__()
        self.register_buffer("rows", torch.arange(40, dtype=torch.int8).reshape(10, 4))
        self.register_buffer("scale", torch.ones(10, 1))
        self.register_buffer("places", torch.randint(0, 9, (10, 3), dtype=torch.uint8))
        self.head = nn.Linear(4, 10)

    def forward(self, x):
        codes = x.long()
        self.places[codes].long()
        return self.head((self.rows[codes].float() * self.scale[codes]).mean(dim=1))


def test_a_table_counts_where_it_is_unpacked():
    assert shares(Codes(), (6,)) == (0.5, {"Codes": (40, 8), "head": (40, 32)})


class Elementwise(nn.Module):
    """A product that is written number by number: of all pairs, or of each number with its own."""

    def __init__(self, table, *, pairs):
        super().__init__()
        self.table, self.pairs = table, pairs
        self.head = nn.Linear(8, 8)
        quantize_(self.head, Int8WeightOnlyConfig())

    def forward(self, x):
        return self.head(((x[:, None] if self.pairs else x[:, None].expand(-1, 8, -1)) * self.table).sum(-1))


def test_products_of_all_pairs_are_products():
    small = torch.arange(64, dtype=torch.int8).reshape(8, 8)
    assert shares(Elementwise(small, pairs=True))[0] == 1.0
    assert shares(Elementwise(torch.randn(8, 8), pairs=True))[0] == 0.5
    assert shares(Elementwise(torch.randn(8, 8), pairs=False))[0] == 1.0  # a gain of each number is no weight


def test_small_numbers_that_meet_the_input_elsewhere_are_unknown():
    small = torch.arange(64, dtype=torch.int8).reshape(8, 8)
    found = coverage_by_layer(Elementwise(small, pairs=False), input_shape=(8,))
    assert found.weights is None
    assert found.reason == "how Elementwise keep their weights cannot be read"


class Centres(nn.Module):
    """Distances to stored centres."""

    def __init__(self, cdist):
        super().__init__()
        self.centres, self.cdist = nn.Parameter(torch.randn(20, 8)), cdist
        self.head = nn.Linear(20, 3)
        quantize_(self.head, Int8WeightOnlyConfig())

    def forward(self, x):
        gap = torch.cdist(x, self.centres) if self.cdist else ((x[:, None] - self.centres) ** 2).sum(-1).sqrt()
        return self.head(torch.exp(-gap))


@pytest.mark.parametrize("cdist", [False, True])
def test_centres_are_weights(cdist):
    assert shares(Centres(cdist))[0] == pytest.approx(60 / 220)


class Hidden(nn.Module):
    """A backbone that no module registers."""

    def __init__(self, how):
        super().__init__()
        backbone = nn.Linear(8, 8)
        weight = backbone.weight.detach().numpy()
        packed = zlib.compress(weight.T.tobytes())
        self.how = how
        self.backbone = {
            "list": [backbone],
            "closure": lambda x: backbone(x),
            "numpy": lambda x: x @ torch.from_numpy(weight).T,
            "copied": lambda x: x @ torch.tensor(weight.tolist()).T,
            "compressed": lambda x: (
                x @ torch.frombuffer(bytearray(zlib.decompress(packed)), dtype=torch.float32).view(8, 8)
            ),
            "bytes": lambda x: x @ torch.frombuffer(bytearray(weight.tobytes()), dtype=torch.float32).view(8, 8).T,
            "numpy on the input": lambda x: torch.from_numpy(x.numpy() @ weight.T),
        }[how]
        self.head = nn.Linear(8, 8)
        quantize_(self.head, Int8WeightOnlyConfig())

    def forward(self, x):
        return self.head(self.backbone[0](x) if self.how == "list" else self.backbone(x))


@pytest.mark.parametrize("how", ["list", "closure", "numpy", "copied", "bytes", "compressed"])
def test_weights_that_no_module_registers_count(how):
    found = coverage_by_layer(Hidden(how), input_shape=(8,))
    assert found.weights == 0.5
    if how != "list":
        assert "in float: (tensors that no module registers)" in str(found)


def test_what_is_multiplied_outside_torch_is_unknown():
    found = coverage_by_layer(Hidden("numpy on the input"), input_shape=(8,))
    assert found.weights is None
    assert found.reason == "how (what is computed outside torch) keep their weights cannot be read"


class Bytes(nn.Module):
    """Float weights that are kept as bytes."""

    def __init__(self):
        super().__init__()
        self.register_buffer("blob", torch.randn(8, 8).view(torch.uint8))

    def forward(self, x):
        return nn.functional.linear(x, self.blob.view(torch.float32))


def test_bytes_of_floats_are_floats():
    assert shares(Bytes()) == (0.0, {"Bytes": (64, 32)})


class Scratch(nn.Module):
    """Dequantizes into a buffer that is there for it."""

    def __init__(self, how):
        super().__init__()
        self.how = how
        self.register_buffer("codes", torch.arange(64, dtype=torch.int8).reshape(8, 8))
        self.register_buffer("scratch", torch.zeros(8, 8))

    def forward(self, x):
        if self.how == "copy":
            self.scratch.copy_(self.codes)
            self.scratch.mul_(0.1)
        elif self.how == "out":
            torch.mul(self.codes, 0.1, out=self.scratch)
        else:
            self.scratch[:] = self.codes * 0.1
        return nn.functional.linear(x, self.scratch)


@pytest.mark.parametrize("how", ["copy", "out", "index"])
def test_what_a_buffer_held_before_is_gone(how):
    assert shares(Scratch(how)) == (1.0, {"Scratch": (64, 8)})


class Faked(nn.Module):
    """Rounds its weight by torch's own operator, which says to what."""

    def __init__(self, bits):
        super().__init__()
        self.weight, self.most = nn.Parameter(torch.randn(8, 8)), 2 ** (bits - 1) - 1

    def forward(self, x):
        fake = torch.fake_quantize_per_tensor_affine(self.weight, 0.05, 0, -self.most, self.most)
        return nn.functional.linear(x, fake)


@pytest.mark.parametrize(("bits", "share"), [(8, 1.0), (4, 1.0), (12, 0.0)])
def test_a_range_that_an_operator_states_is_believed(bits, share):
    found = coverage_by_layer(Faked(bits), input_shape=(8,))
    assert (found.weights, found.layers[0].bits, found.simulated) == (share, bits, bits <= 8)


class Integers(nn.Module):
    """Multiplies whole numbers."""

    def __init__(self, kernel):
        super().__init__()
        self.kernel = kernel
        self.register_buffer("codes", torch.arange(-32, 32, dtype=torch.int8).reshape(8, 8))

    def forward(self, x):
        scale = x.abs().amax() / 127
        rounded = (x / scale).round()
        if self.kernel == "int_mm":
            rows = torch.cat([rounded, rounded.new_zeros(32, 8)]).to(torch.int8)
            product = torch._int_mm(rows, self.codes.T.contiguous())[: len(x)]
        else:
            product = rounded.to(torch.int32) @ self.codes.T.to(torch.int32)
        return product.float() * scale


@pytest.mark.parametrize("kernel", ["int_mm", "int32"])
def test_products_of_whole_numbers_have_two_quantized_factors(kernel):
    found = coverage_by_layer(Integers(kernel), data=torch.rand(4, 8).numpy())
    assert (found.weights, found.macc) == (1.0, 1.0)


def test_packed_recurrent_layers():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(8, 4, batch_first=True)
            self.head = nn.Linear(4, 3)

        def forward(self, x):
            return self.head(self.lstm(x)[0][:, -1])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        packed = torch.ao.quantization.quantize_dynamic(Net(), {nn.LSTM})
        share, layers = shares(packed, (6, 8))
    lstm = 4 * 4 * 8 + 4 * 4 * 4
    assert share == pytest.approx(lstm / (lstm + 12))
    assert layers["lstm"] == (lstm, 8)


def test_a_float_net_of_every_kind_of_layer_is_wide():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(10, 8)
            self.place = nn.Parameter(torch.randn(1, 6, 8))
            self.body = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
            self.lstm = nn.LSTM(8, 4, batch_first=True, bidirectional=True)
            self.head = nn.utils.parametrizations.weight_norm(nn.Linear(8, 3))

        def forward(self, x):
            return self.head(self.lstm(self.body(self.table(x.long()) + self.place))[0][:, -1])

    share, layers = shares(Net().eval(), (6,))
    assert share == 0.0
    assert {bits for _, bits in layers.values()} == {32}
    lstm = 2 * (4 * 4 * 8 + 4 * 4 * 4)
    assert {name: size for name, (size, _) in layers.items()} == {
        "table": 80,
        "body.self_attn": 3 * 64,
        "body.self_attn.out_proj": 64,
        "body.linear1": 128,
        "body.linear2": 128,
        "lstm": lstm,
        "head": 24,
    }


def test_a_model_that_raises_is_unknown():
    found = coverage_by_layer(nn.Linear(8, 8), input_shape=(7,))
    assert found.weights is None
    assert found.reason.startswith("it cannot be run: Linear raised while its weights were followed: ")


def test_nothing_is_left_behind():
    net = Beside("used")
    coverage_by_layer(net, input_shape=(8,))
    assert all(not part._forward_pre_hooks and not part._forward_hooks for part in net.modules())
    assert torch.backends.mha.get_fastpath_enabled()


class Made(nn.Module):
    """A product with a weight that is made of stored tensors at each call."""

    def __init__(self, how, **stored):
        super().__init__()
        self.how = how
        for name, array in stored.items():
            self.register_buffer(name, torch.as_tensor(array))

    def forward(self, x):
        return nn.functional.linear(x, self.how(self))


BYTE = torch.arange(128, dtype=torch.uint8).reshape(8, 16)
PARTS = {"hi": BYTE, "lo": BYTE.flip(0)}
SMALL = torch.full((8, 16), 0.1)


@pytest.mark.parametrize(
    ("how", "stored", "share"),
    [
        (lambda m: m.hi.float() * 256 + m.lo.float(), PARTS, 0.0),
        (lambda m: ((m.hi.int() << 8) | m.lo.int()).float(), PARTS, 0.0),
        (lambda m: (m.hi.float() * 256 + m.lo.float()).reshape(8, 16), {"hi": BYTE.view(-1), "lo": BYTE.view(-1)}, 0.0),
        (lambda m: m.q.float() + m.r.float() / 127, {"q": BYTE.char(), "r": BYTE.char()}, 0.0),
        # A float for each number, or for two of them; then for eight, and for a channel.
        (lambda m: m.q.float() * m.s, {"q": BYTE, "s": SMALL}, 0.0),
        (lambda m: m.q.float() * m.s.repeat_interleave(2, 1), {"q": BYTE, "s": SMALL[:, :8]}, 0.0),
        (lambda m: m.q.float() * m.s.repeat_interleave(8, 1), {"q": BYTE, "s": SMALL[:, :2]}, 1.0),
        (lambda m: m.q[:, :2].float() * m.s, {"q": BYTE, "s": SMALL[:, :1]}, 1.0),
        # Zero points of blocks, halves side by side, one of several, and one that is taken twice.
        (lambda m: m.q.float() - m.z.repeat_interleave(8, 1).float(), {"q": BYTE, "z": BYTE[:, :2]}, 1.0),
        (lambda m: torch.cat([m.hi, m.lo]).float(), PARTS, 1.0),
        (lambda m: torch.cat([m.hi, m.lo])[:8].float(), PARTS, 1.0),
        (lambda m: torch.stack([m.hi, m.lo])[0].float() * 0.1, PARTS, 1.0),
        (lambda m: m.q.float() + m.q.flip(0).float(), {"q": BYTE}, 1.0),
    ],
)
def test_what_several_stored_numbers_make_is_as_wide_as_all_of_them(how, stored, share):
    made = Made(how, **stored)
    assert shares(made, how(made).shape[1:])[0] == share


NOUGHTS = (BYTE % 3 == 0).float()
SIXTEEN = torch.linspace(-1, 1, 16)
NIBBLES = torch.arange(64, dtype=torch.int32).reshape(8, 8) * 0x1234567
WIDER = torch.arange(512).reshape(16, 32) % 16


@pytest.mark.parametrize("kind", [torch.float32, torch.bool, torch.uint8])
@pytest.mark.parametrize(
    "how",
    [
        lambda m: m.q.float() * m.s * m.mask,
        lambda m: m.mask * (m.q.float() * m.s),
        lambda m: torch.where(m.mask.bool(), m.q.float() * m.s, 0.0),
        lambda m: (m.q.float() * m.s).masked_fill(m.mask.bool(), 0.0),
    ],
)
def test_a_mask_is_no_weight(how, kind):
    """By hand: 8 · 16 weights of 8 bits, as without it."""
    made = Made(how, q=BYTE.char(), s=torch.full((8, 1), 0.1), mask=NOUGHTS.to(kind))
    assert shares(made, (16,)) == (1.0, {"Made": (128, 8)})


def test_noughts_and_ones_with_a_scale_are_weights_of_their_own():
    made = Made(lambda m: m.mask.float() * m.s, mask=NOUGHTS.to(torch.uint8), s=torch.full((8, 1), 0.1))
    assert shares(made, (16,)) == (1.0, {"Made": (128, 8)})


def test_amounts_of_shifts_and_zero_points_are_no_weights():
    """By hand: eight numbers of 4 bits in each of 64 words."""
    made = Made(
        lambda m: (((m.words[..., None] >> m.by) & m.low).flatten(1) - m.zero).float() * m.s,
        words=NIBBLES,
        by=torch.arange(0, 32, 4, dtype=torch.int32),
        low=torch.tensor(15, dtype=torch.int32),
        zero=torch.full((8, 1), 8, dtype=torch.int32),
        s=torch.full((8, 1), 0.1),
    )
    assert shares(made, (64,)) == (1.0, {"Made": (512, 4)})


@pytest.mark.parametrize("kind", [torch.uint8, torch.int32, torch.int64])
def test_a_palette_is_a_few_bits_a_weight_whatever_type_its_places_have(kind):
    """By hand: 4 bits, and 16 · 32 bits of the palette for 512 weights: one bit more."""
    made = Made(lambda m: m.table[m.places.long()], table=SIXTEEN, places=WIDER.to(kind))
    assert shares(made, (32,)) == (1.0, {"Made": (512, 4)})


def test_a_palette_for_a_few_weights_is_as_wide_as_floats():
    """By hand: 4 bits, and 16 · 32 bits for 32 weights: 20 in all."""
    made = Made(lambda m: m.table[m.places.long()], table=SIXTEEN, places=WIDER[:2, :16].to(torch.uint8))
    assert shares(made, (16,)) == (0.0, {"Made": (32, 20)})


@pytest.mark.parametrize("look_up", [nn.functional.embedding, lambda places, table: table[places]])
@pytest.mark.parametrize(("rows", "told"), [(512, (32768, 3)), (128, (8192, 6)), (20, (1280, 28))])
def test_a_table_of_vectors_counts_the_numbers_of_the_product(look_up, rows, told):
    """By hand: 256 vectors of 4 numbers, (8 · n / 4 + 256 · 4 · 32) / n bits for n = 64 · rows numbers."""
    places = torch.randint(0, 256, (rows * 16,), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    made = Made(lambda m: look_up(m.places.int(), m.table).reshape(rows, 64), table=torch.randn(256, 4), places=places)
    assert shares(made, (64,)) == (float(told[1] <= 8), {"Made": told})
