import base64
import hashlib
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import structs

from robust.evidence import Example, Figure, Gallery, Picture, Table
from robust.record.codec import dump, load
from robust.record.shape import Entry, Record
from robust.report.bundle import bundle
from robust.report.html import render_html
from robust.report.pictures import address

MakeEntry = Callable[..., Entry]
MakeRecord = Callable[..., Record]

VOID = {"meta", "link", "br", "img", "input", "hr"}
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7 * 7 }}&amp;</style></title>"


class Page(HTMLParser):
    """What a page holds: tags, attributes, text, scripts; refuses tags that are closed in another order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open, f"not closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag == "script":
            self.scripts.append((dict(attrs), ""))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "script":
            attributes, text = self.scripts[-1]
            self.scripts[-1] = attributes, text + data
        elif not self._open or self._open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def values(self, name: str) -> list[str]:
        return [value for _, attribute, value in self.attributes if attribute == name]

    @property
    def policy(self) -> str:
        return next(v for tag, name, v in self.attributes if tag == "meta" and name == "content" and "-src" in v)


@pytest.fixture(scope="module")
def rendered(full_record: Record, bundle_folder: Path) -> str:
    return render_html(full_record, cache=bundle_folder)


@pytest.fixture(scope="module")
def page(rendered: str) -> Page:
    return Page(rendered)


def test_it_loads_nothing(page: Page, rendered: str) -> None:
    assert not page.values("src") + page.values("srcset") + page.values("data")
    assert all(value.startswith("#") for value in page.values("href"))
    assert not {"link", "img", "iframe", "object", "embed", "form", "base"} & set(page.tags)
    addresses = [v for _, n, v in page.attributes if "//" in v and not n.startswith("xmlns")]
    assert addresses == []
    style = re.search(r"<style>(.*?)</style>", rendered, re.DOTALL)
    assert style
    assert "url(" not in style[1]
    assert "@import" not in style[1]


def test_the_policy_names_exactly_the_scripts(page: Page, bundle_folder: Path) -> None:
    run = [text for attributes, text in page.scripts if attributes.get("type") != "application/json"]
    assert run[0] == bundle(bundle_folder)
    digests = {base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in run}
    assert set(re.findall(r"'sha256-([^']+)'", page.policy)) == digests
    assert page.policy.startswith("default-src 'none'; ")
    assert "script-src 'sha256-" in page.policy
    assert not re.search(r"script-src[^;]*unsafe|unsafe-eval|https?:|\*", page.policy)


def test_the_policy_stands_before_everything_it_governs(page: Page) -> None:
    assert page.tags[:4] == ["html", "head", "meta", "meta"]


def test_charts_are_embedded_as_data(page: Page) -> None:
    ((_, text),) = [script for script in page.scripts if script[0].get("type") == "application/json"]
    specs = json.loads(text)
    assert len(specs) == 6 == page.tags.count("figure")
    assert set(specs) == set(page.values("data-chart"))
    assert "<" not in text


def test_every_chart_has_a_still_and_words(page: Page) -> None:
    labels = [v for tag, name, v in page.attributes if tag == "div" and name == "aria-label"]
    assert sum(label.startswith("Confusion matrix. Matrix") for label in labels) == 2
    assert page.values("class").count("still") == page.values("class").count("live") == 6
    assert page.tags.count("svg") == 6 + 4  # and a small line for each card that has a value


def _hostile(value: Any) -> Any:
    """The same record with every free text replaced."""
    plain = msgspec.to_builtins(value)
    fixed = {"type", "kind", "bias", "operator", "status", "decided_by", "role", "task", "decide", "class"}

    def poison(node: Any, key: str = "") -> Any:
        if isinstance(node, dict):
            return {name: poison(part, name) for name, part in node.items()}
        if isinstance(node, list | tuple):
            names = key == "columns"
            return [
                {"name": part["name"], "values": poison(part["values"], "values")} if names else poison(part, key)
                for part in node
            ]
        keep = key in fixed or (key == "rules" and node in ("x", "y"))
        return EVIL + node if isinstance(node, str) and not keep else node

    return msgspec.convert(poison(plain), Record, strict=False)


def test_every_text_from_data_is_escaped(full_record: Record, page: Page, bundle_folder: Path) -> None:
    hostile = _hostile(full_record)
    assert dump(hostile).count(b"alert(1)") > 150
    attacked = Page(render_html(hostile, cache=bundle_folder))
    assert [text for attributes, text in attacked.scripts if not attributes] == [
        text for attributes, text in page.scripts if not attributes
    ]
    assert len(attacked.scripts) == 3
    # Titles that are longer wrap into more tspans; nothing else may appear.
    assert set(attacked.tags) - {"tspan"} <= set(page.tags)
    assert {(tag, name) for tag, name, _ in attacked.attributes if tag != "tspan"} <= {
        (tag, name) for tag, name, _ in page.attributes
    } | {("text", "dx"), ("text", "dy")}
    assert "{{ 7 * 7 }}" in attacked.text
    assert "49" not in attacked.values("title")
    assert EVIL in " ".join(attacked.texts)


def test_characters_that_steer_are_shown(make_record: MakeRecord, make_entry: MakeEntry) -> None:
    text = render_html(make_record(make_entry(name="a\u202eb\x00c\ud800")))
    assert "a\\u202eb\\x00c\\ud800" in text
    text.encode("utf-8")


def test_the_same_record_gives_the_same_bytes(
    full_record: Record, rendered: str, bundle_folder: Path, tmp_path: Path
) -> None:
    assert render_html(full_record, cache=bundle_folder) == rendered
    path = tmp_path / "record.json"
    path.write_bytes(dump(full_record))
    assert render_html(load(path), cache=bundle_folder) == rendered


def test_names_are_unique_and_links_lead_somewhere(page: Page) -> None:
    ids = page.values("id")
    assert len(set(ids)) == len(ids)
    assert {value[1:] for value in page.values("href")} <= set(ids)


def test_what_failed_is_told_from_what_did_not_run(page: Page) -> None:
    failed, skipped = page.text.split("What failed")[-1].split("What did not run")
    assert "the model raised" in failed
    assert "needs a sweep" in skipped
    assert "the model raised" not in skipped


def test_what_a_release_manager_reads(page: Page, full_record: Record) -> None:
    text = page.text
    assert "May it ship? No: 1 of 5 gates fails (degradation)" in text
    assert "Trucks lose eight times as much as the rest." in text
    for entry in full_record.entries:
        if entry.gate is not None:
            assert entry.gate.reason in text
    for skipped in full_record.skipped:
        assert skipped.reason in text
    gates = ("0.0183", "< 0.01", "95% upper bound", "-0.0112", "13014 rows would settle it", "gate gain depends on it")
    evidence = ("241 of 10,000", "58 of 10,000", "site=north", "17, row-18", "3 (0.99), b-4 (0.98)", "truck")
    checks = ("quantized: failed", "two models: passed", "No bounds: nothing could be proved")
    origin = ("20,000 rows forwards", "7d10b6f3", "AVX2", "numpy 2.0.0", "0 decisions changed", "humidity")
    for piece in (*gates, *evidence, *checks, *origin):
        assert piece in text


def test_each_status_is_a_word_not_only_a_colour(page: Page) -> None:
    # In the table of gates, on the card, in the contents, and where it is explained.
    for status in ("PASS", "FAIL", "INCONCLUSIVE", "INVALID"):
        assert page.text.count(status) >= 4
    assert "no gate" in page.text


def test_missing_bounds_are_said(make_record: MakeRecord, make_entry: MakeEntry) -> None:
    text = Page(render_html(make_record(make_entry(status="INCONCLUSIVE", lower=None, upper=None)))).text
    assert "no bound to no bound" in text
    assert "None" not in text
    assert "inf" not in re.findall(r"[a-z]+", text)


def test_without_figures_no_script_may_run(make_record: MakeRecord, make_entry: MakeEntry) -> None:
    bare = Page(render_html(make_record(make_entry(status="PASS"))))
    assert bare.scripts == []
    assert "script-src 'none'" in bare.policy


def test_nothing_measured_is_a_page_too(make_record: MakeRecord) -> None:
    assert "No gate was set" in Page(render_html(make_record())).text


def test_a_figure_that_does_not_fit_leaves_the_page_standing(
    make_record: MakeRecord, make_entry: MakeEntry, figures: dict[str, Figure], bundle_folder: Path
) -> None:
    broken = structs.replace(figures["bar"], columns=())
    found = Page(render_html(make_record(make_entry(evidence=(broken, figures["bar"]))), cache=bundle_folder))
    assert "cannot be drawn: a bar figure needs the columns" in found.text
    assert found.tags.count("figure") == 1


def test_headings_go_down_one_step_at_a_time(page: Page) -> None:
    levels = [int(tag[1]) for tag in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_the_page_is_small(rendered: str) -> None:
    assert len(rendered.encode()) < 1.5e6


# --- colours of the style sheet -----------------------------------------------------------------------------


def _themes(rendered: str) -> list[dict[str, str]]:
    """The colours of the light page, and of the dark one."""
    blocks = re.findall(r":root \{(.*?)\}", rendered, re.DOTALL)
    light = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", blocks[0]))
    return [light, light | dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", blocks[1]))]


def _contrast(a: str, b: str) -> float:
    """Contrast ratio of two colours (WCAG 2.2)."""

    def luminance(colour: str) -> float:
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    bright, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [0, 1])
def test_text_can_be_read(rendered: str, theme: int) -> None:
    colours = _themes(rendered)[theme]
    pairs = [
        ("ink", "page"),
        ("ink", "paper"),
        ("soft", "page"),
        ("soft", "paper"),
        ("soft", "tint"),
        ("link", "paper"),
    ]
    pairs += [(name, f"{name}-tint") for name in ("pass", "fail", "open", "invalid")]
    pairs += [("ink", f"{name}-tint") for name in ("pass", "fail", "open", "invalid")]
    too_faint = {pair: round(_contrast(colours[pair[0]], colours[pair[1]]), 2) for pair in pairs}
    assert min(too_faint.values()) >= 4.5, too_faint
    assert _contrast(colours["accent"], colours["paper"]) >= 3


def test_one_row_is_one_row(make_record: MakeRecord, make_entry: MakeEntry) -> None:
    entry = make_entry(value=80.0, lower=80.0, upper=80.0, method="exact", unit="MACC")
    one = structs.replace(entry, measurement=structs.replace(entry.measurement, n=1))
    assert "exact, on 1 row<" in render_html(make_record(one))
    assert "exact, on 10,000 rows<" in render_html(make_record(entry))


def test_a_figure_that_comes_again_is_a_link(
    make_record: MakeRecord, make_entry: MakeEntry, figures: dict[str, Figure], bundle_folder: Path
) -> None:
    entries = [make_entry(code, evidence=(figures["point"],)) for code in ("MET011", "MET013")]
    text = render_html(make_record(*entries), cache=bundle_folder)
    assert text.count("<figure ") == 1
    assert '<a href="#MET011">loss against the reference</a>' in text


DOT = Picture(title="original", width=1, height=1, channels=1, pixels=b"\x07")


def test_pictures_and_tables_stand_in_the_page_itself(
    make_entry: MakeEntry, make_record: MakeRecord, bundle_folder: Path
) -> None:
    gallery = Gallery(
        title="Examples",
        examples=(Example(id=f"9{EVIL}", words=(f"8 → 3{EVIL}",), pictures=(DOT,)),),
        note="n",
        total=4,
    )
    changes = Table(title=EVIL, headings=("row", "change"), rows=(("1", f"age 43 → 45{EVIL}"),), total=3)
    page = Page(render_html(make_record(make_entry(evidence=(gallery, changes))), cache=bundle_folder))
    sources = [value for tag, name, value in page.attributes if (tag, name) == ("img", "src")]
    assert sources == [address(DOT)]
    assert page.policy.startswith("default-src 'none'; ")
    assert "img-src data:;" in page.policy
    for text in ("3 more broken rows are not drawn", "2 more of them", f"8 → 3{EVIL}", f"age 43 → 45{EVIL}"):
        assert text in page.text
    assert len(page.scripts) == len(Page(render_html(make_record(make_entry()), cache=bundle_folder)).scripts)


def test_without_pictures_none_is_allowed(page: Page) -> None:
    assert "img-src" not in page.policy
