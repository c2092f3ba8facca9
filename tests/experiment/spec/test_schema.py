import importlib.util
import json
from pathlib import Path

import jsonschema
import pytest

from zoo import registry
from zoo.experiment.spec import schema
from zoo.experiment.spec.names import all_names
from zoo.experiment.spec.text import read_text

ROOT = Path(__file__).parents[3]
path = Path(__file__).with_name("test_damage.py")
found = importlib.util.spec_from_file_location("damage", path)
damage = importlib.util.module_from_spec(found)
found.loader.exec_module(damage)


@pytest.fixture(scope="module")
def validator():
    found = schema()
    jsonschema.Draft202012Validator.check_schema(found)
    return jsonschema.Draft202012Validator(json.loads(json.dumps(found)))


@pytest.mark.parametrize("good", damage.GOOD)
def test_good_specs_are_valid(good, validator):
    validator.validate(damage.GOOD[good])


@pytest.mark.parametrize(
    "name", ["quickstart.yaml", "specs/adult.yaml", "specs/california.yaml", "specs/titanic.yaml"]
)
def test_examples_are_valid(name, validator):
    validator.validate(read_text((ROOT / "examples" / name).read_bytes(), name).value)


def test_most_damage_is_seen_by_an_editor_too(validator):
    seen = total = 0
    for name, text in list(damage.DAMAGED.items())[::6]:
        try:
            value = read_text(text, name).value
        except ValueError:
            continue
        total += 1
        seen += not validator.is_valid(value)
    assert seen / total > 0.7
    for name in (
        "plain: key models/1/SVC misspelt",
        "plain: value task misspelt",
        "metrics = ['accurcy'] (0)",
    ):
        assert not validator.is_valid(read_text(damage.DAMAGED[name], name).value)


def test_one_entry_per_estimator(validator):
    entries = validator.schema["$defs"]["estimators"]
    assert set(entries) == set(all_names())
    for row in registry.entries(role="classifier"):
        card = registry.card(row["name"])
        properties = entries[row["name"]]["properties"]
        assert set(properties) == {p.name for p in card.parameters}
        assert entries[row["name"]]["description"] == row["summary"]
        assert all("description" in properties[p.name] for p in card.parameters if p.meaning)


def test_models_and_steps_are_told_apart(validator):
    good = {"data": {"sklearn": "load_iris"}, "models": ["SVC"], "steps": ["StandardScaler"]}
    validator.validate(good)
    assert not validator.is_valid(good | {"models": ["StandardScaler"]})
    assert not validator.is_valid(good | {"steps": ["SVC"]})
