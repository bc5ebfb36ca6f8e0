"""The report beside the files."""

import base64
import re

import numpy as np
import pytest

from robust import as_data, as_model
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


def test_pdf_is_the_page_and_says_so(tmp_path, rows):
    done = write_testing(MODEL, rows, tmp_path, testing=Testing(**FEW, generate_report=True, report_format="pdf"))
    assert (tmp_path / "report.html").is_file()
    assert "print it from a browser" in dict(done.skipped)["report.pdf"]
    write_testing(MODEL, rows, tmp_path, testing=Testing(**FEW))
    assert not (tmp_path / "report.html").exists()


def test_layers_are_listed_where_they_can_be_counted(tmp_path):
    from sklearn.linear_model import LogisticRegression

    x = np.random.default_rng(0).normal(size=(60, 4))
    y = (x[:, 0] > 0).astype(int)
    write_testing(LogisticRegression().fit(x, y), (x, y), tmp_path, testing=Testing(**FEW, generate_report=True))
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Its cost: parameters 5, MACC 4, ROM " in page
