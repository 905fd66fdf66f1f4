# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the pages about causes and the decision tree into docs/ from the rules, or checks that they are current.

Run as C(python -m gates.causes [--check]), with C(tests) and C(playbooks/collections) on PYTHONPATH.
"""

from __future__ import annotations

import sys
from pathlib import Path

from gates import cause_drawing, cause_pages, cause_tree
from gates.cause_book import Book

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def files(rules: Path = ROOT / cause_pages.RULES) -> dict[str, str]:
    """Return the text of each file below docs/, by its path."""
    book = Book(rules)
    pages = {f"causes/{stage.page}.md": cause_pages.page(book, stage) for stage in book.stages}
    return {
        "causes.md": cause_pages.index(book),
        **pages,
        "decision-tree.md": cause_tree.page(book),
        "decision-tree.mmd": cause_tree.mermaid(book),
        "decision-tree.svg": cause_drawing.drawing(book),
    }


def stale(docs: Path, texts: dict[str, str]) -> list[str]:
    """Return the paths of what is missing, differs, or is about rules that are gone."""
    there = {path.relative_to(docs).as_posix() for path in docs.glob("causes/*.md")}
    differs = [
        name
        for name, text in texts.items()
        if not (docs / name).exists() or (docs / name).read_text(encoding="utf-8") != text
    ]
    return sorted({*differs, *(there - set(texts))})


def write(docs: Path, texts: dict[str, str]) -> None:
    """Make the folder be like the texts."""
    for name in stale(docs, texts):
        if name in texts:
            (docs / name).parent.mkdir(parents=True, exist_ok=True)
            (docs / name).write_text(texts[name], encoding="utf-8")
        else:
            (docs / name).unlink()


def main() -> int:
    """Write the files, or with C(--check) return 1 if one is not current, and name it."""
    texts = files()
    if "--check" not in sys.argv:
        write(DOCS, texts)
    elif found := stale(DOCS, texts):
        print(f"not current, write them again with make docs: {', '.join(f'docs/{name}' for name in found)}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
