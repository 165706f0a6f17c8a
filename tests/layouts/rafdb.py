"""RAF-DB, basic and compound."""

from __future__ import annotations

from pathlib import Path

from openfer.labels import LABEL_SETS
from tests.layouts.draw import save_face, write_lines

BASIC = LABEL_SETS["rafdb"].names
COMPOUND = LABEL_SETS["rafdb_compound"].names


def rafdb_lines(classes: int = 7, digits: tuple[int, int] = (5, 4)) -> list[str]:
    """Every class twice in train and once in test, numbers from 1."""
    train = [f"train_{n:0{digits[0]}d}.jpg {(n - 1) % classes + 1}" for n in range(1, 2 * classes + 1)]
    test = [f"test_{n:0{digits[1]}d}.jpg {n}" for n in range(1, classes + 1)]
    return [*train, *test]


def rafdb(root: Path, lines: list[str] | None = None) -> Path:
    """The official tree of the basic part, with box, points and attributes for the first training picture."""
    lines = rafdb_lines() if lines is None else lines
    write_lines(root / "EmoLabel" / "list_patition_label.txt", lines)
    for seed, line in enumerate(lines):
        stem = line.split()[0].removesuffix(".jpg")
        save_face(root / "Image" / "aligned" / f"{stem}_aligned.jpg", seed, 20)
        save_face(root / "Image" / "original" / f"{stem}.jpg", seed, 30)
    beside = root / "Annotation"
    write_lines(beside / "boundingbox" / "train_00001_boundingbox.txt", ["2.0 3.0 22.0 28.0"])
    manual = ["8.5\t10", "20\t11", "14 15", "10 20", "19 21", "1", "0", "2"]
    write_lines(beside / "manual" / "train_00001_manu_attri.txt", manual)
    write_lines(beside / "Landmarks_68_FAN_bbox" / "train_00001.txt", [f"{n} {n + 1}" for n in range(68)])
    return root


def rafdb_compound(root: Path) -> Path:
    """The compound part: the same names, eleven codes."""
    write_lines(root / "EmoLabel" / "list_patition_label.txt", rafdb_lines(11, (4, 3)))
    for seed, line in enumerate(rafdb_lines(11, (4, 3))):
        stem = line.split()[0].removesuffix(".jpg")
        save_face(root / "Image" / "aligned" / f"{stem}_aligned.jpg", seed, 20)
    return root
