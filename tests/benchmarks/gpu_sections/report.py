# SPDX-License-Identifier: GPL-3.0-or-later
"""What `gpu.py` found: rows by section, kept as JSON and shown as a table."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes:
        what: was measured.
        value: None where there is none, or where `note` says it all.
        note: how it was measured, its range, or what went wrong.
        red: it failed, or is not what it has to be.
    """

    what: str
    value: float | None = None
    unit: str = ""
    note: str = ""
    red: bool = False

    def as_line(self) -> str:
        """For a terminal, red where it is."""
        line = f"  {self.what:44} {_number(self.value):>10} {self.unit:12} {self.note}".rstrip()
        return f"\033[31m{line}\033[0m" if self.red else line


@dataclass
class Section:
    """What became of one section.

    Attributes:
        state: ``done``, ``failed`` or ``no time``; those that are done are not measured again.
        conditions: of the machine, just after it.
    """

    title: str
    state: str
    seconds: float
    rows: list[Row] = field(default_factory=list)
    conditions: str = ""


class Report:
    """The sections, on disk after every change.

    Attributes:
        sections: by name, in the order in which they were measured.
    """

    def __init__(self, folder: Path, asked: str, *, resume: bool) -> None:
        """Args: asked: what was measured how; sections of another kind are not gone on with."""
        folder.mkdir(parents=True, exist_ok=True)
        self._json, self._table = folder / "gpu.json", folder / "gpu.md"
        self._asked = asked
        self.sections: dict[str, Section] = {}
        if resume and self._json.exists():
            found = json.loads(self._json.read_text(encoding="utf-8"))
            if found["asked"] != asked:
                raise SystemExit(f"{folder} holds {found['asked']!r}, not {asked!r}: choose another folder.")
            kept = found["sections"]
            self.sections = {
                name: Section(**{**s, "rows": [Row(**row) for row in s["rows"]]}) for name, s in kept.items()
            }

    def put(self, name: str, section: Section) -> None:
        """Keeps a section as it stands."""
        self.sections[name] = section
        values = {"asked": self._asked, "sections": {name: asdict(s) for name, s in self.sections.items()}}
        self._json.write_text(json.dumps(values, indent=1), encoding="utf-8")
        self._table.write_text(self.as_markdown(), encoding="utf-8")

    def as_markdown(self) -> str:
        """A table for each section."""
        lines = [f"`{self._asked}`", ""]
        for section in self.sections.values():
            lines += [
                f"## {section.title}",
                "",
                f"{section.state}, {section.seconds:.0f} s. {section.conditions}".rstrip(),
                "",
            ]
            if section.rows:
                lines += ["| what | figure | | how |", "|---|---:|---|---|"]
                lines += [_markdown(row) for row in section.rows] + [""]
        return "\n".join(lines)


def _markdown(row: Row) -> str:
    cells = [row.what, _number(row.value), row.unit, row.note]
    if row.red:
        cells = [f"**{cell}**" if cell else "" for cell in ("RED: " + row.what, *cells[1:])]
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.3g}"
