"""`robust attack` as users run it: figures, fragile rows, files, refusals and exit codes."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from robust.attacks.accuracy_under_attack import robust_accuracy
from robust.attacks.adversarial_examples import attacked_rows
from robust.attacks.obedience import obeys
from robust.attacks.pgd import PGD
from robust.attacks.row_changes import change_sizes
from robust.commands.attack_model import attack_command
from robust.commands.attack_options import read_bound
from robust.commands.attack_text import feature_changes
from robust.data.live import as_data
from robust.data.loading import load_data
from robust.errors import InvalidInput
from robust.examples.catalogue import example_path
from robust.models.conversion import as_model
from robust.models.loading import load_model
from robust.predicting.metering import metered

FOLDER = example_path("digits")
NET = FOLDER / "float.onnx"


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def digits(tmp_path):
    """Sixty test rows as a file."""
    with np.load(FOLDER / "test.npz") as file:
        np.savez(tmp_path / "rows.npz", **{key: file[key][:60] for key in file})
    return tmp_path / "rows.npz"


@pytest.fixture
def table(tmp_path):
    """A line `age/10 - dose > 0` and a tree as files, and rows for them with text labels."""
    sio = pytest.importorskip("skops.io")
    rng = np.random.default_rng(0)
    x = np.stack([rng.normal(size=160), 10 * rng.normal(size=160)], axis=1)
    y = np.where(x[:, 1] / 10 - x[:, 0] > 0, "ill", "well")
    sio.dump(LogisticRegression(C=1e4, max_iter=5000).fit(x[:100], y[:100]), tmp_path / "line.skops")
    sio.dump(DecisionTreeClassifier(max_depth=3, random_state=0).fit(x[:100], y[:100]), tmp_path / "tree.skops")
    lines = [f"{a:.3f},{b:.2f},{label}" for (a, b), label in zip(x[100:], y[100:], strict=True)]
    (tmp_path / "t.csv").write_text("\n".join(["dose,age,label", *lines]) + "\n")
    return tmp_path


def run(*words):
    """Exit code and text, as the command line has them."""
    result = CliRunner().invoke(attack_command, [str(word) for word in words], standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.return_value, result.output


def test_a_fragile_network_fails_its_limit(digits):
    words = (NET, digits, "--bounds", 0, 1, "--eps", 0.1, "--strength", "quick", "--limit", "> 90%")
    code, text = run(*words)
    assert code == 1
    assert "FAIL" in text.splitlines()[-1]
    assert "eps 0.1 in linf\n" in text
    assert {"noise", "FGSM", "PGD"} <= {line.split()[0] for line in text.splitlines() if line}
    code, text = run(*words, "--json")
    told = json.loads(text)
    rows = load_data(digits, schema={"bounds": (0, 1)})
    m = robust_accuracy(load_model(NET), rows, eps=0.1, strength="quick")
    assert (code, told["exit_code"]) == (1, 1)
    assert [told["robust_accuracy"][part] for part in ("value", "lower", "upper")] == [m.value, m.lower, m.upper]
    # What each attack bought adds up to what was lost.
    lost = round(60 * (told["clean_accuracy"] - m.value))
    both = sum(item["broken"] for item in told["attacks"])
    assert both <= lost <= both + told["noise_floor_broken"]
    sizes = [row["size"] for row in told["fragile"]]
    assert len(sizes) == 5
    assert sizes == sorted(sizes)
    assert 0 < sizes[0] < 0.05 < 0.1  # bisection says how little would have done
    assert all(row["class_before"] != row["class_after"] for row in told["fragile"])


def test_limits_that_hold_and_that_these_rows_do_not_settle(digits):
    words = (NET, digits, "--bounds", 0, 1, "--eps", "1/255", "--strength", "quick")
    assert run(*words, "--limit", "50%")[0] == 0
    code, text = run(*words, "--limit", ">= 96%")
    assert (code, "INCONCLUSIVE" in text) == (4, True)
    assert run(*words)[0] == 0


def test_a_pass_that_cannot_be_believed_is_4(digits):
    code, text = run(NET, digits, "--bounds", 0, 1, "--eps", 0, "--strength", "quick", "--limit", "> 10%")
    assert code == 4
    assert "self-check failed: " in text
    assert "INVALID" in text.splitlines()[-1]
    assert "no row was broken" in text


def test_the_default_budget_is_told(digits):
    _, text = run(NET, digits, "--bounds", 0, 1, "--attack", "fgsm")
    assert "eps 0.03 in linf (default: 3 % of a bounded feature's range" in text
    assert "asked: FGSM(eps=0.03" in text


def test_what_a_pass_means_and_the_rows_that_are_not_answered_are_told(digits, tmp_path, monkeypatch):
    (tmp_path / "odd_nets.py").write_text(
        "import torch\n"
        "from robust.examples.digits_torch import small_cnn\n"
        "class Odd(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.net = small_cnn()\n"
        "    def load_state_dict(self, *args, **options):\n"
        "        return self.net.load_state_dict(*args, **options)\n"
        "    def state_dict(self, *args, **options):\n"
        "        return self.net.state_dict(*args, **options)\n"
        "    def forward(self, x):\n"
        "        if (x.flatten(1).sum(1) < 16.2).any():\n"
        "            raise ValueError('too dark')\n"
        "        return self.net(x)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    rows = load_data(digits)
    dark = rows.x.reshape(60, -1).sum(axis=1) < 16.2
    assert 0 < dark.sum() < 7
    words = (FOLDER / "net.safetensors", digits, "--factory", "odd_nets:Odd", "--output", "logits", "--bounds", 0, 1)
    code, text = run(*words, "--eps", 0.03, "--attack", "fgsm")
    lines = text.splitlines()
    assert code == 0
    assert "a pass means: no attack of this kind found an adversarial row for that share of the rows" in text
    assert any("raises ValueError: too dark on" in line and line.startswith("note: ") for line in lines)
    ids = ", ".join(str(one) for one in rows.ids[dark])
    assert f"note: rows without an answer (counted as wrong): {ids}" in lines
    told = json.loads(run(*words, "--eps", 0.03, "--attack", "fgsm", "--json")[1])
    assert f"rows without an answer (counted as wrong): {ids}" in told["notes"]
    assert told["a_pass_means"].startswith("no attack of this kind found")


def test_curve_and_minimal(digits):
    words = (
        NET,
        digits,
        "--bounds",
        0,
        1,
        "--eps",
        0.05,
        "--strength",
        "quick",
        "--curve",
        "0.01, 0.1,0.3",
        "--minimal",
    )
    _, text = run(*words, "--json")
    told = json.loads(text)
    assert [point["eps"] for point in told["curve"]] == [0.01, 0.1, 0.3]
    values = [point["value"] for point in told["curve"]]
    assert values == sorted(values, reverse=True)
    assert all(point["lower"] <= point["value"] <= point["upper"] for point in told["curve"])
    # Half of the rows survive the median of the smallest changes.
    assert 0.05 < told["minimal"]["value"] < 0.2
    assert told["minimal"]["lower"] <= told["minimal"]["value"] <= told["minimal"]["upper"]
    _, text = run(*words)
    assert "median minimal_perturbation" in text
    assert text.count("\n0.01 ") == text.count("\n0.3 ") == 1


def test_written_rows_obey_and_break_the_model(digits, tmp_path):
    code, text = run(NET, digits, "--bounds", 0, 1, "--eps", 0.1, "--strength", "quick", "--out", "found/adv.npz")
    assert code == 0
    assert "written: found/adv.npz" in text
    rows = load_data(digits, schema={"bounds": (0, 1)})
    with np.load(tmp_path / "found" / "adv.npz", allow_pickle=False) as file:
        x_adv, ids, y, broken = (file[key] for key in ("x_adv", "ids", "y", "broken"))
    np.testing.assert_array_equal(ids, rows.ids)
    np.testing.assert_array_equal(y, rows.y)
    assert obeys(x_adv, rows.x, rows.schema, eps=0.1, norm="linf").all()
    # onnxruntime itself, past this package's calls.
    session = pytest.importorskip("onnxruntime").InferenceSession(NET)
    wrong = session.run(None, {session.get_inputs()[0].name: x_adv})[0].argmax(axis=1) != y
    assert wrong[broken].all()
    assert broken.sum() > 10
    np.testing.assert_array_equal(x_adv[~broken], rows.x[~broken])


def test_a_table_shows_changes_in_its_own_units(table):
    words = ("line.skops", "t.csv", "--target", "label", "--eps", "dose=0.5", "--eps", "age=0")
    code, text = run(*words)
    assert code == 0
    assert "eps dose=0.5, age=0 in linf" in text
    told = json.loads(run(*words, "--json", "--out", "adv.npz")[1])
    data = load_data("t.csv", target="label")
    for row in told["fragile"]:
        position = data.ids.tolist().index(row["id"])
        ((name, before, after),) = row["changes"]
        assert name == "dose"
        assert float(before) == pytest.approx(data.x[position, 0], rel=1e-4)
        moved = 0.5 * row["size"]  # of budgets by name
        assert abs(float(after) - float(before)) == pytest.approx(moved, rel=1e-2, abs=1e-3)
        assert f"dose: {before} → {after}" in text
        assert {row["class_before"], row["class_after"]} == {"ill", "well"}
        # The way to the line age/10 = dose, which the model has learnt nearly.
        assert moved == pytest.approx(abs(data.x[position, 1] / 10 - data.x[position, 0]), abs=0.08)
    with np.load("adv.npz", allow_pickle=False) as file:
        assert set(file["y"].tolist()) == {"ill", "well"}


def test_fragile_rows_are_in_budgets_where_features_have_their_own(table):
    words = ("line.skops", "t.csv", "--target", "label", "--attack", "pgd")
    _, text = run(*words, "--eps", "age=5", "--eps", "dose=0.1")
    assert "fragile row  share of eps, linf norm" in text
    told = json.loads(run(*words, "--eps", "age=5", "--eps", "dose=0.1", "--json")[1])
    sizes = [row["size"] for row in told["fragile"]]
    assert told["fragile_size_in"] == "share of eps, linf norm"
    assert sizes == sorted(sizes)
    assert 0 < sizes[0] <= sizes[-1] <= 1
    data = load_data("t.csv", target="label")
    found = attacked_rows(load_model("line.skops"), data, attack=PGD(eps={"age": 5.0, "dose": 0.1}))
    moved = np.abs(found.near - data.x) / [{"age": 5.0, "dose": 0.1}[name] for name in data.schema.names]
    np.testing.assert_allclose(found.size, moved.max(axis=1), rtol=1e-12)
    assert json.loads(run(*words, "--eps", 0.1, "--json")[1])["fragile_size_in"] == "linf norm of the change"


def test_columns_that_the_model_does_not_see(table):
    lines = (table / "t.csv").read_text().splitlines()
    (table / "wide.csv").write_text(
        "\n".join(f"{line},{'site' if i == 0 else i}" for i, line in enumerate(lines)) + "\n"
    )
    words = ("--target", "label", "--eps", 0.1, "--strength", "quick", "--json")
    wide = json.loads(run("line.skops", "wide.csv", "--unused", "site", *words)[1])
    assert wide["robust_accuracy"] == json.loads(run("line.skops", "t.csv", *words)[1])["robust_accuracy"]


def test_models_without_gradients(table):
    code, text = run("tree.skops", "t.csv", "--target", "label", "--curve", "0.01,0.3")
    assert (code, "TreeAttack" in text) == (0, True)
    words = ("tree.skops", "t.csv", "--target", "label", "--eps", 0.3, "--attack", "pgd")
    with pytest.raises(InvalidInput, match=r"tree.skops gives no gradients, which --attack pgd needs: --surrogate"):
        run(*words)
    with pytest.raises(InvalidInput, match="which --minimal needs: leaving it out"):
        run("tree.skops", "t.csv", "--target", "label", "--minimal")
    _, text = run(*words, "--surrogate", "line.skops")
    assert "PGD, transferred" in text
    _, text = run("line.skops", "t.csv", "--target", "label", "--surrogate", "line.skops", "--strength", "quick")
    assert "note: the surrogate was not asked" in text


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (("--eps", "far"), "--eps got 'far'"),
        (("--eps", "1/0"), "--eps got '1/0'"),
        (("--eps", "-1"), "eps got -1.0; a finite number of at least 0"),
        (("--eps", "0.1", "--eps", "0.2"), "NAME=NUMBER for each feature"),
        (("--eps", "a=1", "--eps", "a=2"), "names 'a' twice"),
        (("--eps", "nose=1"), "there is no feature 'nose'"),
        (("--curve", "0.1,0.01"), "increasing budgets"),
        (("--curve", "0.1,,"), "--curve got ''"),
        (("--eps", "x0=1", "--curve", "0.1,0.2"), "--curve moves all features by one number"),
        (("--eps", "x0=1", "--minimal"), "--minimal moves all features by one number"),
        (("--limit", "< 3%"), "kept above something"),
        (("--limit", "soon"), "'--limit' has the limit"),
        (("--attack", "pgd", "--strength", "quick"), "give one of them"),
        (("--attack", "ddn"), "--norm l2 would be right"),
        (("--surrogate-factory", "a:b"), "--surrogate, which is missing"),
        (("--out", "rows.txt"), r"must end in \.npz"),
        (("--level", "0.2"), "level"),
        (("--out", "rows.npz/adv.npz"), "cannot be written"),
    ],
)
def test_what_is_refused(digits, words, match):
    with pytest.raises(InvalidInput, match=match):
        run(NET, digits, "--bounds", 0, 1, *words)


def test_inputs_are_never_written_over(digits, tmp_path):
    before = digits.read_bytes()
    (tmp_path / "link.npz").symlink_to(digits)
    for out in ("rows.npz", "link.npz", digits):
        with pytest.raises(InvalidInput, match="another name would be right"):
            run(NET, digits, "--out", out)
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(InvalidInput, match="is a folder"):
        run(NET, digits, "--out", "folder.npz")
    assert digits.read_bytes() == before


def test_rows_without_targets_are_refused(tmp_path):
    np.savez(tmp_path / "bare.npz", x=np.zeros((3, 1, 8, 8), dtype=np.float32))
    with pytest.raises(InvalidInput, match="has no targets"):
        run(NET, "bare.npz")


def test_rows_are_those_that_the_figure_counts_and_are_not_searched_twice(digits):
    rows, model = load_data(digits, schema={"bounds": (0, 1)}), load_model(NET)
    for question in ({"eps": 0.08, "strength": "quick"}, {"attack": PGD(eps=0.5, norm="l2", steps=10)}):
        m = robust_accuracy(model, rows, **question)
        with metered() as meter:
            found = attacked_rows(model, rows, **question)
        assert m.value == np.mean(found.right & ~found.broken)
        with metered() as again:
            attacked_rows(model, rows, **question)
        assert again.forward_rows == meter.forward_rows  # a cost is told again, whoever paid it
        flat = rows.schema.flat
        near = change_sizes(flat(found.near), flat(rows.x), norm=found.norm)
        assert (near <= change_sizes(flat(found.x_adv), flat(rows.x), norm=found.norm)).all()
        np.testing.assert_array_equal(near, found.size)
        assert all((a != b) == c for a, b, c in zip(found.before, found.after, found.broken, strict=True))


def test_the_nearest_row_on_the_way_is_the_border():
    rows = np.array([[-3.0], [-0.5], [0.75], [3.0]])
    sign = as_model(lambda x: (x[:, 0] > 0).astype(int), name="sign")
    found = attacked_rows(sign, (rows, [0, 0, 1, 1]), eps=1.0)
    assert found.fragile(9).tolist() == [1, 2]
    np.testing.assert_allclose(found.size, [0, 0.5, 0.75, 0], atol=1 / 2**7)
    assert (found.before, found.after) == ((0, 0, 1, 1), (0, 1, 0, 1))


def test_groups_and_categories_have_their_names():
    schema = {"hue": {"categories": ["red", "blue"]}, "a": {"one_hot": "city"}, "b": {"one_hot": "city"}}
    x = np.array([[0.0, 1.0, 0.0, 2.0]])
    data = as_data(x, [0], names=["hue", "a", "b", "size"], schema=schema)

    def logits(x):
        above = x[:, 0] + x[:, 2] + x[:, 3] - 3.9
        return np.stack([-above, above], axis=1)

    model = as_model(logits, output="logits", name="both must change")
    found = attacked_rows(model, data, eps={"hue": 1, "a": 1, "b": 1, "size": 0.5}, strength="thorough")
    assert found.broken.all()
    told = {name: (old, new) for name, old, new in feature_changes(found, 0, {"hue": 1, "a": 1, "b": 1})}
    assert told["hue"] == ("red", "blue")
    assert told["city"] == ("a", "b")


@pytest.mark.parametrize(("limit", "meant"), [("> 90", "> 90%"), ("90", "> 90%"), (">= 0", "> 90%")])
def test_limits_that_decide_nothing_are_refused_before_anything_is_attacked(limit, meant):
    with pytest.raises(InvalidInput, match=f"decides nothing: .*'{meant}' would be right"):
        read_bound(limit)
