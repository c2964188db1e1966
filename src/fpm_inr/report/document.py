"""A self-contained HTML document of headings, tables and figures; it runs no script."""

from __future__ import annotations

import base64
import hashlib
import html
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

WIDE_INCHES = 8
STYLE = """
:root { color-scheme: light; font: 15px/1.45 system-ui, sans-serif; color: #1b1d21; }
body { max-width: 1000px; margin: 32px auto; padding: 0 20px; background: #fff; }
h1 { margin: 0; font-size: 26px; }
h2 { margin: 34px 0 10px; padding-top: 14px; border-top: 1px solid #d9dce1; font-size: 18px; }
p { max-width: 75ch; }
.tables { display: grid; grid-template-columns: repeat(auto-fit, minmax(290px, 1fr)); gap: 0 36px; }
table { border-collapse: collapse; width: 100%; align-self: start; }
caption { text-align: left; font-weight: 600; padding: 8px 0 4px; }
td, th { padding: 3px 0; text-align: left; font-weight: 400; vertical-align: top; }
th { color: #5c636e; padding-right: 16px; }
td { font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
figure { margin: 14px 0; break-inside: avoid; }
img { display: block; max-width: 100%; height: auto; }
figcaption { color: #5c636e; font-size: 13px; max-width: 90ch; }
.warnings { margin: 16px 0; padding: 10px 16px; background: #fff7e6; }
.warnings { border-left: 4px solid #d08700; }
.warnings ul { margin: 4px 0; padding-left: 20px; }
@media (max-width: 640px) {
  .wide { overflow-x: auto; }
  .wide img { max-width: none; width: 760px; }
}
@media print {
  :root { font-size: 11px; }
  body { margin: 0; padding: 0; max-width: none; }
  h1 { font-size: 20px; }
  h2 { margin-top: 18px; font-size: 14px; break-after: avoid; }
  table, .warnings { break-inside: avoid; }
  .tables { grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); }
  figcaption { font-size: 10px; }
  img { max-height: 100mm; }
  .warnings { print-color-adjust: exact; }
}
"""


@dataclass(frozen=True)
class Table:
    """Rows of a name and a value."""

    caption: str
    rows: Sequence[tuple[str, str]]

    def html(self) -> str:
        rows = "\n".join(
            f'<tr><th scope="row">{html.escape(name)}</th><td>{html.escape(value)}</td></tr>'
            for name, value in self.rows
        )
        return f"<table><caption>{html.escape(self.caption)}</caption>\n{rows}\n</table>"


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure with what it shows."""

    figure: Figure
    caption: str
    dpi: int = 100

    def html(self) -> str:
        buffer = io.BytesIO()
        self.figure.savefig(buffer, format="png", dpi=self.dpi)
        data = base64.b64encode(buffer.getvalue()).decode()
        caption = html.escape(self.caption)
        # a phone scrolls over a row of panels, which would be too small to read
        kind = "wide" if self.figure.get_figwidth() > WIDE_INCHES else "plain"
        return (
            f'<figure><div class="{kind}">'
            f'<img alt="{caption}" src="data:image/png;base64,{data}"></div>'
            f"<figcaption>{caption}</figcaption></figure>"
        )


@dataclass(frozen=True, eq=False)
class Section:
    """A heading, tables side by side, and pictures below."""

    title: str
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()

    def html(self) -> str:
        tables = "\n".join(table.html() for table in self.tables)
        parts = [f"<h2>{html.escape(self.title)}</h2>"]
        if tables:
            parts.append(f'<div class="tables">{tables}</div>')
        return "\n".join([*parts, *(picture.html() for picture in self.pictures)])


def document(
    title: str, subtitle: str, warnings: Sequence[str], sections: Iterable[Section]
) -> str:
    """Join sections into a page; text is escaped, nothing is loaded from elsewhere."""
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'"
    told = "".join(f"<li>{html.escape(warning)}</li>" for warning in warnings)
    box = f'<div class="warnings"><strong>Warnings</strong><ul>{told}</ul></div>' if told else ""
    body = "\n".join(section.html() for section in sections)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{html.escape(title)}</h1>
<p>{html.escape(subtitle)}</p>
{box}
{body}
</body>
</html>
"""
