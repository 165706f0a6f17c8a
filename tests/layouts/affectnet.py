"""AffectNet, both releases."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.layouts.draw import save_face, write_lines

HEADER = [
    "subDirectory_filePath",
    "face_x",
    "face_y",
    "face_width",
    "face_height",
    "facial_landmarks",
    "expression",
    "valence",
    "arousal",
]
POINTS = ";".join(f"{n / 2:g}" for n in range(136))


def affectnet_row(name: str, code: object, box: str = "1,2,20,21", rated: str = "0.25,-0.5") -> str:
    return f"{name},{box},{POINTS},{code},{rated}"


def affectnet_csv(root: Path) -> Path:
    """Every code of the table once in train and once in validation; upper-case suffix and png among the names."""
    for part, file in ((1, "training.csv"), (2, "validation.csv")):
        rows = []
        for code in range(11):
            name = f"{part}/face{code}{'.JPG' if code == 2 else '.png' if code == 3 else '.jpg'}"
            save_face(root / "Manually_Annotated" / "Manually_Annotated_Images" / name, 11 * part + code, 30)
            rows.append(affectnet_row(name, code, rated="-2,-2" if code in (9, 10) else "0.25,-0.5"))
        write_lines(root / file, [",".join(HEADER), *rows])
    return root


def save_npy(path: Path, value: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.array(value), allow_pickle=False)
    return path


def affectnet_npy(root: Path, names: tuple[str, str] = ("train_set", "val_set")) -> Path:
    """Pictures 2, 10, 100 and so on with codes 0 to 7, in train as text, in validation as numbers."""
    for part, name in enumerate(names):
        for code in range(8):
            number = (2, 10, 100, 1000, 1001, 1002, 1003, 20)[code]
            save_face(root / name / "images" / f"{number}.jpg", 8 * part + code, 30)
            beside = root / name / "annotations"
            save_npy(beside / f"{number}_exp.npy", code if part else str(code))
            save_npy(beside / f"{number}_val.npy", 0.5 if part else "0.5")
            save_npy(beside / f"{number}_aro.npy", -2.0)
            save_npy(beside / f"{number}_lnd.npy", np.arange(136.0))
    return root
