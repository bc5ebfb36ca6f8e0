from pathlib import Path

import pytest

from robust.report import bundle as module
from robust.report.bundle import bundle


def test_it_is_one_closed_expression_without_end_tags(bundle_folder: Path) -> None:
    script = bundle(bundle_folder)
    assert script.startswith("(() => {")
    assert script.endswith("})();")
    assert "vegaEmbed" in script
    assert "</script" not in script.lower()
    assert "<!--" not in script


def test_a_kept_copy_is_read_not_made(bundle_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = bundle(bundle_folder)

    def refuse() -> str:
        raise AssertionError("made again")

    monkeypatch.setattr(module, "_made", refuse)
    assert bundle(bundle_folder) == script


@pytest.mark.parametrize("damage", [b"", b"alert(1)", b"// sha256 0\nalert(1)", b"\xff\xfe\x00"])
def test_a_damaged_copy_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: bytes) -> None:
    monkeypatch.setattr(module, "_made", lambda: "(() => {})();")
    bundle(tmp_path)
    (kept,) = tmp_path.iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(damage)
    assert bundle(tmp_path) == "(() => {})();"
    assert kept.read_bytes() == whole


def test_a_copy_that_was_cut_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_made", lambda: "(() => { window.vegaEmbed = 1; })();")
    whole = bundle(tmp_path)
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(kept.read_bytes()[:-10])
    assert bundle(tmp_path) == whole


def test_a_folder_that_cannot_be_written_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_made", lambda: "(() => {})();")
    (tmp_path / "file").write_text("")
    assert bundle(tmp_path / "file" / "inside") == "(() => {})();"


def test_end_tags_in_the_libraries_are_defused(monkeypatch: pytest.MonkeyPatch) -> None:
    import vl_convert

    monkeypatch.setattr(vl_convert, "javascript_bundle", lambda *_, **__: 'a="</script>";b="<!--"')
    module._made.cache_clear()
    try:
        assert bundle(None) == '(() => {a="<\\/script>";b="<\\!--"\n})();'
    finally:
        module._made.cache_clear()
