import io
import json
import math
import warnings
import zipfile

import numpy as np
import pytest
import torch
from torch import nn

from robust.errors import InvalidInput, UntrustedFile
from robust.models.loading import load_model
from robust.models.pt2_archive import inspected_archive


def graph_of(path):
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.endswith("models/model.json"))
        return json.loads(archive.read(name))


def run(path):
    """What a user without this package does: load, take the module, call it."""
    module = torch.export.load(io.BytesIO(path.read_bytes())).module()
    module(torch.zeros(4, 1, 8, 8))


def add_guard(canary):
    def edit(graph):
        graph["guards_code"] = [f"__import__('pathlib').Path({str(canary)!r}).touch() or True"]

    return edit


def replace_everywhere(old, new):
    def edit(graph):
        text = json.dumps(graph)
        assert old in text
        return json.loads(text.replace(old, json.dumps(new)[1:-1]))

    return edit


def set_target(target, argument=None):
    def edit(graph):
        node = graph["graph_module"]["graph"]["nodes"][2]
        node["target"] = target
        if argument is not None:
            node["inputs"] = [{"name": "x", "arg": {"as_string": argument}, "kind": 1}]

    return edit


def test_a_good_archive_loads_and_equals_the_module(exported, rows):
    path, net = exported
    model = load_model(path)
    with torch.no_grad():
        expected = net(torch.from_numpy(rows).float()).double().numpy()
    np.testing.assert_allclose(model.forward(rows), expected, atol=1e-6)
    assert (model.name, model.framework, model.fixed_batch) == ("net.pt2", "torch", None)
    assert model.content() == path.read_bytes()


def test_gradients_of_an_exported_program_equal_those_of_its_module(exported, rows):
    from robust.models.conversion import as_model

    path, net = exported
    ours, theirs = load_model(path).gradients(rows, np.cos), as_model(net).gradients(rows, np.cos)
    np.testing.assert_allclose(ours[0], theirs[0], atol=1e-6)
    np.testing.assert_allclose(ours[1], theirs[1], atol=1e-6)


def test_guards_run_code_in_torch_and_are_dropped_here(edit_graph, canary, rows):
    path = edit_graph(add_guard(canary))
    model = load_model(path)
    model.forward(rows)
    assert not canary.exists()
    run(path)
    assert canary.exists(), "torch no longer runs guards: this defence can go"
    canary.unlink()


def test_size_expressions_run_code_in_torch_and_are_refused_here(edit_graph, canary):
    command = f"__import__('pathlib').Path('{canary}').touch()"
    symbol = graph_of(edit_graph(lambda graph: None))["graph_module"]["graph"]["tensor_values"]["input"]["sizes"][0]
    path = edit_graph(replace_everywhere(json.dumps(symbol["as_expr"]["expr_str"])[1:-1], command))
    with pytest.raises(UntrustedFile, match=r"graph that could run code: a size is .* no arithmetic"):
        load_model(path)
    assert not canary.exists()
    with pytest.raises(Exception):  # noqa: B017, PT011  # what torch trips over afterwards is no matter
        run(path)
    assert canary.exists(), "torch no longer evaluates sizes: this defence can go"
    canary.unlink()


@pytest.mark.parametrize(
    "expression",
    [
        "s0.__class__",
        "(lambda: 1)()",
        "[s0 for s0 in (1,)]",
        "Symbol('__import__(\"os\")')",
        "Float('os.system(1)')",
        "Max(exec)",
        "eval('1')",
        "os.system('x')",
        "Symbol(f'{s0}')",
        "s0 if s0 else s1",
        "s0; s1",
        "",
    ],
)
def test_expressions_that_are_no_arithmetic_are_refused(edit_graph, canary, expression):
    def edit(graph):
        size = graph["graph_module"]["graph"]["tensor_values"]["input"]["sizes"][0]
        size["as_expr"]["expr_str"] = expression

    with pytest.raises(UntrustedFile, match="a size is"):
        load_model(edit_graph(edit))


@pytest.mark.parametrize(
    "target",
    [
        "torch.os.system",
        "torch.hub.load",
        "torch.load",
        "torch.ops.load_library",
        "torch.ops.aten.from_file.default",
        "torch.ops.aten.save.default",
        "torch.ops.aten.__class__.__init__",
        "torch.ops.c10d.send.default",
        "torch.ops.higher_order.triton_kernel_wrapper_mutation",
        "_operator.methodcaller",
        "_operator.attrgetter",
        "math.__loader__.load_module",
        "#custom:op",
        "os.system",
    ],
)
def test_operators_that_are_not_on_tensors_are_refused(edit_graph, canary, target):
    with pytest.raises(UntrustedFile, match="no operator on tensors"):
        load_model(edit_graph(set_target(target, f"touch {canary}")))


@pytest.mark.parametrize("field", ["parameter_name", "name"])
def test_names_that_could_become_code_are_refused(edit_graph, canary, field):
    """Names are pasted into the source that torch generates, unquoted or between bare quotes."""

    def edit(graph):
        spec = graph["graph_module"]["signature"]["input_specs"][0]["parameter"]
        bad = f'x", __import__("pathlib").Path("{canary}").touch()) #'
        if field == "parameter_name":
            spec["parameter_name"] = bad
        else:
            spec["arg"]["name"] = bad

    with pytest.raises(UntrustedFile, match="no plain name"):
        load_model(edit_graph(edit))


def test_unknown_containers_are_refused(edit_graph):
    def edit(graph):
        signature = graph["graph_module"]["module_call_graph"][0]["signature"]
        signature["in_spec"] = signature["in_spec"].replace("builtins.tuple", "subprocess.Popen")

    with pytest.raises(UntrustedFile, match=r"subprocess\.Popen.* no plain container"):
        load_model(edit_graph(edit))


def test_sample_inputs_run_code_in_torch_and_are_refused_here(rewrite, exported, hostile, canary):
    path = rewrite(exported[0], "sample.pt2", {"data/sample_inputs/model.pt": hostile})
    with pytest.raises(UntrustedFile, match="sample inputs that are no plain tensors"):
        load_model(path)
    assert not canary.exists()
    with pytest.raises(Exception):  # noqa: B017, PT011
        run(path)
    assert canary.exists(), "torch no longer unpickles sample inputs: this defence can go"
    canary.unlink()


@pytest.mark.parametrize("member", ["data/weights/model.pt", "data/constants/model.pt"])
def test_weights_of_the_older_layout_are_pickles_and_refused(rewrite, exported, hostile, member):
    with pytest.raises(UntrustedFile, match="neither graph nor tensor"):
        load_model(rewrite(exported[0], "old.pt2", {member: hostile}))


@pytest.mark.parametrize(
    "member",
    [
        "data/aotinductor/model/model.so",
        "data/constants/custom_obj_0",
        "data/constants/opaque_obj_0",
        "x.pkl",
    ],
)
def test_compiled_code_and_pickled_objects_are_refused(rewrite, exported, hostile, member):
    with pytest.raises(UntrustedFile, match=f"holds '{member}'"):
        load_model(rewrite(exported[0], "extra.pt2", {member: hostile}))


@pytest.mark.parametrize("field", [{"use_pickle": True}, {"path_name": "custom_obj_0"}, {"path_name": "../x"}])
def test_pickled_tensors_are_refused(rewrite, exported, field):
    def edit(text):
        table = json.loads(text)
        next(iter(table["config"].values())).update(field)
        return json.dumps(table).encode()

    with pytest.raises(UntrustedFile, match="as a pickled object"):
        load_model(rewrite(exported[0], "table.pt2", {"data/weights/model_weights_config.json": edit}))


def test_the_old_format_without_a_folder_is_refused(zipped, hostile):
    path = zipped("old.pt2", [("serialized_exported_program.json", b"{}"), ("serialized_state_dict.pt", hostile)])
    with pytest.raises(UntrustedFile, match="old format, whose tensors are pickles"):
        load_model(path)


def test_only_what_was_inspected_is_packed_again(rewrite, exported):
    path = rewrite(exported[0], "extra.pt2", {"extra/note.txt": b"hello"})
    with zipfile.ZipFile(io.BytesIO(inspected_archive(path.read_bytes(), path))) as archive:
        names = archive.namelist()
        assert not [name for name in names if "extra" in name]
        assert archive.read(next(name for name in names if "sample_inputs" in name)) == b""
    load_model(path)


@pytest.mark.parametrize(
    ("member", "content", "message"),
    [
        ("models/model.json", None, r"no complete torch.export program \(without models/model.json\)"),
        ("data/weights/weight_0", None, "no bytes or no shape for the tensor"),
        ("models/model.json", b"{", "cannot be read as a torch.export program"),
        ("models/model.json", b"[]", "holds no graph"),
        ("data/weights/weight_0", b"abc", "cannot be read as a torch.export program"),
        ("data/weights/model_weights_config.json", b"[]", "damaged table of tensors"),
    ],
)
def test_damaged_archives_are_named(rewrite, exported, member, content, message):
    with pytest.raises(InvalidInput, match=message):
        load_model(rewrite(exported[0], "bad.pt2", {member: content}))


def test_trust_loads_what_inspection_refuses(rewrite, exported, rows):
    path = rewrite(exported[0], "note.pt2", {"unknown": b"x"})
    with pytest.raises(UntrustedFile, match="trust=True or --trust"):
        load_model(path)
    np.testing.assert_array_equal(load_model(path, trust=True).forward(rows), load_model(exported[0]).forward(rows))


def export(net, example, tmp_path, **shapes):
    path = tmp_path / "net.pt2"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch's own, about how its recurrent layers keep weights
        torch.export.save(torch.export.export(net, (example,), **shapes), path)
    return load_model(path)


def test_a_batch_exported_as_a_number_is_kept(tmp_path):
    model = export(nn.Linear(3, 2), torch.zeros(5, 3), tmp_path)
    assert model.fixed_batch == 5
    assert model.forward(np.ones((5, 3))).shape == (5, 2)
    assert model.gradients(np.ones((5, 3)), np.ones_like)[1].shape == (5, 3)


def test_limits_and_steps_of_the_batch_are_kept(tmp_path):
    dim = torch.export.Dim("batch", min=2, max=100)
    model = export(nn.Linear(3, 2), torch.zeros(4, 3), tmp_path, dynamic_shapes=({0: dim},))
    assert (model.fixed_batch, model.batch_size) == (None, 96)
    assert model.forward(np.ones((1, 3))).shape == (1, 2)
    small = export(
        nn.Linear(3, 2), torch.zeros(4, 3), tmp_path, dynamic_shapes=({0: torch.export.Dim("batch", max=16)},)
    )
    assert small.fixed_batch == 16
    stepped = export(nn.Linear(3, 2), torch.zeros(6, 3), tmp_path, dynamic_shapes=({0: 3 * torch.export.Dim("third")},))
    assert stepped.forward(np.ones((7, 3))).shape == (7, 2)


def test_graphs_of_ordinary_nets_pass(tmp_path):
    """Sizes in arithmetic, attention, recurrence, indexing: what nets are made of is no attack."""

    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.attend = nn.MultiheadAttention(8, 2, batch_first=True)
            self.recur = nn.GRU(8, 8, batch_first=True)
            self.up = nn.Upsample(scale_factor=2)
            self.register_buffer("mask", torch.ones(6, dtype=torch.bool))

        def forward(self, x):
            y, _ = self.attend(x, x, x)
            with torch.no_grad():
                shift = y.mean()
            y, _ = self.recur(y + shift)
            y = self.up(y.transpose(1, 2))[:, :, ::2].reshape(x.shape[0], -1)
            y = torch.einsum("ij,kj->ik", y, y[:2] * 0 + 1) / math.sqrt(2)
            return torch.nn.functional.pad(y, (0, 1), mode="constant")

    torch.manual_seed(0)
    net = Mixed().eval()
    model = export(net, torch.rand(4, 6, 8), tmp_path, dynamic_shapes=({0: torch.export.Dim("batch", min=2)},))
    x = np.random.default_rng(0).random((5, 6, 8))
    assert model.forward(x).shape == (5, 3)


def test_whole_number_inputs_give_no_gradients(tmp_path):
    net = nn.Sequential(nn.Embedding(5, 3), nn.Flatten())
    model = export(net, torch.zeros(4, 2, dtype=torch.long), tmp_path)
    assert model.gradients is None
    assert model.forward(np.ones((4, 2))).shape == (4, 6)


def test_several_inputs_or_outputs_are_named(tmp_path):
    class Two(nn.Module):
        def forward(self, x, y):
            return x + y

    class Pair(nn.Module):
        def forward(self, x):
            return x, x + 1

    path = tmp_path / "two.pt2"
    torch.export.save(torch.export.export(Two(), (torch.zeros(4, 2), torch.zeros(4, 2))), path)
    with pytest.raises(InvalidInput, match=r"takes 2 inputs \(x, y\); models with several inputs are not supported"):
        load_model(path)
    with pytest.raises(InvalidInput, match="gives 2 outputs"):
        export(Pair(), torch.zeros(4, 2), tmp_path)
