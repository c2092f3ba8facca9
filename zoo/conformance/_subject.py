"""What the suite knows of an estimator before it asks: its input, roles and capabilities.

An estimator of the zoo says so on its card. Of a stranger, any estimator that follows scikit-learn's
conventions, scikit-learn's tags and the methods that are there say it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sklearn.utils import get_tags
from sklearn.utils.validation import has_fit_parameter

from zoo.conformance._toys import shared
from zoo.contract.cards import Card
from zoo.contract.estimator import Estimator
from zoo.contract.inputs import Held, Input, Table, Text
from zoo.contract.params import Field, fields_of
from zoo.contract.targets import Labels, Nothing, Numbers, Target
from zoo.contract.wrapper import Wrapper

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
    target: Target = field(default_factory=Nothing)
    card: Card | None = None
    learns: tuple[str, ...] = ()
    fields: Mapping[str, Field] = field(default_factory=dict)
    excused: Mapping[str, str] = field(default_factory=dict)

    @property
    def stranger(self) -> bool:
        """Whether the estimator is not of the zoo."""
        return self.card is None

    @property
    def known_to_sklearn(self) -> bool:
        """Whether X and y are such as scikit-learn's own checks give."""
        shaped = isinstance(self.target, Numbers) and self.target.shape is not None
        return self.input.two_d_array and not isinstance(self.input, Held) and not shaped


def subject_of(estimator: Any) -> Subject:
    """Read the card of an estimator of the zoo, the tags of any other."""
    if not isinstance(estimator, Estimator):
        return _stranger(estimator)
    if isinstance(estimator, Wrapper):
        return _holding(estimator)
    cls = type(estimator)
    card = cls.card()
    return Subject(
        input=estimator.input,
        roles=card.roles,
        capabilities=frozenset(card.capabilities),
        needs_y=cls.target.required,
        target=cls.target,
        card=card,
        learns=cls.learns,
        fields=fields_of(cls),
        excused=dict(cls.excused),
    )


# What a fit can do; all else a wrapper can as far as what it holds can.
OF_A_FIT = frozenset({"sample_weight", "validation_data", "partial_fit", "callbacks"})
OF_A_PARAMETER = frozenset({"gpu", "early_stopping", "warm_start"})


def _holding(estimator: Any) -> Subject:
    """See a wrapper as what it holds; around a fitted estimator, whose data are past, as a wrapper only."""
    cls = type(estimator)
    card = cls.card()
    held = subject_of(estimator._base())
    fits = shared(estimator) == frozenset()
    own = frozenset(card.capabilities) & OF_A_FIT
    if "sample_weight" in own and "sample_weight" not in held.capabilities:
        own -= {"sample_weight"}
    return Subject(
        input=held.input if fits else estimator.input,
        roles=(*card.roles, *(held.roles if fits else ())),
        capabilities=own | (held.capabilities - OF_A_FIT - OF_A_PARAMETER if fits else frozenset()),
        needs_y=held.needs_y,
        target=held.target,
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
        target=Labels() if tags.estimator_type == "classifier" else Numbers(),
        roles=tuple(roles),
        capabilities=frozenset(name for name, has in can.items() if has),
        needs_y=tags.target_tags.required or tags.estimator_type in ("classifier", "regressor"),
        excused=dict(getattr(type(estimator), "excused", {})),
    )
