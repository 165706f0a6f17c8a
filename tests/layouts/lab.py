"""Sets of the laboratory: CK+, JAFFE, KDEF, MMI, BP4D, DISFA."""

from __future__ import annotations

from pathlib import Path

from tests.layouts.draw import save_face, write_lines


def ckplus(root: Path) -> Path:
    """Eleven subjects; sequence 001 of S005 to S011 has the codes 1 to 7 at its fourth frame, the others no label."""
    for index in range(11):
        key = f"S{5 + index:03d}/001"
        stem = key.replace("/", "_")
        for frame in range(1, 5):
            save_face(root / "cohn-kanade-images" / key / f"{stem}_{frame:08d}.png", 10 * index + frame, 20)
            points = root / "Landmarks" / key / f"{stem}_{frame:08d}_landmarks.txt"
            write_lines(points, [f"   {n}.0000000e+00   {frame}.0000000e+00" for n in range(68)])
        (root / "Emotion" / key).mkdir(parents=True)
        units = ["   4.0000000e+00   3.0000000e+00", "   2.5000000e+01   0.0000000e+00"]
        write_lines(root / "FACS" / key / f"{stem}_00000004_facs.txt", units)
        if index < 7:
            write_lines(root / "Emotion" / key / f"{stem}_00000004_emotion.txt", [f"   {index + 1}.0000000e+00"])
    return root


JAFFE_CODES = ("AN", "DI", "FE", "HA", "NE", "SA", "SU")
JAFFE_SUBJECTS = ("KA", "KL", "KM", "KR", "MK", "NA", "NM", "TM", "UY", "YM")


def jaffe(root: Path) -> Path:
    """Ten persons, every expression once, one picture re-packed as png."""
    for person, subject in enumerate(JAFFE_SUBJECTS):
        for number, code in enumerate(JAFFE_CODES):
            running = 7 * person + number + 1
            suffix = "png" if running == 9 else "tiff"
            save_face(root / f"{subject}.{code}1.{running}.{suffix}", running, 20)
    write_lines(root / "README_FIRST.txt", ["about"])
    return root


def kdef(root: Path) -> Path:
    """Four people, both sessions, every expression from two sides; one of the official broken names."""
    seed = 0
    for session in "AB":
        for person in ("F01", "F31", "M02", "M10"):
            for code in ("AF", "AN", "DI", "HA", "NE", "SA", "SU"):
                for side in ("S", "FL"):
                    name = f"{session}{person}{code}{side}.JPG"
                    save_face(root / f"{session}{person}" / name, seed, 20)
                    seed += 1
    save_face(root / "AF31" / "AF31V.JPG", seed, 20)
    return root


def mmi(root: Path) -> Path:
    """Sessions 2 to 8: the six emotions and another state, stills save for a clip with frames in session 2."""
    for number in range(7):
        session = root / "Sessions" / str(number + 2)
        stem = f"S{1 + number % 3:03d}-{number + 1:03d}"
        name = f"{stem}.avi" if number == 0 else f"{stem}.jpg"
        track = f'<session><track view="0" filename="{name}"/><annotation filename="{stem}.xml"/></session>'
        write_lines(session / "session.xml", ["<?xml version='1.0'?>", track])
        write_lines(
            session / f"{stem}.xml", [f'<annotation><Metatag Name="Emotion" Value="{number + 1}"/></annotation>']
        )
        markers = '<Marker Frame="1" Type="0"/><Marker Frame="2" Type="1"/><Marker Frame="3" Type="2"/>'
        markers += '<Marker Frame="5" Type="3"/><Marker Frame="6" Type="0"/>'
        unit = f'<ActionUnits><ActionUnit Number="12">{markers}</ActionUnit></ActionUnits>'
        write_lines(session / f"{stem}-oao_aucs.xml", [unit])
        if number == 0:
            (session / name).write_bytes(b"RIFF")
            for frame in range(1, 7):
                save_face(session / stem / f"{frame:04d}.png", frame, 20)
        else:
            save_face(session / name, 10 + number, 20)
    return root


def mmi_aue(root: Path) -> Path:
    """AUE-CRL's form, codes from 0."""
    folder = root / "Select_Frames"
    for split, codes in (("train", range(6)), ("val", range(6))):
        ids = [f"S00{1 if split == 'train' else 2}-{code}" for code in codes]
        for code, key in enumerate(ids):
            save_face(folder / "Imgs_x" / f"{key}.jpg", code, 20)
            write_lines(folder / "Emotions_x" / f"{key}.txt", [f"{code} 1 2"])
            write_lines(folder / "Landmarks_68_FAN" / f"{key}.txt", [f"{n} {n}" for n in range(68)])
        write_lines(folder / "list" / f"id_{split}_list_crossval0.txt", ids)
    return root


BP4D_HEADER = ["0", *(str(unit) for unit in range(1, 100))]


def bp4d_line(frame: int, **units: int) -> str:
    """A coded frame: 0 where nothing else is given, 9 from AU 40 on."""
    values = [units.get(f"au{unit}", 9 if unit >= 40 else 0) for unit in range(1, 100)]
    return ",".join(map(str, (frame, *values)))


def bp4d(root: Path) -> Path:
    """Three subjects, one a published part; frames 231 and 232 are coded, 230 is not, one number is not padded."""
    for seed, subject in enumerate(("F001", "M011", "F007")):
        for frame in (230, 231, 232):
            name = f"{frame}.jpg" if subject == "M011" else f"{frame:04d}.jpg"
            save_face(root / "2D" / subject / "T1" / name, 10 * seed + frame, 20)
        lines = [",".join(BP4D_HEADER), bp4d_line(231, au12=1, au4=9), bp4d_line(232, au6=1)]
        write_lines(root / "AUCoding" / "AU_OCC" / f"{subject}_T1.csv", lines)
        for unit in ("06", "10", "12", "14", "17"):
            path = root / "AU-Intensity-Codes3.0" / f"AU{unit}" / f"{subject}_T1_AU{unit}.csv"
            write_lines(path, ["231,3", "232,9"])
    return root


def bp4d_aue(root: Path) -> Path:
    """AUE-CRL's form; the second picture shows no unit."""
    for key, lines in (("F001_T1_0231", ["0 1", "11 1"]), ("M002_T2_1000", []), ("F018_T1_0005", ["2 9"])):
        save_face(root / "2D_img" / f"{key}.jpg", 1, 20)
        write_lines(root / "Annotations" / "AUs" / f"{key}.txt", lines)
        write_lines(root / "Annotations" / "Landmarks" / f"{key}.txt", [f"{n} {n}" for n in range(68)])
    write_lines(root / "list_experiment" / "id_fold1_2.txt", ["F001_T1_0231", "M002_T2_1000"])
    write_lines(root / "list_experiment" / "id_fold3.txt", ["F018_T1_0005"])
    return root


DISFA_UNITS = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)


def disfa(root: Path, *, frames: bool = True) -> Path:
    """Three subjects, one a published part, four frames each; SN003 has no file of AU 9."""
    for seed, subject in enumerate(("SN001", "SN003", "SN013")):
        for unit in DISFA_UNITS:
            if (subject, unit) != ("SN003", 9):
                lines = [f"{frame},{frame % 4 if unit == 12 else 0}" for frame in range(1, 5)]
                write_lines(root / "ActionUnit_Labels" / subject / f"{subject}_au{unit}.txt", lines)
        clip = root / "Videos_LeftCamera" / f"LeftVideo{subject}_comp.avi"
        clip.parent.mkdir(parents=True, exist_ok=True)
        clip.write_bytes(b"RIFF")
        for frame in range(1, 5) if frames else ():
            save_face(clip.with_suffix("") / f"{frame}.png", 10 * seed + frame, 20)
    return root
