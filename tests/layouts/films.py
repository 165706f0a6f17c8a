"""Sets of films and of the web: SFEW, AFEW, ExpW, CAER-S, and the three folders of crops."""

from __future__ import annotations

from pathlib import Path

from tests.layouts.draw import save_face, write_lines

WORDS = ("Angry", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")


def sfew(root: Path) -> Path:
    """Aligned faces of every class in Train and Val, two without labels in Test."""
    seed = 0
    for part, film in (("Train", "Old_Film"), ("Val", "NewFilm")):
        for number, word in enumerate(WORDS):
            name = f"{film}_00012345{number}_0000001{number}.png"
            save_face(root / part / f"{part}_Aligned_Faces" / word / name, seed, 20)
            seed += 1
    for number in (1, 2):
        save_face(root / "Test" / "Test_Aligned_Faces" / f"Other_000000000_0000000{number}.png", 50 + number, 20)
    return root


def sfew_aue(root: Path) -> Path:
    """AUE-CRL's copy: lists without suffixes, 68 points."""
    for part, film in (("Train", "Old"), ("Val", "New")):
        lines = []
        for number, word in enumerate(WORDS):
            stem = f"{film}_00012345{number}_0000001{number}"
            save_face(root / part / "imgs" / word / f"{stem}{'.png' if number % 2 else '.jpg'}", number, 20)
            points = root / part / "Annotations" / "Landmarks_68_FAN" / word / f"{stem}.txt"
            write_lines(points, [f"{n} {n}" for n in range(68)])
            lines.append(f"{word}/{stem}")
        write_lines(root / "list_experiment" / f"id_{part.lower()}_list.txt", lines)
    return root


def afew(root: Path) -> Path:
    """A clip a class in Train and Val, the same numbers in both; two frames of faces each, none for the last of Val."""
    for part in ("Train", "Val"):
        for number, word in enumerate(WORDS):
            clip = f"00012345{number}"
            video = root / part / word / f"{clip}.avi"
            video.parent.mkdir(parents=True, exist_ok=True)
            video.write_bytes(b"RIFF")
            if (part, word) == ("Val", "Surprise"):
                (root / "Faces" / part / clip).mkdir(parents=True)
                continue
            for frame in (1, 2):
                save_face(root / "Faces" / part / clip / f"000{frame}.jpg", 10 * number + frame, 20)
    return root


def expw_lines() -> list[str]:
    """Every code twice in pictures of their own, two faces in one picture, a box over the edge."""
    lines = [f"word_{n}.jpg 0 4 8 28 26 62.5031 {n % 7}" for n in range(14)]
    return [*lines, "word_0.jpg 1 -3 2 12 13 91.2 4"]


def expw(root: Path) -> Path:
    write_lines(root / "label" / "label.lst", expw_lines())
    for number in range(14):
        save_face(root / "image" / "origin" / f"word_{number}.jpg", number, 30)
    return root


CAER_WORDS = ("Anger", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")


def caer_s(root: Path) -> Path:
    """Two pictures a class in each split, and boxes for the first of them."""
    for part in ("train", "test"):
        lines = []
        for code, word in enumerate(CAER_WORDS):
            for number in (1, 2):
                save_face(root / part / word / f"000{number}.png", 10 * code + number, 30)
            lines.append(f"{part}/{word}/0001.png,{code},2,3,22,28")
        write_lines(root / f"{part}.txt", lines)
    return root


def crops(root: Path) -> Path:
    """CSRN's form: four classes to learn from, three to test on."""
    for number, word in enumerate(("happy", "neutral", "sad", "surprise", "angry", "disgust", "fear")):
        name = f"face{number}.png"
        for folder in ("images", "images_eye", "images_lip", f"{'train' if number < 4 else 'test'}/{word}"):
            save_face(root / folder / name, number, 20)
    return root
