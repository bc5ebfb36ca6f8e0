"""The command: exit codes, what it prints, flags on top of configs, what it leaves behind."""

import io
import json
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from robust import __version__, cli
from robust.auditing import running
from robust.auditing.discovery import discover
from robust.errors import InvalidInput
from robust.record.codec import dump, load


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A classifier that is right in about 95 % of 240 rows, and a coarser one."""
    folder = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(480, 2)), columns=["a", "b"])
    frame["y"] = (frame["a"] + frame["b"] + 0.2 * rng.normal(size=480) > 0).astype(int)
    frame[:240].to_csv(folder / "train.csv", index=False)
    frame[240:].to_csv(folder / "test.csv", index=False)
    x, y = frame[["a", "b"]].to_numpy()[:240], frame["y"][:240]
    skops.io.dump(LogisticRegression().fit(x, y), folder / "fine.skops")
    skops.io.dump(DecisionTreeClassifier(max_depth=2, random_state=0).fit(x, y), folder / "coarse.skops")
    (folder / "garbage.onnx").write_bytes(b"no model at all")
    (folder / "pickled.pkl").write_bytes(b"\x80\x04cos\nsystem\n")
    return folder


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run the command in an empty folder; gives exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["robust", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code or 0
        return (code, *capsys.readouterr())

    return call


@pytest.fixture
def quick(monkeypatch):
    """Two checks, and a report that is drawn in no time: for what does not depend on either."""
    import robust.report.html
    from robust import planning

    kept = tuple(check for check in discover() if check.name in ("accuracy", "degradation"))
    monkeypatch.setattr(planning, "discover", lambda: kept)
    monkeypatch.setattr(robust.report.html, "render_html", lambda record, cache: "<html></html>")


def args(files, *more, candidate="fine.skops"):
    return ("audit", "--candidate", files / candidate, "--data", files / "test.csv", "--target", "y", *more)


# --- exit codes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        ([], 0),
        (["--gate", "accuracy >= 80%"], 0),
        (["--gate", "accuracy >= 99.9%"], 1),
        (["--gate", "accuracy >= 95%"], 4),
        (["--gate", "accuracy>=80%", "--gate", "degradation < 1%"], 4),
        (["--gate", "degradation < 1%"], 5),
        (["--require-gates"], 5),
        (["--gate", "accuracy == 95%"], 2),
        (["--gate", "accuracy >= 95"], 2),
        (["--gate", "accuracy <= 1"], 2),
        (["--gate", "degradation < 1"], 2),
        (["--classes", "1,0"], 2),
        (["--classes", "0,"], 2),
        (["--classes", "7,8"], 2),
        (["--gate", "acuracy > 1"], 2),
        (["--gate", "accuracy"], 2),
        (["--gate", "> 3"], 2),
        (["--gate", "accuracy > 1", "--gate", "accuracy > 2"], 2),
        (["--level", "1.5"], 2),
        (["--seed", "-1"], 2),
        (["--seed", "many"], 2),
        (["--batch-size", "0"], 2),
        (["--shards", "0"], 2),
        (["--target", "label"], 2),
        (["--task", "regression"], 2),
        (["--output", "values"], 2),
        (["--output", "scores"], 2),
        (["--no-such-flag"], 2),
        (["--train", "none.csv"], 2),
        (["--reference", "none.onnx"], 2),
        (["--config", "none.toml"], 2),
        (["--config", "none.toml", "--example", "digits"], 2),
        (["--example", "iris"], 2),
    ],
)
def test_exit_codes(run, files, quick, flags, code):
    found, out, err = run(*args(files, *flags))
    assert found == code, out + err
    if code == 2:
        assert "Traceback" not in err
        assert err.strip() or "decides nothing" in out or "is an estimate" in out


@pytest.mark.parametrize(
    ("candidate", "message"),
    [
        ("none.onnx", "none.onnx does not exist"),
        ("garbage.onnx", "garbage.onnx"),
        ("pickled.pkl", "--trust|trust=True"),
        ("test.csv", "unknown suffix '.csv'"),
    ],
)
def test_models_that_cannot_be_loaded_are_one_line_and_2(run, files, quick, candidate, message):
    code, _, err = run(*args(files, candidate=candidate))
    assert code == 2
    assert re.search(message, err)
    assert err.count("\n") <= 3
    assert "Traceback" not in err


def test_no_model_or_no_data(run, files):
    code, _, err = run("audit", "--data", files / "test.csv")
    assert (code, "no model to audit: name one with --candidate" in err) == (2, True)
    code, _, err = run("audit", "--candidate", files / "fine.skops")
    assert (code, "no data to audit on: name it with --data" in err) == (2, True)


def test_a_mistake_of_ours_is_3(run, files, quick, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr(running, "run_audit", broken)
    code, _, err = run(*args(files))
    assert code == 3
    assert "ZeroDivisionError" in err
    assert "internal error; please report" in err


def test_ctrl_c_is_130_and_leaves_a_record_that_the_next_run_uses(run, files, quick, tmp_path, monkeypatch):
    measured = running._run_one

    def stop_at_second(check, *rest):
        if check.name == "degradation":
            raise KeyboardInterrupt
        measured(check, *rest)

    arguments = args(files, "--reference", files / "coarse.skops", "--gate", "accuracy >= 80%")
    (tmp_path / "robust-report").mkdir()
    (tmp_path / "robust-report" / "report.html").write_text("the report of an earlier run: yes, it may ship")
    with monkeypatch.context() as patch:
        patch.setattr(running, "_run_one", stop_at_second)
        code, out, _ = run(*arguments)
    assert code == 130
    assert "interrupted; what was measured is kept" in out
    record = load(tmp_path / "robust-report" / "record.json")
    assert (record.interrupted, [entry.name for entry in record.entries]) == (True, ["accuracy"])
    assert not (tmp_path / "robust-report" / "report.html").exists()
    code, _, _ = run(*arguments)
    assert code == 0
    assert load(tmp_path / "robust-report" / "record.json").times.from_cache == ("accuracy",)


def test_ctrl_c_while_loading_is_130(run, files, monkeypatch):
    from robust import planning

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(planning, "build_plan", stop)
    code, _, err = run(*args(files))
    assert code == 130
    assert err.strip() == "robust: interrupted"


def test_ctrl_c_while_the_report_is_written_still_shows_what_was_measured(run, files, quick, tmp_path, monkeypatch):
    import robust.report.html

    def stop(record, cache):
        raise KeyboardInterrupt

    monkeypatch.setattr(robust.report.html, "render_html", stop)
    code, out, _ = run(*args(files, "--gate", "accuracy >= 80%"))
    assert code == 130
    assert "MET001" in out
    assert "record: " in out
    assert "report: " not in out
    assert "the report was not written" in " ".join(out.split())
    assert load(tmp_path / "robust-report" / "record.json").entries
    assert not (tmp_path / "robust-report" / "report.html").exists()
    code, out, _ = run(*args(files, "--json"))
    assert (code, len(json.loads(out)["entries"])) == (130, 1)


@pytest.mark.parametrize("error", [GeneratorExit, type("Boom", (BaseException,), {})], ids=["GeneratorExit", "Boom"])
def test_whatever_else_ends_the_program_is_no_failed_gate(run, files, monkeypatch, error):
    from robust import planning

    def leave(*_, **__):
        raise error

    monkeypatch.setattr(planning, "build_plan", leave)
    code, _, err = run(*args(files))
    assert (code, "internal error; please report" in err, error.__name__ in err) == (3, True, True)


@pytest.mark.parametrize("ending", [ImportError, InvalidInput, SystemExit])
def test_a_ctrl_c_that_other_code_swallows_is_130_all_the_same(run, files, quick, monkeypatch, ending):
    from robust import planning

    def interrupted(*_, **__):
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        raise ending("numpy could not be imported")

    monkeypatch.setattr(signal, "default_int_handler", signal.getsignal(signal.SIGINT))
    monkeypatch.setattr(planning, "build_plan", interrupted)
    code, _, err = run(*args(files))
    assert (code, err.strip()) == (130, "robust: interrupted")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_ctrl_c_that_a_model_swallows_is_told_in_the_record(run, files, quick, tmp_path, monkeypatch):
    measured = running._run_one

    def press(check, *rest):
        measured(check, *rest)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(signal, "default_int_handler", signal.getsignal(signal.SIGINT))
    monkeypatch.setattr(running, "_run_one", press)
    code, out, _ = run(*args(files, "--reference", files / "coarse.skops", "--gate", "accuracy >= 80%"))
    record = load(tmp_path / "robust-report" / "record.json")
    assert (code, record.interrupted, record.exit_code, len(record.entries)) == (130, True, 130, 1)
    assert "interrupted; what was measured is kept" in out


def test_a_ctrl_c_that_is_ignored_stays_ignored(run):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert run("list")[0] == 0
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("status", [0, None, 1, "done"])
def test_a_model_that_ends_the_program_is_no_pass(run, files, monkeypatch, status):
    from robust import planning

    def leave(*_, **__):
        sys.exit(status)

    monkeypatch.setattr(planning, "build_plan", leave)
    code, _, err = run(*args(files))
    assert code == 3
    assert f"ended from inside by sys.exit({status!r}) in {__file__}, line" in err
    assert "nothing was decided" in err


# --- a whole audit --------------------------------------------------------------------------------------------


def test_an_audit_from_end_to_end_and_again(run, files, tmp_path):
    arguments = args(
        files, "--train", files / "train.csv", "--reference", files / "coarse.skops", "--gate", "accuracy >= 80%"
    )
    code, out, err = run(*arguments)
    assert code == 0, out + err
    for family in ("MET", "QNT", "ATK", "SEN", "BAS"):
        assert f"{family}0" in out
    assert "RES001" in out  # listed as not run, with what it would need
    assert "order in" in out
    assert "PASS" in out
    page = (tmp_path / "robust-report" / "report.html").read_text(encoding="utf-8")
    assert page.startswith(("<!doctype html>", "<!DOCTYPE html>"))
    first = load(tmp_path / "robust-report" / "record.json")
    code, out, _ = run(*arguments, "--json")
    again = json.loads(out)
    assert code == 0
    # Checks that were found not to apply have no result to keep.
    assert set(again["times"]["from_cache"]) == {entry.name for entry in first.entries}
    before = json.loads((tmp_path / "robust-report" / "record.json").read_text())
    assert again == before
    original = json.loads(dump(first))
    for record in (again, original):
        record.pop("times")
    assert again == original


def test_a_tightened_limit_names_gate_value_bound_limit_and_reason(run, files, quick, tmp_path):
    code, out, _ = run(*args(files, "--gate", "accuracy >= 99.9%"))
    assert code == 1
    (entry,) = load(tmp_path / "robust-report" / "record.json").entries
    text = " ".join(out.split())
    assert "accuracy" in text
    assert f"{entry.measurement.value:.4f}" in text
    assert f"{entry.gate.bound:.4f}" in text
    assert "0.999" in text
    assert entry.gate.reason.split()[1] in text
    assert "FAIL" in text


def test_no_cache_leaves_no_folder(run, files, quick, tmp_path):
    run(*args(files, "--no-cache"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["robust-report"]
    run(*args(files))
    assert (tmp_path / ".robust" / "results").is_dir()


@pytest.mark.parametrize("out", ["file/below", "file"])
def test_an_unwritable_folder_is_refused_before_anything_is_measured(run, files, quick, tmp_path, monkeypatch, out):
    (tmp_path / "file").write_text("")

    def never(*_, **__):
        raise AssertionError("measured first")

    monkeypatch.setattr(running, "run_audit", never)
    code, _, err = run(*args(files, "--out", out))
    assert code == 2
    assert f"the output folder {out} cannot be written to" in err


@pytest.mark.parametrize("flags", [["--train", "none.csv"], ["--config", "none.toml"], ["--gate", "accuracy >= 95"]])
def test_an_audit_without_an_answer_leaves_no_older_one(run, files, quick, tmp_path, flags):
    page = tmp_path / "robust-report" / "report.html"
    assert run(*args(files, "--gate", "accuracy >= 80%"))[0] == 0
    page.write_text("yes, it may ship")
    assert run(*args(files, *flags))[0] == 2
    assert not page.exists() or "yes" not in page.read_text()
    assert not page.with_name("record.json").exists() or "--gate" in flags  # which was measured, and says so


@pytest.mark.parametrize("name", ["record.json", "report.html"])
def test_a_folder_in_the_place_of_a_file_is_refused_before_anything_is_measured(
    run, files, quick, tmp_path, monkeypatch, name
):
    (tmp_path / "robust-report" / name).mkdir(parents=True)
    monkeypatch.setattr(running, "run_audit", None)
    code, _, err = run(*args(files))
    assert (code, err.count("\n")) == (2, 1)
    assert f"{name} is in the way (" in err


def test_a_file_that_cannot_be_written_is_one_line_and_2(run, files, quick, tmp_path, monkeypatch):
    import robust.report.html

    def page_in_the_way(record, cache):
        (tmp_path / "robust-report" / "report.html").mkdir()
        return "<html></html>"

    monkeypatch.setattr(robust.report.html, "render_html", page_in_the_way)
    code, _, err = run(*args(files))
    assert (code, err.count("\n")) == (2, 1)
    assert "report.html cannot be written: " in err
    (tmp_path / "kept" / "checks.txt").mkdir(parents=True)
    assert run("list", "--out", "kept")[0] == 2


def test_models_that_do_not_fit_the_rows_are_one_line_and_2(run, files, quick, tmp_path):
    pd.DataFrame({"a": [0.1, 0.2, 0.3], "b": [1.0, 2.0, 3.0], "y": [0, 1, 7]}).to_csv("odd.csv", index=False)
    code, out, err = run("audit", "--candidate", files / "fine.skops", "--data", "odd.csv", "--target", "y")
    assert (code, out) == (2, "")
    assert err.startswith("robust: the data has labels that fine.skops does not know: [7]")
    assert err.count("\n") == 1


def test_a_forgotten_percent_sign_is_named(run, files, quick):
    code, out, err = run(*args(files, "--reference", files / "coarse.skops", "--gate", "degradation < 1"))
    assert (code, out) == (2, "")
    assert '"< 1%" would be right' in err


def test_checks_for_other_models_are_said_in_one_line(run, files):
    code, out, _ = run(*args(files))
    assert code == 0
    assert "MET011 RMSE, MET012 MAE, MET013 R², MET014 MSE," in " ".join(out.split())


# --- configs and flags ----------------------------------------------------------------------------------------


def write_config(files, folder, extra=""):
    (folder / "robust.toml").write_text(
        f"seed = 5\n{extra}\n[models]\ncandidate = '{files / 'fine.skops'}'\n"
        f"[data]\ntest = '{files / 'test.csv'}'\ntarget = 'y'\n[gates]\naccuracy = '>= 80%'\n"
    )


@pytest.mark.parametrize(("flags", "seed"), [([], 5), (["--seed", "0"], 0), (["--seed", "3"], 3)])
def test_flags_lie_on_top_of_the_config(run, files, quick, tmp_path, flags, seed):
    write_config(files, tmp_path)
    code, _, _ = run("audit", *flags)
    assert code == 0
    assert load(tmp_path / "robust-report" / "record.json").seed == seed


def test_a_flag_gate_changes_the_limit_and_keeps_the_options(run, files, quick, tmp_path):
    write_config(files, tmp_path)
    text = (
        (tmp_path / "robust.toml")
        .read_text()
        .replace("accuracy = '>= 80%'", "[gates.mine]\nmeasure = 'accuracy'\nlimit = '>= 80%'")
    )
    (tmp_path / "robust.toml").write_text(text)
    assert run("audit")[0] == 0
    assert run("audit", "--gate", "mine >= 99.9%")[0] == 1  # `mine` is no measure: the rest of its table still holds
    assert run("audit", "--gate", "accuracy >= 99.9%")[0] == 1


def test_decide_by_value_is_taken_from_the_config(run, files, quick, tmp_path):
    write_config(files, tmp_path)
    assert run("audit", "--gate", "accuracy >= 95%")[0] == 4
    write_config(files, tmp_path, extra="decide = 'value'")
    code, _, _ = run("audit", "--gate", "accuracy >= 95%")
    record = load(tmp_path / "robust-report" / "record.json")
    assert code == (0 if record.entries[0].measurement.value >= 0.95 else 1)
    assert record.decide == "value"


def test_gates_of_a_pyproject_hold_for_models_that_come_as_flags(run, files, quick, tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.robust.gates]\naccuracy = '>= 99.9%'\n")
    assert run(*args(files))[0] == 1


def test_an_unknown_key_is_named(run, files, tmp_path):
    write_config(files, tmp_path, extra="sede = 3")
    code, _, err = run("audit")
    assert code == 2
    assert "unknown key 'sede' in the top level, did you mean 'seed'?" in err


@pytest.fixture
def own_net(tmp_path, monkeypatch):
    """A folder with weights and the module that they belong to, on no import path."""
    from safetensors.torch import save_file

    torch = pytest.importorskip("torch")
    monkeypatch.setattr(sys, "path", list(sys.path))
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "mynet_beside.py").write_text("import torch\ndef build():\n    return torch.nn.Linear(2, 2)\n")
    save_file({"weight": torch.tensor([[-4.0, -4.0], [4.0, 4.0]]), "bias": torch.zeros(2)}, folder / "net.safetensors")
    yield folder
    sys.modules.pop("mynet_beside", None)


def test_a_factory_is_looked_for_beside_the_config_that_names_it(run, files, quick, own_net):
    (own_net / "robust.toml").write_text(
        "[models]\ncandidate = 'net.safetensors'\nfactory = 'mynet_beside:build'\noutput = 'logits'\n"
        f"[data]\ntest = '{files / 'test.csv'}'\ntarget = 'y'\n"
    )
    code, _, err = run("audit", "--config", own_net / "robust.toml", "--gate", "accuracy >= 80%")
    assert code == 0, err
    assert sys.path[-1] == str(own_net)  # last: nothing there stands in for an installed module


def test_a_factory_of_a_flag_is_looked_for_here(run, files, quick, own_net, monkeypatch):
    monkeypatch.chdir(own_net)
    flags = ("--output", "logits", "--gate", "accuracy >= 80%", "--no-cache")
    model = ("audit", "--data", files / "test.csv", "--target", "y", "--candidate")
    assert run(*model, "net.safetensors", "--factory", "mynet_beside:build", *flags)[0] == 0
    twin = ("--reference", "net.safetensors", "--reference-factory", "mynet_beside:build")
    assert run(*model, files / "fine.skops", *twin, *flags)[0] == 0
    twin = ("--surrogate", "net.safetensors", "--surrogate-factory", "mynet_beside:build")
    assert run(*model, files / "fine.skops", *twin, *flags)[0] == 0


def test_no_folder_is_searched_where_no_factory_is_named(run, files, quick, monkeypatch):
    before = list(sys.path)
    monkeypatch.setattr(sys, "path", list(before))
    run(*args(files))
    assert sys.path == before


# --- the other commands ---------------------------------------------------------------------------------------


def test_list(run):
    code, out, _ = run("list")
    assert code == 0
    for check in discover():
        assert f"{check.code}  {check.name}" in out
    code, out, _ = run("list", "--json")
    assert [row["code"] for row in json.loads(out)] == [check.code for check in discover()]


@pytest.mark.parametrize("check", discover(), ids=lambda check: check.code)
def test_explain(run, check):
    by_code, by_name = run("explain", check.code), run("explain", check.name)
    assert by_code == by_name
    code, out, _ = by_code
    assert code == 0
    text = " ".join(out.split())  # lines are folded to the terminal
    for part in (check.why, check.remedy, check.title, f"{check.name}("):
        assert part in text


def test_lists_and_pages_are_kept_as_files(run, tmp_path):
    for arguments, name in (
        (("list",), "checks.txt"),
        (("list", "--json"), "checks.json"),
        (("explain", "degradation"), "QNT001.txt"),
        (("explain", "QNT001", "--json"), "QNT001.json"),
    ):
        code, out, _ = run(*arguments, "--out", "kept")
        assert code == 0
        assert (tmp_path / "kept" / name).read_text(encoding="utf-8") == out
    page = json.loads(out)
    assert (page["code"], page["name"], page["options"]["metric"]) == ("QNT001", "degradation", "")
    assert page["needs"] == ["reference", "targets"]
    assert page["tasks"] == ["classification", "multilabel", "regression"]
    assert "Args:" in page["documentation"]
    (tmp_path / "file").write_text("")
    assert run("list", "--out", "file")[0] == 2


@pytest.mark.parametrize("check", discover(), ids=lambda check: check.code)
def test_every_page_can_be_json(run, check):
    code, out, _ = run("explain", check.code, "--json")
    assert (code, json.loads(out)["why"]) == (0, check.why)


def test_a_terminal_that_knows_ascii_alone(run, files, quick, monkeypatch):
    printed = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(printed, encoding="ascii"))
    code, _, err = run(*args(files))
    sys.stdout.flush()
    assert (code, err) == (0, "")
    row = next(line for line in printed.getvalue().splitlines() if line.startswith(b"MET001"))
    assert row.rstrip().endswith(b"?")  # the dash of a measure without a gate


def test_explain_names_the_nearest(run):
    code, _, err = run("explain", "acuracy")
    assert (code, "did you mean accuracy" in err) == (2, True)


def test_help_and_version(run):
    code, out, _ = run("--help")
    assert code == 0
    for command in ("audit", "list", "explain"):
        assert command in out
    assert run("--version")[:2] == (0, f"robust, version {__version__}\n")
    assert run("audit", "--help")[0] == 0
    assert run("nonsense")[0] == 2


LEFT = [
    (("list",), 0),
    (("list", "--json"), 0),
    (("explain", "ATK001"), 0),
    (("--help",), 0),
    (("--version",), 0),
    (("explain", "nothing"), 2),
    (("--no-such-flag",), 2),
    (("audit", "--gate", "accuracy >= 80%"), 0),
    (("audit", "--gate", "accuracy >= 80%", "--json"), 0),
    (("audit", "--gate", "accuracy >= 99.9%"), 1),
    (("cost",), 0),
    (("cost", "--json"), 0),
    (("cost", "--macc", "1"), 1),
    (("compare",), 1),
    (("compare", "--json"), 1),
    (("metrics",), 0),
    (("metrics", "--json"), 0),
]

# Two checks and no report: what else an audit does is tried elsewhere. Imports are most of what a command takes, and
# are done once: each command is a fork of this, which ends as an interpreter ends.
LEAVING = """
import gc, json, os, sys
import pandas, robust.report.files, scipy.stats, skops.io, sklearn.linear_model, sklearn.tree, torch
from robust import cli, planning
from robust.auditing.discovery import discover

few = tuple(c for c in discover() if c.name == "accuracy")
planning.discover = lambda: few
robust.report.files.write_report = lambda *_, **__: True
told, ended, child = sys.argv[1], [], 0
gc.freeze()  # or each fork goes over all modules when it ends
for at, arguments in enumerate(json.loads(sys.argv[2])):
    for both in (False, True):
        kept = os.open(f"{told}-{at}-{both}", os.O_CREAT | os.O_WRONLY)
        child = os.fork()
        if not child:
            break
        os.close(kept)
        ended.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    if not child:
        break
if child:
    with open(told, "w") as file:
        json.dump(ended, file)
else:
    reading, writing = os.pipe()
    os.close(reading)
    os.dup2(writing, 1)
    os.dup2(writing if both else kept, 2)
    sys.argv = ["robust", *arguments]
    cli.main()
"""


@pytest.fixture(scope="module")
def left(files, tmp_path_factory):
    """Exit code and errors of commands whose output nobody reads, by place in the list and whether errors are lost."""
    data = ("--data", str(files / "test.csv"), "--target", "y")
    more = {
        "audit": tuple(map(str, args(files)[1:])),
        "cost": (str(files / "fine.skops"),),
        "compare": (str(files / "coarse.skops"), str(files / "fine.skops"), *data),
        "metrics": (str(files / "fine.skops"), *data),
    }
    asked = [(*arguments, *more.get(arguments[0], ())) for arguments, _ in LEFT]
    told = tmp_path_factory.mktemp("left") / "told"
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    subprocess.run(
        [sys.executable, "-P", "-c", LEAVING, str(told), json.dumps(asked)],
        cwd=told.parent,
        capture_output=True,  # pipes, as what is put in their place
        check=True,
        env=buffered,
    )
    turns = [(at, both) for at in range(len(LEFT)) for both in (False, True)]
    codes = json.loads(told.read_text())
    return {
        turn: (code, told.with_name(f"told-{turn[0]}-{turn[1]}").read_text())
        for turn, code in zip(turns, codes, strict=True)
    }


@pytest.mark.parametrize("both", [False, True], ids=["output", "errors too"])
@pytest.mark.parametrize("at", range(len(LEFT)), ids=[" ".join(arguments) for arguments, _ in LEFT])
def test_a_reader_who_leaves_is_no_error(left, at, both):
    """Output, errors included, into a pipe that nobody reads: the code is that of the answer."""
    (arguments, code), (ended, errors) = LEFT[at], left[at, both]
    assert ended == code, errors
    assert both or ("robust: " in errors) is (code == 2 and arguments[0] == "explain")
    assert both or "BrokenPipe" not in errors


def test_the_command_itself(tmp_path):
    environment = {**os.environ, "PYTHONPATH": ""}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "robust", "explain", "nothing"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("robust: no check is called 'nothing'")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("gate", ["accuracy >= 95", "accuracy == 95%"])
def test_a_gate_that_nothing_settles_is_refused_before_a_model_is_loaded(run, files, quick, monkeypatch, gate):
    from robust import planning

    def loaded(*_, **__):
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(planning, "load_model", loaded)
    code, out, err = run(*args(files, "--gate", gate))
    assert (code, out) == (2, "")
    assert err.startswith("robust: gate 'accuracy': accuracy ")
    assert "95" in err
    assert err.count("\n") == 1


def test_a_ctrl_c_before_anything_was_measured_claims_no_more(run, files, quick, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "_run_one", stop)
    code, out, _ = run(*args(files))
    assert code == 130
    assert "interrupted before anything was measured" in out
    assert "kept" not in out


def test_a_ctrl_c_without_a_cache_keeps_nothing_and_says_nothing_of_it(run, files, quick, monkeypatch):
    measured = running._run_one

    def stop_at_second(check, *rest):
        if check.name == "degradation":
            raise KeyboardInterrupt
        measured(check, *rest)

    monkeypatch.setattr(running, "_run_one", stop_at_second)
    code, out, _ = run(*args(files, "--reference", files / "coarse.skops", "--no-cache"))
    assert (code, "MET001" in out, "interrupted" in out, "kept" in out) == (130, True, True, False)


@pytest.mark.parametrize("name", sorted(cli.cli.commands))
def test_every_command_takes_the_common_options(name):
    taken = {flag for option in cli.cli.commands[name].params for flag in option.opts}
    assert {"--out", "--json", "--seed", "--level", "--trust"} <= taken


@pytest.mark.parametrize("arguments", [("list",), ("explain", "QNT001")])
def test_options_that_have_no_effect_have_none(run, arguments):
    plain = run(*arguments)
    assert plain[0] == 0
    assert run(*arguments, "--seed", 3, "--level", 0.9, "--trust") == plain
    code, _, err = run(*arguments, "--seed", "many")
    assert (code, "--seed" in err) == (2, True)
