"""The JSON Schema of a spec, for editors: `zoo schema` prints it."""

from typing import Any

from zoo.contract.docstrings import meanings
from zoo.experiment.spec.grammar import Spec
from zoo.experiment.spec.names import all_names, domains_of
from zoo.registry import entries, resolve

__all__ = ["schema"]


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a spec: the grammar, and every estimator's parameters.

    Examples
    --------
    >>> from zoo.experiment.spec import schema
    >>> schema()["$defs"]["Spec"]["properties"]["task"]["enum"]
    ['auto', 'classification', 'regression']
    """
    definitions: dict[str, Any] = {}
    root = Spec.schema(definitions)
    names = all_names()
    summaries = {row["name"]: row["summary"] for row in entries()}
    definitions["Range"] = {
        "anyOf": [{"$ref": "#/$defs/Choices"}, {"$ref": "#/$defs/Between"}],
    }
    for title, some in (
        ("Item", names),
        ("Model", _able(names, MODELS)),
        ("Transformer", _able(names, STEPS)),
    ):
        definitions[title] = {
            "anyOf": [
                {"enum": some},
                {
                    "type": "object",
                    "minProperties": 1,
                    "maxProperties": 1,
                    "properties": {name: {"$ref": f"#/$defs/estimators/{name}"} for name in some},
                    "additionalProperties": False,
                },
            ]
        }
    definitions["estimators"] = {name: _estimator(name, summaries) for name in names}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "An experiment of the zoo",
        **root,
        "$defs": definitions,
    }


MODELS = ("classifier", "regressor")
STEPS = ("transformer",)


def _able(names: list[str], roles: tuple[str, ...]) -> list[str]:
    """Name the estimators that have one of the roles."""
    from sklearn.utils import all_estimators

    able = {cls for _, cls in all_estimators(type_filter=list(roles))}
    zoo = {row["name"] for row in entries() if {r.lower() for r in row["roles"]} & set(roles)}
    return [name for name in names if name in zoo or resolve(name) in able]


def _estimator(name: str, summaries: dict[str, str]) -> dict[str, Any]:
    cls = resolve(name)
    domains = domains_of(cls)
    says = meanings(cls) if hasattr(cls, "card") else {}
    properties: dict[str, Any] = {}
    for key, domain in domains.items():
        plain = dict(domain.schema)
        properties[key] = (
            {"anyOf": [plain, {"$ref": "#/$defs/Range"}, {"$ref": "#/$defs/Item"}]} if plain else {}
        )
        if key == "cv" and plain:
            properties[key]["anyOf"].append({"$ref": "#/$defs/Splitter"})
        if says.get(key):
            properties[key]["description"] = " ".join(says[key].split())
    found: dict[str, Any] = {
        "type": ["object", "null"],
        "properties": properties,
        "additionalProperties": False,
    }
    required = [key for key, domain in domains.items() if domain.required]
    if required:
        found |= {"type": "object", "required": required}
    summary = summaries.get(name) if hasattr(cls, "card") else (cls.__doc__ or "").strip().split("\n")[0]
    return found | ({"description": summary} if summary else {})
