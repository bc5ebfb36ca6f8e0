from collections.abc import Callable

from msgspec import structs

from robust.evidence import Fact, Figure, Finding, Slice, Slices
from robust.record.shape import Entry, Record
from robust.report.view import findings, sections

MakeEntry = Callable[..., Entry]
MakeRecord = Callable[..., Record]


def test_families_come_in_the_order_of_a_report(make_record: MakeRecord, make_entry: MakeEntry) -> None:
    record = make_record(*[make_entry(code) for code in ("ZZZ001", "BAS001", "QNT001", "MET002", "MET001")])
    found = sections(record)
    assert [section.title for section in found] == ["Metrics", "Against the reference", "Baselines", "ZZZ"]
    assert [card.entry.code for card in found[0].cards] == ["MET002", "MET001"]


def test_names_of_elements_are_plain_and_never_the_same(make_record: MakeRecord, make_entry: MakeEntry) -> None:
    codes = ["QNT001", "QNT001", '"><script>', "", "QNT", "QNT001-2"]
    found = sections(make_record(*[make_entry(code) for code in codes]))
    ids = [section.id for section in found] + [card.id for section in found for card in section.cards]
    assert len(set(ids)) == len(ids) == 6 + len(found)
    assert all(name.replace("-", "").isalnum() for name in ids)


def test_evidence_is_written_out(full_record: Record) -> None:
    card = sections(full_record)[1].cards[0]
    assert card.values == (("accuracy", "0.9234", "reference", "0.9051", "candidate"),)
    assert card.flips[0][1] == "17, row-18"
    assert card.slices[0].rows == (("site=north", "1,013", "0.0810", "0.0548", "0.1072", "82 flips"),)
    assert card.rows[0][1:] == ("3 (0.99), b-4 (0.98)", 10)
    assert card.facts == (("worst class", ("truck",)), ("rows seen twice", ("7",)))


def test_a_table_of_slices_has_one_number_of_decimals(make_record: MakeRecord, make_entry: MakeEntry) -> None:
    parts = tuple(Slice(name=f"s{i}", n=5, value=v, lower=-1.0, upper=2.0) for i, v in enumerate((0.5, 0.25, 1.0)))
    table = Slices(by="s", measure="error", level=0.95, slices=parts)
    (section,) = sections(make_record(make_entry(evidence=(table,), unit="target")))
    lengths = {len(cell.partition(".")[2]) for row in section.cards[0].slices[0].rows for cell in row[2:5]}
    assert lengths == {3}
    assert not section.cards[0].slices[0].noted


def test_both_models_values_can_be_told_apart(make_record: MakeRecord, full_record: Record) -> None:
    entry = full_record.entries[1]
    close = structs.replace(entry.measurement.evidence[0], candidate=0.92341)
    m = structs.replace(entry.measurement, evidence=(close,))
    (section,) = sections(make_record(structs.replace(entry, measurement=m)))
    assert section.cards[0].values == (("accuracy", "0.92340", "reference", "0.92341", "candidate"),)


def test_a_finding_is_told_once(make_record: MakeRecord, make_entry: MakeEntry) -> None:
    twice = make_entry(evidence=(Finding(text="a"), Finding(text="b")))
    assert findings(make_record(make_entry(), twice, twice)) == (("a", 1), ("b", 1))


def test_facts_of_one_name_stand_together(make_record: MakeRecord, make_entry: MakeEntry) -> None:
    told = [("how to read it", "one"), ("largest", 84224), ("how to read it", "two")]
    entry = make_entry(evidence=tuple(Fact(name=name, value=value) for name, value in told))
    assert sections(make_record(entry))[0].cards[0].facts == (
        ("how to read it", ("one", "two")),
        ("largest", ("84,224",)),
    )


def test_a_figure_is_drawn_once_and_named_where_it_would_come_again(
    make_record: MakeRecord, make_entry: MakeEntry, figures: dict[str, Figure]
) -> None:
    again, other = (figures["point"], figures["bar"]), (figures["bar"],)
    (section,) = sections(
        make_record(
            make_entry("MET011", evidence=again),
            make_entry("MET013", evidence=again),
            make_entry("MET014", evidence=other),
        )
    )
    first, second, third = section.cards
    assert [len(card.figures) for card in section.cards] == [2, 0, 0]
    assert first.elsewhere == ()
    assert second.elsewhere == tuple((figure.title, "MET011", first.entry.title) for figure in again)
    assert [place for _, place, _ in third.elsewhere] == ["MET011"]
