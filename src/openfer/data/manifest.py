"""The manifest: one Parquet file (or several) for any data set, one row a picture.

Columns: `image` struct{bytes, path} (exactly one is set; paths relative to the manifest), `label` name, `votes` (a
distribution over the label set), `split` (`train | validation | test`), `subject`, `group` (clip or sequence), `box`
[x, y, w, h] px, `points5` [5][2] px, `points5_status`, `landmarks68` [68][2] px, `aus` (action unit -> value),
`valence`, `arousal`, `status` (`ok` or why the row cannot be used), `source` (file and line). Absent knowledge is null,
absent columns are allowed. Coordinates are pixels of the stored picture; its EXIF orientation is not applied.

`openfer data prepare` adds: `landmarks_status` (`given | detected | uncertain | no_face | unreadable`),
`landmark_confidence` [68] and `landmark_quality`, 0 to 1, of landmarks that it found; `face`, `eyes` and `mouth`
(pictures as `image`: the aligned face, and patches of it); `au_locations` [34][2] in shares of that face's side, two
for each unit of `openfer.vision.au_locations.AUS`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from openfer.data.columns import column_of
from openfer.errors import DataError
from openfer.files import read_parquet, replacing
from openfer.labels import LabelSet
from openfer.records import OK, Box, Points5, as_points5
from openfer.vision.image import Picture, read_image

SPLITS = ("train", "validation", "test")
METADATA_KEY = b"openfer"
VERSION = 1
MINI = Path(__file__).parents[1] / "synth" / "mini.parquet"
"""The generated faces that come with the package; `mini` names them, `mini:COUNT` the first of them."""

PICTURES = ("image", "face", "eyes", "mouth")
"""The columns of pictures; paths in all of them are relative to the manifest."""

_picture = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_points = pa.list_(pa.list_(pa.float32()))
SCHEMA = pa.schema(
    [
        ("image", _picture),
        ("label", pa.string()),
        ("votes", pa.list_(pa.float32())),
        ("split", pa.string()),
        ("subject", pa.string()),
        ("group", pa.string()),
        ("box", pa.list_(pa.float32())),
        ("points5", _points),
        ("points5_status", pa.string()),
        ("landmarks68", _points),
        ("landmarks_status", pa.string()),
        ("landmark_confidence", pa.list_(pa.float32())),
        ("landmark_quality", pa.float32()),
        ("au_locations", _points),
        ("face", _picture),
        ("eyes", _picture),
        ("mouth", _picture),
        ("aus", pa.map_(pa.string(), pa.float32())),
        ("valence", pa.float32()),
        ("arousal", pa.float32()),
        ("status", pa.string()),
        ("source", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a manifest comes from; kept in the file's metadata.

    Args:
        layout: the reader's name.
        reader: version of the program that read it.
        rule: how labels were made from what is on disk, such as `majority`.
        command: the command that wrote it.
        notes: what the reader found worth saying, a line each.
    """

    layout: str
    reader: str = ""
    rule: str = "as given"
    command: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Manifest:
    """A data set in memory: the table (pictures stay encoded), its labels and its origin."""

    table: pa.Table
    labels: LabelSet
    origin: Origin
    root: Path = field(default_factory=Path)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def has(self, column: str) -> bool:
        """Whether any row knows something in this column."""
        return column in self.table.column_names and self.table[column].null_count < len(self)

    def column(self, name: str) -> list[Any]:
        """A column as Python values, None where unknown; all None for an absent column."""
        return self.table[name].to_pylist() if name in self.table.column_names else [None] * len(self)

    def value(self, row: int, column: str) -> Any:
        """One cell as a Python value; None where unknown, or where the column is absent."""
        return self.table[column][row].as_py() if column in self.table.column_names else None

    def select(self, split: str | None = None, *, usable: bool = True) -> Manifest:
        """The rows of one split (None: all); without `usable` also those whose status is not `ok`.

        Raises:
            DataError: no row is left.
        """
        mask = np.ones(len(self), dtype=bool)
        if split is not None:
            mask &= np.array([value == split for value in self.column("split")], dtype=bool)
            if not mask.any():
                found = sorted({value for value in self.column("split") if value})
                raise DataError(f"split '{split}': no rows; this manifest has {', '.join(found) or 'no splits'}")
        if usable:
            mask &= np.array([value in (OK, None) for value in self.column("status")], dtype=bool)
        chosen = self.rows(np.flatnonzero(mask))
        if not len(chosen):
            raise DataError(f"split '{split}': all its rows have a status other than 'ok'; see `openfer data check`")
        return chosen

    def rows(self, indices: NDArray[np.int64]) -> Manifest:
        """The rows with these numbers, in this order."""
        return replace(self, table=self.table.take(pa.array(indices)))

    def of_classes(self, names: Sequence[str]) -> Manifest:
        """The rows of some classes, as if there were no others.

        Votes for other classes are taken away and the rest sums to 1 again; the origin's rule says so.

        Args:
            names: two or more of the label set, in any order; columns keep theirs.

        Raises:
            DataError: an unknown name, fewer than two, or no row of them.
        """
        columns = sorted(self.labels.index(name) for name in set(names))
        if len(columns) < 2:
            raise DataError(f"classes: expected two or more names, got {', '.join(names) or 'none'}")
        labels = LabelSet(self.labels.name, tuple(self.labels.names[column] for column in columns))
        kept = self.rows(np.flatnonzero(np.isin(self.label_indices(), columns)))
        if not len(kept):
            raise DataError(f"classes: no row of {', '.join(labels)}")
        rule = f"{self.origin.rule}; only {', '.join(labels)}"
        result = replace(kept, labels=labels, origin=replace(self.origin, rule=rule))
        if not self.has("votes"):
            return result
        votes = [None if row is None else np.array(row)[columns] for row in kept.column("votes")]
        shares = [None if row is None or not row.sum() else (row / row.sum()).tolist() for row in votes]
        return result.with_column("votes", shares)

    def with_column(self, name: str, values: Sequence[Any] | pa.ChunkedArray) -> Manifest:
        """A copy in which one column of the schema has these values."""
        known = isinstance(values, pa.ChunkedArray)
        column = values if known else column_of(values, SCHEMA.field(name).type)
        names = self.table.column_names
        table = (
            self.table.set_column(names.index(name), name, column)
            if name in names
            else self.table.append_column(name, column)
        )
        return replace(self, table=table)

    def with_paths(self, change: Callable[[str], str]) -> Manifest:
        """A copy in which the path of every picture is changed."""
        result = self
        for column in (name for name in PICTURES if name in self.table.column_names):
            if pc.struct_field(self.table[column], "path").null_count == len(self):
                continue  # all are embedded
            values = [
                image if image is None or image["path"] is None else {"bytes": None, "path": change(image["path"])}
                for image in self.column(column)
            ]
            result = result.with_column(column, values)
        return result

    def encoded(self, row: int, column: str = "image") -> bytes:
        """A row's picture as the bytes of its file. Raises `DataError` where there is none or it cannot be read."""
        image = self.value(row, column)
        if image is None:
            raise DataError(f"no picture in column '{column}'; `openfer data prepare` makes face, eyes and mouth")
        if image["bytes"] is not None:
            return bytes(image["bytes"])
        path: Path = self.root / image["path"]
        try:
            if path.exists() and not path.is_file():  # a pipe might never end
                raise DataError(f"{path}: not a regular file")
            return path.read_bytes()
        except OSError as error:
            raise DataError(f"{path}: {error.strerror or error}") from error

    def picture(self, row: int, column: str = "image") -> Picture:
        """A row's picture, uint8 [H, W, 3] RGB. Raises `DataError` naming the picture where it cannot be decoded."""
        try:
            return read_image(self.encoded(row, column), orient=False)
        except DataError as error:
            raise DataError(f"row {row} ({self.name(row)}): {error}") from error

    def name(self, row: int) -> str:
        """What a person would call the row: its path, else its source, else its number."""
        return str(self.value(row, "image")["path"] or self.value(row, "source") or row)

    def points5(self, row: int) -> Points5 | None:
        """The row's five points, pixels; None where unknown.

        Raises:
            DataError: they are not five; the message is the reason alone, without the row.
        """
        values = self.value(row, "points5")
        if values is None:
            return None
        try:
            return as_points5(values)
        except ValueError as error:
            raise DataError(str(error)) from error
        except (TypeError, IndexError) as error:
            raise DataError("points5: expected pairs of numbers") from error

    def landmarks68(self, row: int) -> NDArray[np.float64] | None:
        """The row's landmarks [68, 2], pixels; None where unknown.

        Raises:
            DataError: they are not 68 points; the message is the reason alone, without the row.
        """
        values = self.value(row, "landmarks68")
        if values is None:
            return None
        try:
            points = np.array(values, dtype=np.float64)
        except (ValueError, TypeError) as error:
            raise DataError("landmarks68: expected pairs of numbers") from error
        if points.shape != (68, 2) or not np.isfinite(points).all():
            raise DataError(f"landmarks68: expected 68 finite points, got an array of shape {points.shape}")
        return points

    def box(self, row: int) -> Box | None:
        """The row's face box, pixels; None where unknown.

        Raises:
            DataError: it is not a box; the message is the reason alone, without the row.
        """
        values = self.value(row, "box")
        if values is None:
            return None
        if len(values) != 4 or None in values:
            raise DataError(f"box: expected x, y, w, h, got {values}")
        try:
            return Box(x=values[0], y=values[1], w=values[2], h=values[3])
        except ValueError as error:
            raise DataError(str(error)) from error

    def label_indices(self) -> NDArray[np.int64]:
        """Columns of the labels in the label set, [N]; -1 where a row has no label."""
        position = {name: index for index, name in enumerate(self.labels)}
        return np.array([-1 if name is None else position[name] for name in self.column("label")], dtype=np.int64)

    def targets(self) -> NDArray[np.float32]:
        """Target distributions [N, K]: the votes where a row has them, else one-hot; all 0 without a label."""
        indices = self.label_indices()
        result = np.zeros((len(self), len(self.labels)), dtype=np.float32)
        known = np.flatnonzero(indices >= 0)
        result[known, indices[known]] = 1.0
        for row, votes in enumerate(self.column("votes")):
            if votes is not None:
                result[row] = np.asarray(votes, dtype=np.float32)
        return result

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the rows' pictures (bytes or relative paths), labels, votes, splits and statuses."""
        result = hashlib.sha256(json.dumps(self.labels.names).encode())
        columns = [self.column(name) for name in ("image", "label", "votes", "split", "status")]
        for image, *rest in zip(*columns, strict=True):
            result.update(image["bytes"] if image["bytes"] is not None else image["path"].encode())
            result.update(json.dumps(rest).encode())
        return result.hexdigest()


def build_manifest(rows: Sequence[Mapping[str, Any]], labels: LabelSet, origin: Origin, root: Path) -> Manifest:
    """A manifest from plain rows (column -> value); columns that no row has are left out.

    Raises:
        DataError: a row has an unknown column, a label outside the label set, a split that is none, votes of another
            length, or not exactly one of `image.bytes` and `image.path`.
    """
    names = [name for name in SCHEMA.names if any(row.get(name) is not None for row in rows)]
    for number, row in enumerate(rows):
        unknown = set(row) - set(SCHEMA.names)
        if unknown:
            raise DataError(f"row {number}: unknown column '{min(unknown)}'; columns are {', '.join(SCHEMA.names)}")
    columns = {name: column_of([row.get(name) for row in rows], SCHEMA.field(name).type) for name in names}
    manifest = Manifest(pa.table(columns), labels, origin, root)
    _validate(manifest, "manifest")
    return manifest


def write_manifest(manifest: Manifest, path: Path) -> None:
    """Write a manifest; the file is the old one or the new one at every moment.

    Paths of pictures are kept as they are: they must be relative to the folder of `path`, or absolute.
    """
    info = {"version": VERSION, "label_set": manifest.labels.name, "labels": list(manifest.labels.names)}
    info |= asdict(manifest.origin)
    table = manifest.table.replace_schema_metadata({METADATA_KEY: json.dumps(info).encode()})
    with replacing(path) as beside:
        pq.write_table(table, beside, compression="zstd")


def load_manifest(*paths: str | Path) -> Manifest:
    """Read a manifest, or several with the same label set as one.

    Args:
        paths: of the files; the word `mini` is the set of generated faces that comes with the package, and `mini:COUNT`
            its first rows.

    Raises:
        DataError: missing, not Parquet, not a manifest, or its contents break the contract.
    """
    parts = [
        _load_mini(str(path)) if str(path).partition(":")[0] == "mini" else _load_one(Path(path)) for path in paths
    ]
    if not parts:
        raise DataError("no manifest was named")
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    for part, path in zip(parts, paths, strict=True):
        if part.labels.names != first.labels.names:
            raise DataError(f"{path}: its label set '{part.labels.name}' is not that of {paths[0]}")
    tables = [_absolute(part) for part in parts]
    return replace(first, table=pa.concat_tables(tables, promote_options="default"), root=Path())


def _load_mini(name: str) -> Manifest:
    mini, (_, colon, count) = _load_one(MINI), name.partition(":")
    if not colon:
        return mini
    if not count.isdecimal() or not 1 <= int(count) <= len(mini):
        raise DataError(f"{name}: expected mini:COUNT with a COUNT from 1 to {len(mini)}, or mini for all")
    return mini.rows(np.arange(int(count)))


def _load_one(path: Path) -> Manifest:
    table = read_parquet(path, absent="no such manifest; make one with `openfer data scan`")
    raw = (table.schema.metadata or {}).get(METADATA_KEY)
    if raw is None:
        raise DataError(f"{path}: a Parquet file without OpenFER's label set; make it with `openfer data scan`")
    info = json.loads(raw)
    if info.get("version") != VERSION:
        raise DataError(f"{path}: manifest version {info.get('version')}, this program reads {VERSION}; scan it again")
    origin = Origin(
        **{key: info[key] for key in ("layout", "reader", "rule", "command")}, notes=tuple(info.get("notes", ()))
    )
    manifest = Manifest(table, LabelSet(info["label_set"], tuple(info["labels"])), origin, path.parent)
    _validate(manifest, str(path))
    return manifest


def _absolute(manifest: Manifest) -> pa.Table:
    return manifest.with_paths(lambda path: str((manifest.root / path).absolute())).table


def _validate(manifest: Manifest, name: str) -> None:
    table, labels = manifest.table, manifest.labels
    if "image" not in table.column_names or "split" not in table.column_names:
        raise DataError(f"{name}: expected the columns 'image' and 'split', got {', '.join(table.column_names)}")
    for split in pc.unique(table["split"]).to_pylist():
        if split not in (*SPLITS, None):
            raise DataError(f"{name}: unknown split '{split}'; expected {', '.join(SPLITS)}")
    if "label" in table.column_names:
        for label in pc.unique(table["label"]).to_pylist():
            if label is not None:
                labels.index(label)
    if "votes" in table.column_names:
        lengths = set(pc.unique(pc.list_value_length(table["votes"])).to_pylist()) - {None, len(labels)}
        if lengths:
            raise DataError(f"{name}: votes of length {min(lengths)}; the label set has {len(labels)} names")
    given = [pc.is_valid(pc.struct_field(table["image"], part)) for part in ("bytes", "path")]
    wrong = pc.invert(pc.xor(*given)).to_numpy()
    if wrong.any():
        raise DataError(f"{name}: row {int(np.argmax(wrong))}: exactly one of image.bytes and image.path must be set")
