"""The picture of `docs/guides/fewshot.md`: examples of three classes, and new people as they were marked.

openfer predict new --support expressions --draw marked
python tools/support_picture.py expressions marked docs/assets/fewshot.jpg
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

CLASSES = ("wink", "doubt", "effort")
MARGIN, HEAD, TILE, LARGE, GAP = 80, 34, 112, 172, 4
"""Pixels: room for the names of classes, and for titles; sides of an example and of a marked photo; between them."""


def main() -> None:
    """Put the pictures side by side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("examples", type=Path, help="a folder for each class")
    parser.add_argument("marked", type=Path, help="six photos, as `--draw` wrote them")
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    right = MARGIN + 5 * (TILE + GAP) + 16
    sheet = Image.new("RGB", (right + 3 * (LARGE + GAP), HEAD + 2 * (LARGE + GAP)), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(18)
    pen.text((MARGIN, 6), "examples", "black", font)
    pen.text((right, 6), "new people", "black", font)
    for row, name in enumerate(CLASSES):
        top = HEAD + row * (TILE + GAP)
        pen.text((6, top + TILE / 2), name, "black", font, anchor="lm")
        for column, path in enumerate(sorted((options.examples / name).iterdir())[:5]):
            _paste(sheet, path, (MARGIN + column * (TILE + GAP), top), TILE)
    for number, path in enumerate(sorted(options.marked.iterdir())[:6]):
        place = right + number % 3 * (LARGE + GAP), HEAD + number // 3 * (LARGE + GAP)
        _paste(sheet, path, place, LARGE)
    sheet.save(options.out, quality=88)


def _paste(sheet: Image.Image, path: Path, place: tuple[int, int], side: int) -> None:
    with Image.open(path) as picture:
        sheet.paste(picture.convert("RGB").resize((side, side), Image.Resampling.LANCZOS), place)


if __name__ == "__main__":
    main()
