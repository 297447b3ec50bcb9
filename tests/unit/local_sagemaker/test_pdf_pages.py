"""A PDF must be consistent in itself: readers follow its table of offsets."""

import re

from ml_platform.local_sagemaker.pdf_pages import Line, pdf_document


def test_every_offset_of_the_table_leads_to_its_object() -> None:
    document = pdf_document("card", [Line(f"line {number}") for number in range(120)])
    start = int(re.search(rb"startxref\n(\d+)\n%%EOF\n$", document)[1])  # type: ignore[index]
    assert document[start:].startswith(b"xref\n")
    offsets = [int(line[:10]) for line in document[start:].splitlines()[3:] if line.endswith(b" n ")]
    assert len(offsets) == int(re.search(rb"/Size (\d+)", document)[1]) - 1  # type: ignore[index]
    for number, offset in enumerate(offsets, start=1):
        assert document[offset:].startswith(b"%d 0 obj\n" % number)


def test_long_text_takes_more_lines_and_pages_and_none_is_lost() -> None:
    document = pdf_document("card", [Line("word " * 2000)])
    assert document.count(b"word") == 2000
    assert int(re.search(rb"/Count (\d+)", document)[1]) == document.count(b"/Type /Page /") > 1  # type: ignore[index]
    assert all(len(text) <= 92 for text in re.findall(rb"\(([^()]*)\) Tj", document))


def test_what_would_end_a_text_early_is_escaped() -> None:
    document = pdf_document("a\\b", [Line("(x) caf\N{LATIN SMALL LETTER E WITH ACUTE} \N{SNOWMAN}\0")])
    assert b"(a\\\\b) Tj" in document
    assert b"(\\(x\\) caf\xe9 ?" in document
