"""Text as a PDF document that any reader opens: one column, one typeface, as many pages as it takes. Pure.

Written out here rather than with a library: a page of plain text needs five kinds of objects, and the smallest
well-kept library would bring image and font code along. What a model card says is ``model_card_export``'s business.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import wrap

WIDTH, HEIGHT, MARGIN = 595, 842, 56
LINE_POINTS, TEXT_POINTS, HEADING_POINTS = 14, 10, 13
# As many letters of ten points as surely fit between the margins.
COLUMNS = 92


@dataclass(frozen=True)
class Line:
    """One line, which is broken where it is too long."""

    text: str
    heading: bool = False


def pdf_document(title: str, lines: Sequence[Line]) -> bytes:
    """Return a PDF 1.4 file. Letters outside of Windows-1252 are shown as question marks."""
    pages = [*_pages([Line(title, heading=True), Line(""), *lines])]
    catalog, tree, plain, bold = 1, 2, 3, 4
    numbers = range(5, 5 + 2 * len(pages), 2)
    objects = {
        catalog: f"<< /Type /Catalog /Pages {tree} 0 R >>".encode(),
        tree: f"<< /Type /Pages /Kids [{' '.join(f'{n} 0 R' for n in numbers)}] /Count {len(pages)} >>".encode(),
        plain: b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        bold: b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>",
    }
    for number, page in zip(numbers, pages, strict=True):
        fonts = f"<< /Font << /F1 {plain} 0 R /F2 {bold} 0 R >> >>"
        box = f"/MediaBox [0 0 {WIDTH} {HEIGHT}] /Contents {number + 1} 0 R"
        objects[number] = f"<< /Type /Page /Parent {tree} 0 R /Resources {fonts} {box} >>".encode()
        stream = _stream(page)
        objects[number + 1] = b"<< /Length %d >>\nstream\n%b\nendstream" % (len(stream), stream)
    return _file(objects, catalog)


def _pages(lines: Sequence[Line]) -> Iterator[list[Line]]:
    fitting = [Line(part, line.heading) for line in lines for part in wrap(line.text, COLUMNS) or [""]]
    most = (HEIGHT - 2 * MARGIN) // LINE_POINTS
    for start in range(0, len(fitting), most):
        yield fitting[start : start + most]


def _stream(page: Sequence[Line]) -> bytes:
    parts = [b"BT", b"%d TL" % LINE_POINTS, b"%d %d Td" % (MARGIN, HEIGHT - MARGIN)]
    for line in page:
        parts.append(b"/F2 %d Tf" % HEADING_POINTS if line.heading else b"/F1 %d Tf" % TEXT_POINTS)
        parts.append(b"(%b) Tj T*" % _escaped(line.text))
    return b"\n".join([*parts, b"ET"])


def _escaped(text: str) -> bytes:
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    encoded = printable.encode("cp1252", "replace")
    return encoded.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")


def _file(objects: dict[int, bytes], root: int) -> bytes:
    body = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"
    offsets = []
    for number in sorted(objects):
        offsets.append(len(body))
        body += b"%d 0 obj\n%b\nendobj\n" % (number, objects[number])
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    count = len(offsets) + 1
    head = b"xref\n0 %d\n0000000000 65535 f \n" % count
    tail = b"trailer\n<< /Size %d /Root %d 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (count, root, len(body))
    return body + head + table + tail
