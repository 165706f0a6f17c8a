"""Recipes: what is read is what was meant, and everything else is refused in one line that shows the way out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from openfer.cli.listing import known_recipes
from openfer.errors import ConfigError
from openfer.learn.method import build_method
from openfer.learn.recipe import Recipe, load_recipe, parse_recipe, same_recipe

MINIMAL: dict[str, Any] = {
    "method": {"name": "baseline"},
    "backbone": {"name": "resnet18"},
    "data": {"manifest": "some.parquet"},
}

shares = st.floats(0, 1)


def refused(values: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_recipe(values, "my.yaml")
    message = str(caught.value)
    assert "\n" not in message
    return message


def written(folder: Path, text: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@given(
    method=st.fixed_dictionaries({"smoothing": shares, "soft_targets": st.booleans()}),
    manifest=st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    flip=shares,
    affine=st.tuples(st.floats(0, 90), st.floats(0, 0.9), st.floats(0, 0.9)),
    steps=st.none() | st.integers(1, 10**6),
    ema=st.none() | st.floats(0.01, 0.99),
    lr=st.floats(1e-12, 1e3),
    arguments=st.dictionaries(st.text("abc_", min_size=1), st.integers() | st.booleans() | st.text("xyz")),
)
def test_a_recipe_survives_dictionary_and_yaml(
    method: dict[str, Any],
    manifest: str,
    flip: float,
    affine: tuple[float, float, float],
    steps: int | None,
    ema: float | None,
    lr: float,
    arguments: dict[str, Any],
) -> None:
    recipe = parse_recipe(
        {
            "method": {"name": "baseline", "fidelity": "released", **method},
            "backbone": {"name": "resnet18", "arguments": arguments},
            "data": {"manifest": manifest},
            "augment": {"flip": flip, "affine": list(affine)},
            "optim": {"lr": lr, "steps": steps or "none"},
            "run": {"ema": ema or "none"},
        },
        "r",
    )
    assert (recipe.optim.lr, recipe.augment.affine, recipe.data.manifest) == (lr, affine, manifest)
    assert parse_recipe(recipe.to_dict(), "r") == recipe
    again = parse_recipe(yaml.safe_load(recipe.to_yaml()), "r")
    assert again == recipe
    assert again.to_yaml() == recipe.to_yaml()  # what --resume compares


def test_sections_that_are_left_out_take_their_defaults() -> None:
    recipe = parse_recipe({**MINIMAL, "run": None}, "r")
    assert isinstance(recipe, Recipe)
    assert (recipe.optim.lr, recipe.augment.flip, recipe.run.ema, recipe.method.fidelity) == (
        1e-3,
        0.5,
        "none",
        "intended",
    )
    assert parse_recipe(yaml.safe_load(recipe.to_yaml()), "r").to_yaml() == recipe.to_yaml()


def test_texts_say_the_same_where_one_is_older_and_lacks_an_option() -> None:
    text = parse_recipe(MINIMAL, "recipe").to_yaml()
    values = yaml.safe_load(text)
    del values["data"]["drop_leaks"]
    assert same_recipe(yaml.safe_dump(values), text)
    values["data"]["holdout"] = 0.123
    assert not same_recipe(yaml.safe_dump(values), text)
    assert not same_recipe("no: recipe", text)


@pytest.mark.parametrize(("text", "value"), [("1e-3", 1e-3), ("3.0e-5", 3e-5), ("1", 1.0), ("'2e-2'", 2e-2)])
def test_numbers_as_yaml_gives_them_are_numbers(tmp_path: Path, text: str, value: float) -> None:
    path = written(tmp_path, f"{yaml.safe_dump(MINIMAL)}\noptim: {{lr: {text}}}\n")
    assert load_recipe(path).optim.lr == value
    assert load_recipe(path, [f"optim.weight_decay={text}"]).optim.weight_decay == value


@pytest.mark.parametrize(
    ("section", "key", "value"), [("optim", "steps", 7), ("run", "ema", 0.9), ("backbone", "output_stride", 16)]
)
def test_switches_are_a_number_or_the_word_none(section: str, key: str, value: float) -> None:
    for given_ in (value, "none"):
        recipe = parse_recipe({**MINIMAL, section: {**MINIMAL.get(section, {}), key: given_}}, "r")
        assert getattr(getattr(recipe, section), key) == given_
    message = refused({**MINIMAL, section: {**MINIMAL.get(section, {}), key: "off"}})
    assert message.startswith(f"my.yaml: {section}.{key}: ")
    assert "'none'" in message
    assert message.endswith("got 'off'")


@pytest.mark.parametrize(
    ("section", "key", "value", "says"),
    [
        ("optim", "lr", 0, "greater than 0, got 0"),
        ("optim", "lr", "fast", "valid number"),
        ("optim", "lr", None, "valid number"),
        ("optim", "batch", 0, "greater than or equal to 1"),
        ("optim", "batch", 1.5, "valid integer"),
        ("optim", "name", "adamm", "'adamw', 'adam', 'sgd' or 'adam_keras'"),
        ("augment", "flip", 1.01, "less than or equal to 1"),
        ("augment", "affine", [10, 0.1], "affine.2: Field required"),
        ("augment", "affine", [10, 0.1, 1.0], "less than 1"),
        ("augment", "rescale", 0, "greater than 0.05"),
        ("data", "holdout", 0.6, "less than or equal to 0.5"),
        ("data", "colour", "gray", "'grey' or 'rgb'"),
        ("run", "seed", -1, "greater than or equal to 0"),
        ("run", "ema", 1, "less than 1"),
        ("run", "tensorboard", "perhaps", "valid boolean"),
        ("backbone", "size", 8, "greater than or equal to 16"),
    ],
)
def test_a_value_out_of_range_is_named_with_what_is_allowed(section: str, key: str, value: Any, says: str) -> None:
    message = refused({**MINIMAL, section: {**MINIMAL.get(section, {}), key: value}})
    assert message.startswith(f"my.yaml: {section}.{key}")
    assert says in message
    assert message.endswith(f"got {value!r}")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"optim": {"learning_rat": 1}}, "my.yaml: optim.learning_rat: unknown key; known: accumulate, batch"),
        ({"optim": {"wieght_decay": 1}}, "my.yaml: optim.wieght_decay: unknown key; did you mean 'weight_decay'?"),
        ({"argument": {}}, "my.yaml: unknown section 'argument'; did you mean 'augment'?"),
        ({"optim": [1]}, "my.yaml: optim: expected 'key: value' pairs, got [1]"),
        ({"data": {}}, "my.yaml: data.manifest: Field required"),
        ({"data": None}, "my.yaml: the section 'data' is missing"),
        ({"backbone": "resnet18"}, "my.yaml: the section 'backbone' is missing or is not"),
        ({"method": {"smoothing": 0.1}}, "my.yaml: method.name is missing; `openfer methods` lists them"),
        ({"method": {"name": "baseline", "fidelity": "exact"}}, "expected intended or released, got 'exact'"),
    ],
)
def test_what_is_unknown_or_missing_is_refused(values: dict[str, Any], says: str) -> None:
    assert says in refused({**MINIMAL, **values})


@pytest.mark.parametrize("section", ["method", "backbone", "data"])
def test_a_recipe_needs_its_three_sections(section: str) -> None:
    assert f"the section '{section}' is missing" in refused({k: v for k, v in MINIMAL.items() if k != section})


@pytest.mark.parametrize(
    ("method", "says"),
    [
        ({"name": "basline"}, "unknown method 'basline'; did you mean 'baseline'?"),
        ({"name": "baseline", "smothing": 0.1}, "method.smothing: unknown key; did you mean 'smoothing'?"),
        ({"name": "baseline", "smoothing": 2}, "method.smoothing: Input should be less than or equal to 1, got 2"),
    ],
)
def test_the_method_checks_its_own_options(method: dict[str, Any], says: str) -> None:
    recipe = parse_recipe({**MINIMAL, "method": method}, "r")
    with pytest.raises(ConfigError) as caught:
        build_method(recipe.method)
    assert str(caught.value) == says


def test_overrides_change_add_and_open_sections(tmp_path: Path) -> None:
    path = written(tmp_path, yaml.safe_dump({**MINIMAL, "run": None}))
    overrides = ["optim.lr=1e-3", "augment.affine=[15,0.1,0.05]", "run.seed=3", "data.manifest=mini:84"]
    recipe = load_recipe(path, [*overrides, "backbone.arguments.in_chans=3", "method.smoothing=.2", "optim.lr=2e-3"])
    assert (recipe.optim.lr, recipe.augment.affine, recipe.run.seed) == (2e-3, (15, 0.1, 0.05), 3)
    assert (recipe.data.manifest, recipe.backbone.arguments) == ("mini:84", {"in_chans": 3})
    assert build_method(recipe.method).options.smoothing == 0.2


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("lr=1", "expected section.key=value, such as optim.lr=1e-3"),
        ("optim.lr", "expected section.key=value"),
        ("optim.=1", "expected section.key=value"),
        ("optim.lr=[1", "the value is not YAML"),
        ("backbone.name.first=1", "'name' is not a section"),
        ("optim.lrr=1", "optim.lrr: unknown key; did you mean 'lr'?"),
    ],
)
def test_a_bad_override_is_refused(tmp_path: Path, override: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_recipe(written(tmp_path, yaml.safe_dump(MINIMAL)), [override])
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"method: {name: baseline", "not YAML"),
        (b"\xff\xfe\x00", "not YAML"),
        (b"- method\n- data\n", "expected sections such as 'method:' and 'data:', got list"),
        (b"", "got NoneType"),
    ],
)
def test_a_file_that_is_no_recipe_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_recipe(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_recipe_says_where_to_find_some(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing\.yaml: no recipe \(No such file.*`openfer recipes` lists"):
        load_recipe(tmp_path / "nothing.yaml")


@pytest.mark.parametrize("name", known_recipes())
def test_every_recipe_that_comes_along_holds(name: str) -> None:
    path = known_recipes()[name]
    recipe = load_recipe(path)
    method = build_method(recipe.method)
    assert method.name == name.split("/")[0]
    assert parse_recipe(yaml.safe_load(recipe.to_yaml()), "r").to_yaml() == recipe.to_yaml()
    assert path.read_text(encoding="utf-8").startswith("# ")  # what `openfer recipes` says of it


def test_recipes_come_along() -> None:
    assert "baseline/smoke" in known_recipes()
