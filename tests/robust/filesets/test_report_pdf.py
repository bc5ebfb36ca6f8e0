"""Reports as PDF, read back with another library than the one that writes them."""

import json
import os
import struct
import subprocess
import sys
import zlib
from io import BytesIO
from pathlib import Path

import pytest
import typst
from pypdf import PdfReader

from robust.errors import MissingExtra
from robust.filesets.report_parts import Section
from robust.filesets.report_pdf import _COVERED, pdf_report, require_pdf

A4 = 595.3, 841.9
#: Words that mean something in the typesetter's markup, in HTML, or in a PDF.
MARKUP = (
    '#panic("x")',
    "$x^2$",
    "*dog*|",
    "_a_",
    "@ref",
    "<label>",
    "</b>",
    "\\n",
    "(a) Tj",
    "https://a.b",
    "--",
    "= x",
)


def read(*sections, title="Test on data"):
    return PdfReader(BytesIO(pdf_report(sections, title=title)))


def texts(reader):
    return [page.extract_text() for page in reader.pages]


def png(width, height):
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress((b"\0" + b"\x60" * width) * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def test_title_headings_paragraphs_and_page_numbers():
    reader = read(Section(title="Findings", lines=("First.", "Second.")), Section(title="Advice", lines=("Third.",)))
    (page,) = texts(reader)
    assert page.splitlines() == ["Test on data", "Findings", "First.", "Second.", "Advice", "Third.", "1 / 1"]
    assert reader.metadata.title == "Test on data"
    assert [entry.title for entry in reader.outline] == ["Findings", "Advice"]


@pytest.mark.parametrize("word", MARKUP)
def test_text_from_data_is_shown_letter_by_letter(word):
    rows = ((f"b {word} e", "1"),)
    reader = read(
        Section(title=f"s {word} e", lines=(f"p {word} e",), headings=(f"h {word} e", "n"), rows=rows),
        title=f"t {word} e",
    )
    (page,) = texts(reader)
    for part in "tsphb":
        assert f"{part} {word} e" in page
    assert reader.metadata.title == f"t {word} e"


def test_signs_and_alphabets_that_reports_use():
    line = "− ≤ ≥ ≠ ± … · ‖ √ ∞ → χ² αβγδε ΣΩμσ ₁ ⁻³ é ł ő ŷ Жук ½ – “q”"
    (page,) = texts(read(Section(title="Signs", lines=(line,))))
    assert line in page


def test_the_fonts_inside_have_every_letter_that_is_counted_on():
    letters = "".join(letter for letter in map(chr, range(0x20, 0x3000)) if _COVERED.fullmatch(letter))
    seen = "".join(letter for letter in letters if letter.isprintable())
    assert len(seen) > 1700

    def strict(text):
        # This standard refuses letters without a glyph.
        page = b'#set document(title: "t", date: datetime(year: 2000, month: 1, day: 1))\n#json(bytes(sys.inputs.t))'
        fonts = typst.Fonts(include_system_fonts=False)
        return typst.compile(page, format="pdf", font_paths=fonts, pdf_standards="a-2u", sys_inputs={"t": text})

    assert strict(json.dumps(seen))
    with pytest.raises(typst.TypstError, match="could not be displayed"):
        strict(json.dumps("\u65e5"))


def test_letters_that_no_font_has_do_not_raise():
    line = "before \u65e5\u672c \U0001f600 \U0010fffd \ue000 \ud800 \x00 \u202e e\u0301 \u0645\u0631 after"
    (page,) = texts(read(Section(title="Signs", lines=(line, "", " "), headings=(line,), rows=((line,),)), title=line))
    # Control and direction characters, lone surrogates and private letters are shown as escapes.
    assert page.count("\\ud800 \\x00 \\u202e") == 4
    assert page.count("after") == 4


def test_a_long_table_goes_on_over_pages_under_its_headings():
    rows = tuple((f"layer_{i}", "Conv", f"{i}", f"cell {i} " + "of many words " * (i % 9)) for i in range(150))
    reader = read(Section(title="Layers", headings=("layer", "kind", "MACC", "parameters"), rows=rows))
    pages = texts(reader)
    assert len(pages) >= 4
    for i, page in enumerate(pages, start=1):
        assert "layer kind MACC parameters" in page
        assert page.splitlines()[-1] == f"{i} / {len(pages)}"
    words = " ".join(pages).split()
    assert [word for word in words if word.startswith("layer_")] == [f"layer_{i}" for i in range(150)]


def test_a_table_without_rows_and_a_report_without_parts():
    assert "metric value" in texts(read(Section(title="Test metrics", headings=("metric", "value"))))[0]
    assert texts(read(title="Nothing")) == ["Nothing\n1 / 1"]


def test_a_cell_longer_than_a_page_is_whole():
    reader = read(Section(title="Cell", headings=("a", "b"), rows=(("word " * 4000, "beside"),)))
    assert len(reader.pages) > 2
    assert " ".join(texts(reader)).split().count("word") == 4000


@pytest.mark.parametrize("letter", ["x", "_", "Ж", "é"])
def test_a_word_without_a_gap_wraps_and_gains_no_letter(letter):
    word = letter * 400
    section = Section(title="Long", lines=(word,), headings=("a", "b"), rows=((word, word),))
    lines = texts(read(section))[0].splitlines()
    found = [line for line in lines if letter in line]
    assert max(map(len, found)) < 250  # what 170 mm hold of the narrowest of them
    assert "".join(found).replace(" ", "") == word * 3


def test_a_name_is_found_by_search():
    name = "average_precision_of_the_third_class"
    (page,) = texts(read(Section(title="Metrics", headings=("metric", "value"), rows=((name, "0.5"),))))
    assert f"{name} 0.5" in page


def test_pictures_fit_the_page(tmp_path):
    sizes = (100, 4000), (4000, 100), (60, 60), (3000, 3000)
    pictures = [tmp_path / f"{width}_{height}.png" for width, height in sizes]
    for picture, size in zip(pictures, sizes, strict=True):
        picture.write_bytes(png(*size))
    reader = read(Section(title="Pictures", pictures=tuple(pictures)))
    drawn = []

    def note(operator, _operands, matrix, _text):
        if operator == b"Do":
            drawn.append(matrix)

    for page in reader.pages:
        page.extract_text(visitor_operand_before=note)
    assert len(drawn) == len(sizes)
    for (a, _, _, d, x, y), (width, height) in zip(drawn, sizes, strict=True):
        assert abs(a) / abs(d) == pytest.approx(width / height, rel=0.01)
        assert min(x, x + a) >= 50
        assert max(x, x + a) <= A4[0] - 50
        assert min(y, y + d) >= 60
        assert max(y, y + d) <= A4[1] - 60
    assert abs(drawn[2][0]) == pytest.approx(60, abs=1)  # a small picture stays small
    assert abs(drawn[1][0]) == pytest.approx(A4[0] - 2 * 56.7, abs=1)  # a wide one is as wide as the text


SECTION = Section(title="Same − αβγ", lines=("χ² ≤ 3",), headings=("a", "b"), rows=(("x" * 50, "1"),) * 60)


def test_the_same_report_is_the_same_bytes(tmp_path):
    content = pdf_report((SECTION,), title="t")
    assert all(pdf_report((SECTION,), title="t") == content for _ in range(5))
    assert pdf_report((SECTION,), title="u") != content
    code = (
        "import sys\n"
        "from robust.filesets.report_parts import Section\n"
        "from robust.filesets.report_pdf import pdf_report\n"
        f"sys.stdout.buffer.write(pdf_report(({SECTION!r},), title='t'))"
    )
    elsewhere = os.environ | {"TZ": "Asia/Tokyo", "SOURCE_DATE_EPOCH": "1", "LC_ALL": "C", "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=tmp_path, env=elsewhere, capture_output=True, check=True
    )
    assert done.stdout == content
    metadata = PdfReader(BytesIO(content)).metadata
    assert {"/CreationDate", "/ModDate"}.isdisjoint(metadata)


def test_the_machine_is_not_in_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    picture = Path(tmp_path, "confusion.png")
    picture.write_bytes(png(20, 20))
    content = pdf_report((Section(title="Pictures", pictures=(picture,)),), title="t")
    assert str(tmp_path).encode() not in content
    assert list(tmp_path.iterdir()) == [picture]


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "typst", None)
    for call in (require_pdf, lambda: pdf_report((), title="t")):
        with pytest.raises(MissingExtra, match=r'a report as PDF needs .* pip install "robust-gates\[pdf\]"'):
            call()
