"""FER2013 and FER+ as they lie on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.layouts.draw import drawn_face, save_face, write_lines

FER2013_WORDS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
USAGES = ("Training", "PublicTest", "PrivateTest")

# neutral happiness surprise sadness anger disgust fear contempt | unknown NF
WORKED_VOTES = (
    (4, 0, 0, 1, 3, 2, 0, 0, 0, 0),
    (6, 0, 1, 1, 0, 0, 0, 0, 2, 0),
    (5, 5, 0, 0, 0, 0, 0, 0, 0, 0),
    (3, 3, 3, 1, 0, 0, 0, 0, 0, 0),
    (2, 2, 2, 2, 2, 0, 0, 0, 0, 0),
    (0, 4, 0, 0, 0, 0, 0, 0, 6, 0),
    (0, 5, 0, 0, 0, 0, 0, 0, 5, 0),
    (0, 6, 0, 0, 0, 0, 0, 0, 4, 0),
    (0, 0, 4, 0, 1, 2, 3, 0, 0, 0),
    (1, 1, 1, 1, 1, 1, 1, 1, 1, 1),
)
NO_PICTURE = (0, 0, 0, 0, 0, 0, 0, 0, 0, 10)


def pixels(seed: int) -> str:
    """A drawn face as FER2013 writes it: 2304 numbers."""
    return " ".join(map(str, drawn_face(seed).ravel().tolist()))


def fer2013_lines() -> list[str]:
    """`fer2013.csv`, every class once in every split: row 7 u + c has usage u, class c and the face of that seed."""
    rows = [f"{code},{pixels(7 * usage + code)},{name}" for usage, name in enumerate(USAGES) for code in range(7)]
    return ["emotion,pixels,Usage", *rows]


def icml_lines() -> list[str]:
    """`icml_face_data.csv`: another order, blanks in the header."""
    rows = [line.split(",") for line in fer2013_lines()[1:]]
    return ["emotion, Usage, pixels", *(f"{code}, {usage}, {values}" for code, values, usage in rows)]


def fer2013_folders(root: Path, *, prefixes: bool = True) -> Path:
    """The folder form: train/ with one picture a class, test/ with one of each official split."""
    for code, word in enumerate(FER2013_WORDS):
        for usage, prefix in enumerate(USAGES):
            part = "train" if prefix == "Training" else "test"
            name = f"{prefix}_{1000 + code}.jpg" if prefixes else f"im{10 * usage + code}.jpg"
            save_face(root / part / word / name, 7 * usage + code)
    return root


def label_csv_line(name: str, votes: Sequence[int]) -> str:
    """A line of FER+ `label.csv`."""
    return f'{name},"(0, 0, 48, 48)",{",".join(map(str, votes))}'


def ferplus_folders(root: Path, votes: Sequence[Sequence[int]] = WORKED_VOTES, *, end: str = "\n") -> Path:
    """The official folders, the same votes in each; pictures fer0000000.png and so on, counted over all folders."""
    number = 0
    for folder in ("FER2013Train", "FER2013Valid", "FER2013Test"):
        lines = []
        for counts in votes:
            name = f"fer{number:07d}.png"
            save_face(root / folder / name, number)
            lines.append(label_csv_line(name, counts))
            number += 1
        write_lines(root / folder / "label.csv", lines, end=end)
    return root


NEW_HEADER = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"


def ferplus_new(root: Path) -> Path:
    """`fer2013new.csv` beside `fer2013.csv`: in train a row without a name, the worked examples (rows 1 to 10), and
    the second example's name again; then a row of each other split."""
    names = [
        "",
        *(f"fer{number:07d}.png" for number in range(10)),
        "fer0000001.png",
        "fer0000020.png",
        "fer0000021.png",
    ]
    votes = [NO_PICTURE, *WORKED_VOTES, WORKED_VOTES[1], WORKED_VOTES[7], WORKED_VOTES[0]]
    usages = ["Training"] * 12 + ["PublicTest", "PrivateTest"]
    lines = zip(usages, names, votes, strict=True)
    new = [f"{usage},{name},{','.join(map(str, counts))}" for usage, name, counts in lines]
    write_lines(root / "fer2013new.csv", [NEW_HEADER, *new])
    old = [f"{row % 7},{pixels(row)},{usage}" for row, usage in enumerate(usages)]
    write_lines(root / "fer2013.csv", ["emotion,pixels,Usage", *old])
    return root
