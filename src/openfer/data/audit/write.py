"""An audit as files: `audit.json` for programs, by row number, and `audit.html` for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from openfer import __version__
from openfer.data.audit import copies, hashes, quality
from openfer.data.audit.clean import DROPS
from openfer.data.audit.page import audit_page
from openfer.data.audit.record import Audit
from openfer.data.manifest import Manifest
from openfer.pages.documents import Content, write_documents

FORMAT = 1
JSON, PAGE = "audit.json", "audit.html"


def write_audit(
    manifest: Manifest,
    found: Audit,
    folder: Path,
    *,
    dropped: Mapping[int, str] | None = None,
    keep: str = "",
    command: str = "",
) -> None:
    """Write both files into a folder, each whole or not at all.

    Args:
        manifest: what was audited; its pictures are shown.
        found: the findings.
        folder: made where it is missing.
        dropped: row -> why a cleaned manifest leaves it out; None where none is written.
        keep: which side of a leak stays whole in it.
        command: what was asked for.

    Raises:
        DataError: the folder cannot be written to.
    """
    values = audit_values(manifest, found, dropped=dropped, keep=keep, command=command)
    contents: dict[str, Content] = {
        JSON: _lines(values).encode(errors="backslashreplace"),
        PAGE: audit_page(manifest, found, dropped=dropped, keep=keep, command=command),
    }
    write_documents(folder, contents)


def audit_values(
    manifest: Manifest,
    found: Audit,
    *,
    dropped: Mapping[int, str] | None = None,
    keep: str = "",
    command: str = "",
) -> dict[str, Any]:
    """Everything in numbers, for JSON; rows are numbers in the manifest, from 0."""
    looks, pairs = found.looks, found.pairs
    return {
        "format": FORMAT,
        "version": __version__,
        "command": command,
        "manifest": manifest.digest,
        "layout": manifest.origin.layout,
        "rule": manifest.origin.rule,
        "settings": {
            "near": found.searched,
            "hash": f"signs of the {hashes.BITS} lowest DCT frequencies of {hashes.SIDE} x {hashes.SIDE} grey pixels",
            "inner": hashes.INNER,
            "max_distance": copies.MAX_DISTANCE,
            "min_correlation": copies.MIN_CORRELATION,
            "max_shift": copies.MAX_SHIFT,
            "black": quality.BLACK,
            "blank": quality.BLANK,
            "dark": quality.DARK,
            "blurred": quality.BLURRED,
            "small": quality.SMALL,
        },
        "rows": found.rows,
        "counts": found.counts,
        "bad": [asdict(one) for one in found.bad],
        "leaks": [asdict(one) for one in found.leaks],
        "contradictions": [asdict(one) for one in found.contradictions],
        "exact": [group.tolist() for group in found.groups],
        "near": [
            dict(zip(("first", "second", "distance", "correlation", "mirrored"), values, strict=True))
            for values in zip(
                pairs.first.tolist(),
                pairs.second.tolist(),
                pairs.distance.tolist(),
                [round(value, 4) for value in pairs.correlation.tolist()],
                pairs.mirrored.tolist(),
                strict=True,
            )
        ],
        "poor": {name: rows.tolist() for name, rows in found.poor.items()},
        "left_out": None
        if dropped is None
        else {"kept_whole": keep, "reasons": DROPS, "rows": [[row, why] for row, why in dropped.items()]},
        "measures": {
            "columns": ["row", "hash", "width", "height", "brightness", "contrast", "sharpness"],
            "rows": [
                [row, code, *size, round(bright, 1), round(contrast, 2), round(sharp, 4)]
                for row, (code, size, bright, contrast, sharp) in enumerate(
                    zip(
                        _codes(found),
                        looks.sizes.tolist(),
                        looks.brightness.tolist(),
                        looks.contrast.tolist(),
                        looks.sharpness.tolist(),
                        strict=True,
                    )
                )
            ],
        },
    }


def _codes(found: Audit) -> list[str | None]:
    """The hash of each row's whole picture, hexadecimal; None where there is none."""
    return [
        code.tobytes().hex() if number >= 0 else None
        for number, code in zip(found.content.tolist(), found.hashed, strict=True)
    ]


def _lines(values: Mapping[str, Any]) -> str:
    """JSON in which each member of a long list has a line of its own: readable, and a third of the usual size."""
    parts = [f"{json.dumps(name)}: {_value(value, 1)}" for name, value in values.items()]
    return "{\n  " + ",\n  ".join(parts) + "\n}\n"


def _value(value: Any, depth: int) -> str:
    inner = "  " * (depth + 1)
    if isinstance(value, dict) and depth < 2 and any(isinstance(part, dict | list) for part in value.values()):
        parts = [f"{json.dumps(name)}: {_value(part, depth + 1)}" for name, part in value.items()]
        return "{\n" + inner + f",\n{inner}".join(parts) + "\n" + inner[:-2] + "}"
    if isinstance(value, list) and any(isinstance(part, dict | list) for part in value):
        parts = [json.dumps(part, ensure_ascii=False, allow_nan=False) for part in value]
        return "[\n" + inner + f",\n{inner}".join(parts) + "\n" + inner[:-2] + "]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
