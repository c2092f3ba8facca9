"""What the suite knows of an estimator before it asks: its input, roles and capabilities.

An estimator of the zoo says so on its card. Of a stranger, any estimator that follows scikit-learn's
conventions, scikit-learn's tags and the methods that are there say it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sklearn.utils import get_tags
from sklearn.utils.validation import has_fit_parameter

from zoo.contract.cards import Card
from zoo.contract.estimator import Estimator
from zoo.contract.inputs import Input, Table, Text
from zoo.contract.params import Field, fields_of

ROLE_OF_TYPE = {
    "classifier": "Classifier",
    "regressor": "Regressor",
    "outlier_detector": "Detector",
}


@dataclass(frozen=True)
class Subject:
    """An estimator as the suite sees it; ``card`` is None for a stranger."""

    input: Input
    roles: tuple[str, ...]
    capabilities: frozenset[str]
    needs_y: bool
    card: Card | None = None
    learns: tuple[str, ...] = ()
    fields: Mapping[str, Field] = field(default_factory=dict)
    excused: Mapping[str, str] = field(default_factory=dict)

    @property
    def stranger(self) -> bool:
        """Whether the estimator is not of the zoo."""
        return self.card is None


def subject_of(estimator: Any) -> Subject:
    """Read the card of an estimator of the zoo, the tags of any other."""
    if not isinstance(estimator, Estimator):
        return _stranger(estimator)
    cls = type(estimator)
    card = cls.card()
    return Subject(
        input=estimator.input,
        roles=card.roles,
        capabilities=frozenset(card.capabilities),
        needs_y=cls.target.required,
        card=card,
        learns=cls.learns,
        fields=fields_of(cls),
        excused=dict(cls.excused),
    )


def _stranger(estimator: Any) -> Subject:
    tags = get_tags(estimator)
    eats = tags.input_tags
    if not (eats.two_d_array or eats.string):
        raise TypeError(
            f"{type(estimator).__name__} takes neither tables nor documents, by its tags; the suite has no "
            "data for it."
        )
    roles = [ROLE_OF_TYPE[tags.estimator_type]] if tags.estimator_type in ROLE_OF_TYPE else []
    if hasattr(estimator, "transform"):
        roles.append("Transformer")
    can = {
        "sample_weight": has_fit_parameter(estimator, "sample_weight"),
        "partial_fit": hasattr(estimator, "partial_fit"),
        "sparse": eats.sparse,
        "missing_values": eats.allow_nan,
        "categories": eats.categorical,
        "multi_output": tags.target_tags.multi_output,
        "probabilities": hasattr(estimator, "predict_proba"),
    }
    return Subject(
        input=Table() if eats.two_d_array else Text(),
        roles=tuple(roles),
        capabilities=frozenset(name for name, has in can.items() if has),
        needs_y=tags.target_tags.required or tags.estimator_type in ("classifier", "regressor"),
        excused=dict(getattr(type(estimator), "excused", {})),
    )
