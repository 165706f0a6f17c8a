"""The working folder in which the pages' examples are run: a photo, a folder of them, faces by class, data sets."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from openfer.data.manifest import Manifest
from openfer.records import Box
from openfer.synth import draw_set
from openfer.vision.align import frame
from openfer.vision.image import grey
from tests.bundles import make_bundle
from tests.docs.pages import ROOT
from tests.predict.examples import UNITS, face
from tests.predict.examples import lay_out as lay_out_examples

USAGES = {"train": "Training", "validation": "PublicTest", "test": "PrivateTest"}
FER2013 = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
FERPLUS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF")
SIDE = 48


def lay_out(folder: Path, astronaut: Path, coffee: Path) -> None:
    """Write everything that the pages name."""
    shutil.copytree(ROOT / "recipes", folder / "recipes")
    with Image.open(astronaut) as portrait, Image.open(coffee) as cup:
        portrait.convert("RGB").save(folder / "photo.jpg", quality=95)
        (folder / "holiday").mkdir()
        portrait.convert("RGB").save(folder / "holiday" / "portrait.jpg", quality=95)
        cup.convert("RGB").save(folder / "holiday" / "coffee.jpg", quality=95)
    (folder / "holiday" / "notes.jpg").write_text("not a picture")
    shutil.copy(folder / "photo.jpg", folder / "one.jpg")
    shutil.copy(folder / "photo.jpg", folder / "two.jpg")
    lay_out_examples(folder / "expressions", range(5))
    make_bundle(folder / "runs" / "aue", label_set="basic7", units=True)
    (folder / "new").mkdir()
    for number, name in enumerate((*UNITS, *UNITS)):
        Image.fromarray(face(name, 10 + number, size=256)).save(folder / "new" / f"{number + 1}.png")
    faces = draw_set(140, 0, size=160)
    _class_folders(folder / "my_faces", faces)
    _crops(folder / "crops", faces)
    _fer2013(folder / "fer2013.csv", faces)
    _ferplus(folder / "ferplus", faces)


def _pixels(faces: Manifest, row: int) -> NDArray[np.uint8]:
    """A face as FER2013 frames it, [SIDE, SIDE], grey."""
    x, y, w, h = faces.column("box")[row]
    return grey(frame(faces.picture(row), Box(x=x, y=y, w=w, h=h), 0.0, SIDE))[:, :, 0]


def _class_folders(folder: Path, faces: Manifest) -> None:
    """Two classes of a user's own, some of whose names nobody else has."""
    for own, known in (("bored", "neutral"), ("delighted", "happiness")):
        (folder / own).mkdir(parents=True)
        for row, label in enumerate(faces.column("label")):
            if label == known:
                Image.fromarray(faces.picture(row)).save(folder / own / f"{row}.png")


def _crops(folder: Path, faces: Manifest) -> None:
    folder.mkdir()
    for row in range(3):
        Image.fromarray(_pixels(faces, row)).save(folder / f"{row}.png")


def _fer2013(path: Path, faces: Manifest) -> None:
    lines = ["emotion,pixels,Usage"]
    for row, (label, split) in enumerate(zip(faces.column("label"), faces.column("split"), strict=True)):
        numbers = " ".join(map(str, _pixels(faces, row).ravel().tolist()))
        lines.append(f"{FER2013.index(label)},{numbers},{USAGES[split]}")
    path.write_text("\n".join(lines) + "\n")


def _ferplus(folder: Path, faces: Manifest) -> None:
    folders = {"train": "FER2013Train", "validation": "FER2013Valid", "test": "FER2013Test"}
    lists: dict[str, list[str]] = {name: [] for name in folders.values()}
    for row, (label, split) in enumerate(zip(faces.column("label"), faces.column("split"), strict=True)):
        where = folders[split]
        name = f"fer{row:07d}.png"
        (folder / where).mkdir(parents=True, exist_ok=True)
        Image.fromarray(_pixels(faces, row)).save(folder / where / name)
        votes = [9 if word == label else 1 if word == "contempt" else 0 for word in FERPLUS]
        lists[where].append(f'{name},"(0, 0, {SIDE}, {SIDE})",{",".join(map(str, votes))}')
    for where, lines in lists.items():
        (folder / where).mkdir(parents=True, exist_ok=True)
        (folder / where / "label.csv").write_text("\n".join(lines) + "\n")
