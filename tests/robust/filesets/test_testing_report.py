"""The report beside the files."""

import base64
import json
import re
import sys

import numpy as np
import pytest
from pypdf import PdfReader

from robust import as_data, as_model
from robust.errors import MissingExtra
from robust.filesets.testing_folder import write_testing
from robust.filesets.testing_options import Testing

#: No pictures: they take the time.
FEW = {"confusion_matrix": False, "roc_curve": False, "class_histograms": False, "error_analysis": False}


def scores(x):
    return x


MODEL = as_model(scores, output="probabilities", task="classification", classes=("<b>cat</b>", "*dog*|"), name="n_1")


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    p = rng.dirichlet([1, 1], 100)
    y = np.array(["<b>cat</b>", "*dog*|"])[p.argmax(axis=1) ^ (np.arange(100) < 30)]
    return as_data(p, y, slices={"site": np.repeat(["<script>", "b"], 50)})


def test_one_html_file_holds_everything_and_escapes_what_data_say(tmp_path, rows):
    testing = Testing(generate_report=True)
    done = write_testing(MODEL, rows, tmp_path, testing=testing)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    for heading in ("Model summary", "Training curves", "Test metrics", "Findings", "Pictures", "Recommendations"):
        assert f"<h2>{heading}</h2>" in page
    assert "<b>cat" not in page
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    pictures = re.findall(r"base64,([A-Za-z0-9+/=]+)", page)
    assert len(pictures) == len([path for path in done.files if path.suffix == ".png"]) >= 4
    assert base64.b64decode(pictures[0]) == (tmp_path / "confusion_matrix_test.png").read_bytes()
    assert "is below 0.9" in page
    # It calls for nothing outside itself.
    assert "http" not in page


def test_markdown_links_the_pictures_beside_it(tmp_path, rows):
    write_testing(
        MODEL,
        rows,
        tmp_path,
        testing=Testing(roc_curve=False, error_analysis=False, generate_report=True, report_format="markdown"),
    )
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "](confusion_matrix_test.png)" in text
    assert "| accuracy | 0.7 |" in text
    assert "<b>" not in text.replace("\\<b\\>", "")


def test_pdf_is_one_file_with_the_parts_of_the_page(tmp_path, rows):
    done = write_testing(MODEL, rows, tmp_path, testing=Testing(generate_report=True, report_format="pdf"))
    reader = PdfReader(tmp_path / "report.pdf")
    assert [entry.title for entry in reader.outline] == [
        "Model summary",
        "Training curves",
        "Test metrics",
        "Findings",
        "Pictures",
        "Recommendations",
    ]
    text = "\n".join(page.extract_text() for page in reader.pages)
    assert "accuracy 0.7 " in text
    assert "taken for *dog*|" in text
    assert "site <script>" in text
    assert "is below 0.9" in text
    pictures = [path for path in done.files if path.suffix == ".png"]
    assert sum(len(page.images) for page in reader.pages) == len(pictures) >= 4
    assert "report.pdf" in json.loads(done.json)["files"]
    assert "report.pdf" not in dict(done.skipped)
    assert not (tmp_path / "report.html").exists()


def test_the_same_test_gives_the_same_pdf(tmp_path, rows):
    for name in ("a", "b"):
        testing = Testing(**FEW, generate_report=True, report_format="pdf")
        write_testing(MODEL, rows, tmp_path / name, testing=testing)
    assert (tmp_path / "a" / "report.pdf").read_bytes() == (tmp_path / "b" / "report.pdf").read_bytes()


def test_a_report_of_another_format_replaces_the_one_before(tmp_path, rows):
    for form, name in (
        ("pdf", "report.pdf"),
        ("html", "report.html"),
        ("markdown", "report.md"),
        ("pdf", "report.pdf"),
    ):
        write_testing(MODEL, rows, tmp_path, testing=Testing(**FEW, generate_report=True, report_format=form))
        assert [path.name for path in tmp_path.glob("report.*")] == [name]
    write_testing(MODEL, rows, tmp_path, testing=Testing(**FEW))
    assert not list(tmp_path.glob("report.*"))


def test_a_pdf_that_cannot_be_made_is_refused_before_the_test(tmp_path, rows, monkeypatch):
    calls = []

    def counted(x):
        calls.append(len(x))
        return x

    monkeypatch.setitem(sys.modules, "typst", None)
    model = as_model(counted, output="probabilities", task="classification", classes=MODEL.classes)
    with pytest.raises(MissingExtra, match=r"robust-gates\[pdf\]"):
        write_testing(model, rows, tmp_path / "out", testing=Testing(generate_report=True, report_format="pdf"))
    assert not calls
    assert not (tmp_path / "out").exists()
    # Whoever asks for no PDF needs no library.
    write_testing(model, rows, tmp_path / "out", testing=Testing(**FEW, report_format="pdf"))
    assert calls


def test_layers_are_listed_where_they_can_be_counted(tmp_path):
    from sklearn.linear_model import LogisticRegression

    x = np.random.default_rng(0).normal(size=(60, 4))
    y = (x[:, 0] > 0).astype(int)
    write_testing(LogisticRegression().fit(x, y), (x, y), tmp_path, testing=Testing(**FEW, generate_report=True))
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Its cost: parameters 5, MACC 4, ROM " in page
