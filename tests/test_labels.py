"""Labels travel by name: order and conversion never rest on numbers."""

from __future__ import annotations

import pytest

from openfer.errors import ConfigError, DataError
from openfer.labels import LABEL_SETS, LabelSet, action_unit, basic_order, canonical, label_set


def test_conversion_is_by_name() -> None:
    source, target = label_set("ferplus"), label_set("fer2013")
    columns = source.columns_for(target)
    assert [source.names[column] for column in columns] == list(target)
    assert columns == [4, 5, 6, 1, 3, 2, 0]


def test_a_name_without_counterpart_is_an_error_that_names_it() -> None:
    with pytest.raises(DataError, match="no counterpart for contempt of 'ferplus'"):
        label_set("fer2013").columns_for(label_set("ferplus"))


def test_the_intersection_keeps_the_first_sets_order() -> None:
    both = LabelSet("a", ("x", "y", "z")).intersection(LabelSet("b", ("z", "q", "x")))
    assert both.names == ("x", "z")
    with pytest.raises(DataError, match="share 1 names"):
        LabelSet("a", ("x", "y")).intersection(LabelSet("b", ("x", "z")))


def test_index_of_an_unknown_name_hints() -> None:
    assert label_set("rafdb").index("anger") == 5
    with pytest.raises(DataError, match="did you mean 'happiness'"):
        label_set("rafdb").index("hapiness")


@pytest.mark.parametrize("names", [(), ("",), ("a", "b", "a")])
def test_empty_and_doubled_names_are_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError):
        LabelSet("own", names)


def test_sets_are_found_by_name_or_written_out() -> None:
    assert label_set("awake, tired").names == ("awake", "tired")
    with pytest.raises(ConfigError, match="did you mean 'ferplus'"):
        label_set("fer_plus")


def test_every_basic_set_holds_basic_names() -> None:
    basic = set(label_set("basic8"))
    for name, labels in LABEL_SETS.items():
        assert name == "rafdb_compound" or labels.of_action_units or set(labels) <= basic


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("ckplus", "anger", "surprise"),
        ("ckplus_neutral", "neutral", "surprise"),
        ("expw", "anger", "neutral"),
        ("kdef", "fear", "surprise"),
        ("mmi", "anger", "surprise"),
        ("bp4d", "AU1", "AU24"),
        ("disfa", "AU1", "AU26"),
    ],
)
def test_the_order_is_the_owners(name: str, first: str, last: str) -> None:
    assert (label_set(name).names[0], label_set(name).names[-1]) == (first, last)


def test_hyphens_read_as_underscores_and_units_are_no_classes() -> None:
    assert label_set("rafdb-compound") is LABEL_SETS["rafdb_compound"]
    assert label_set("disfa").of_action_units
    assert not label_set("ckplus").of_action_units
    assert canonical("AU1") is None


@pytest.mark.parametrize(
    ("word", "name"),
    [("Happy", "happiness"), (" SAD ", "sadness"), ("sadly-angry", "sadly_angry"), ("fear", "fear"), ("tired", None)],
)
def test_words_as_people_write_them(word: str, name: str | None) -> None:
    assert canonical(word) == name


def test_basic_order_puts_others_last_by_alphabet() -> None:
    assert basic_order(["zeal", "anger", "awe", "neutral"]) == ("neutral", "anger", "awe", "zeal")


@pytest.mark.parametrize("word", [12, "12", "AU12", "au12", "Lip corner puller", "lip_corner_puller"])
def test_an_action_unit_is_found_by_its_number_and_its_name(word: int | str) -> None:
    assert action_unit(word) == 12


@pytest.mark.parametrize("word", [3, "AU3", "lip corner", ""])
def test_an_unknown_action_unit_is_refused(word: int | str) -> None:
    with pytest.raises(ConfigError, match="unknown action unit"):
        action_unit(word)
