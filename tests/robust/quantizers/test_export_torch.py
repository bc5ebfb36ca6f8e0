import numpy as np
import onnx
import pytest
import torch
from torch import nn

from robust.errors import InvalidInput, ModelFault
from robust.examples.catalogue import example_path
from robust.examples.digits_torch import small_cnn
from robust.models.conversion import as_model
from robust.quantization.coverage import coverage_by_layer
from robust.quantizers import building, export_torch
from robust.quantizers.building import quantize

X = np.random.default_rng(0).normal(size=(48, 1, 6, 6)).astype(np.float32)


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))


def test_a_module_is_exported_once_and_keeps_its_names(net, tmp_path, monkeypatch, capsys):
    exports = []
    export = export_torch.exported

    def counted(*arguments, **named):
        exports.append(named)
        return export(*arguments, **named)

    monkeypatch.setattr(export_torch, "exported", counted)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    candidate = quantize(net, X, cache=tmp_path)
    assert net.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    layers = coverage_by_layer(candidate, data=X).layers
    assert [(layer.name, layer.quantized) for layer in layers] == [("0", 36), ("4", 192)]
    assert b"Traceback" not in candidate.content()
    assert b"site-packages" not in candidate.content()
    for given in ({"method": "dynamic"}, {"calibrate": "percentile"}):
        quantize(net, X, cache=tmp_path, **given)
    assert len(exports) == 1
    assert capsys.readouterr() == ("", "")
    net.eval()
    want = net(torch.from_numpy(X)).detach().numpy()
    net.train()
    assert np.abs(candidate.forward(X) - want).max() < 0.1 * np.abs(want).max()


def test_a_changed_weight_is_another_export(net, tmp_path, monkeypatch):
    keys = []
    monkeypatch.setattr(building, "kept", lambda store, parts, make: keys.append(parts) or b"")
    for change in (0.0, 1e-6):
        with torch.no_grad():
            net[0].bias[0] += change
        building._float_file(as_model(net), building.calibration_rows(X, batch=64, fixed=None), None)
    assert keys[0][0] == keys[1][0] == "export"
    assert keys[0] != keys[1]


def test_rows_that_do_not_fit_are_the_callers(net):
    with pytest.raises((InvalidInput, ModelFault, RuntimeError), match="shapes cannot be multiplied|channels"):
        quantize(net, np.random.default_rng(0).random((40, 1, 9, 9)))


def test_other_floats_are_refused(net):
    with pytest.raises(InvalidInput, match=r"computes in torch.float64.*module.float\(\) would be right"):
        quantize(nn.Sequential(nn.Flatten(), nn.Linear(36, 3)).double(), X)


@pytest.mark.slow
def test_a_recurrent_module_is_left_as_it_was_and_exported_once(tmp_path, monkeypatch):
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.LSTM(4, 8, batch_first=True)
            self.fc = nn.Linear(8, 3)

        def forward(self, x):
            return self.fc(self.rnn(x)[0][:, -1])

    module, x = Recurrent(), np.random.default_rng(0).normal(size=(40, 6, 4)).astype(np.float32)
    before = as_model(module).identity()
    dynamic, static = (quantize(module, x, method=method, cache=tmp_path) for method in ("dynamic", "static"))
    assert as_model(module).identity() == before
    assert len(list(tmp_path.iterdir())) == 3  # one export, two candidates
    assert coverage_by_layer(dynamic, data=x).weights == 1
    found = coverage_by_layer(static, data=x)
    assert [layer.name for layer in found.layers if not layer.quantized] == ["rnn"]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["static", "dynamic", "weight-only"])
def test_products_that_lose_the_names_of_their_weights_are_known_by_the_exporters_notes(method):
    class Attending(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.0)
            self.head = nn.Linear(8, 3)

        def forward(self, x):
            return self.head(self.body(x).mean(1))

    torch.manual_seed(0)
    x = np.random.default_rng(0).normal(size=(40, 5, 8)).astype(np.float32)
    layers = coverage_by_layer(quantize(Attending(), x, method=method), data=x).layers
    assert [(layer.name, layer.quantized == layer.weights) for layer in layers] == [
        ("body.self_attn", True),
        ("body.self_attn.out_proj", True),
        ("body.linear1", True),
        ("body.linear2", True),
        ("head", True),
    ]
    left = coverage_by_layer(quantize(Attending(), x, method=method, keep=("body",)), data=x).layers
    assert [layer.name for layer in left if layer.quantized] == ["head"]


@pytest.mark.slow
def test_what_the_users_own_module_warns_of_is_handed_on(tmp_path, monkeypatch):
    (tmp_path / "warning_net.py").write_text(
        "import warnings\nfrom torch import nn\n\nclass Net(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        self.fc = nn.Linear(36, 3)\n"
        "    def __deepcopy__(self, memo):\n        warnings.warn('copied', UserWarning)\n"
        "        twin = Net()\n        twin.load_state_dict(self.state_dict())\n        return twin\n"
        "    def forward(self, x):\n        return self.fc(x.flatten(1))\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    import warning_net

    with pytest.warns(UserWarning, match="copied"):
        quantize(warning_net.Net(), X)


@pytest.mark.slow
def test_what_torch_cannot_export_is_named():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(36, 3)

        def forward(self, x):
            return self.fc(torch.linalg.eigvals(x[:, 0]).real.repeat(1, 6))

    with pytest.raises(InvalidInput, match="torch cannot export Odd to ONNX: .*linalg_eig"):
        quantize(Odd(), X)


@pytest.mark.slow
def test_a_program_of_torch_export_is_quantized_too(tmp_path):
    module = small_cnn().eval()
    rows = np.load(example_path("digits") / "train.npz")["x"][:64]
    program = torch.export.export(
        module, (torch.from_numpy(rows[:2]),), dynamic_shapes=({0: torch.export.Dim("batch")},)
    )
    candidate = quantize(program, rows)
    assert coverage_by_layer(candidate, data=rows).weights == 1
    assert {node.op_type for node in onnx.load_model_from_string(candidate.content()).graph.node} >= {"Conv", "Gemm"}
