"""From a spec to objects and back: candidates, plan, the spec with everything chosen written out."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from zoo.contract.params import did_you_mean
from zoo.experiment.spec.data import Data
from zoo.experiment.spec.forms import Place
from zoo.experiment.spec.grammar import (
    Backend,
    Cluster,
    Columns,
    Contender,
    DataSource,
    Folds,
    Search,
    Spec,
    TestData,
    Workers,
)
from zoo.experiment.spec.names import (
    Item,
    Splitter,
    domains_of,
    item_of,
    range_of,
    response_of,
    space_of,
    splitter_of,
    task_of,
    task_of_metric,
)
from zoo.experiment.spec.steps import auto_steps, make_steps, ranges_in
from zoo.experiment.spec.text import SpecError, short
from zoo.registry import matching
from zoo.search import Candidate, Plan, Range, auto_space

__all__ = ["candidates", "check", "of", "plan", "resolved"]

# What `models: auto` and `zoo new` try, in this order, where `zoo.matching` names it.
PREFERRED = (
    "BoostingClassifier", "RandomForestClassifier", "LogisticRegression", "SVC", "MLPClassifier",
    "ConvNetClassifier", "BoostingRegressor", "RandomForestRegressor", "Ridge", "SVR", "MLPRegressor",
    "ConvNetRegressor",
)  # fmt: skip
# A kernel machine looks at every pair of rows.
ROWS_FOR_KERNELS = 20_000
LARGEST_GRID = 100_000


# -- what can be said before the data are read --------------------------------------------------------


def check(spec: Spec) -> None:
    """Check what no single key can tell, before any data is read."""
    needs_folder_only = spec.given is not None and not _is_folder(spec.given)
    if spec.data.format is None and not needs_folder_only:
        raise spec.at("data").error(
            f"no key says where the rows come from; give one of {', '.join(DataSource.FORMATS)}."
        )
    if spec.data.format is not None and needs_folder_only:
        raise spec.at("data", spec.data.format).error("data= gives the rows already; delete this key.")
    if spec.task != "auto":
        for i, model in enumerate(models_of(spec)):
            _check_task(model.model, spec.task, spec.at("models", i))
        for i, metric in enumerate(spec.metrics if spec.metrics != "auto" else ()):
            _check_metric_task(metric, spec.task, spec.at("metrics", i))
    for model in models_of(spec):
        for j, metric in enumerate(spec.metrics if spec.metrics != "auto" else ()):
            _check_response(model.model, metric, spec.at("metrics", j))
    if isinstance(spec.cv, Splitter) and "Group" in spec.cv.name and spec.data.groups is None:
        raise spec.at("cv").error(f"{spec.cv.name} needs groups; name their column under data: groups.")
    if isinstance(spec.test, TestData) and spec.data.format not in ("csv", "parquet"):
        raise spec.at("test").error("a file of its own needs data from csv or parquet; give a fraction.")
    has_ranges = _states_ranges(spec)
    if spec.search == "none" and has_ranges:
        raise spec.at("search").error(
            "the models hold ranges, which need a search; write auto, or delete this."
        )
    labels_of(spec)


def _is_folder(given: Any) -> bool:
    from pathlib import Path

    return isinstance(given, Path)


def models_of(spec: Spec) -> list[Contender]:
    """Return the models, each with its own section; none for ``auto``."""
    if spec.models == "auto":
        return []
    return [m if isinstance(m, Contender) else Contender(model=m) for m in spec.models]


def labels_of(spec: Spec) -> list[str]:
    """Return a different name for each model: as given, or the method's, numbered where it repeats."""
    labels: list[str] = []
    models = models_of(spec)
    given = [m.name for m in models if m.name is not None]
    for i, model in enumerate(models):
        if model.name is not None:
            if model.name in labels or (
                given.count(model.name) > 1 and model.name in given[: given.index(model.name)]
            ):
                raise spec.at("models", i, "name").error(
                    f"another model is called {model.name!r} already; give it another name."
                )
            labels.append(model.name)
            continue
        name, n = model.model.name, 2
        while name in labels or name in given:
            name, n = f"{model.model.name} {n}", n + 1
        labels.append(name)
    return labels


def _states_ranges(spec: Spec) -> bool:
    shared = isinstance(spec.steps, tuple) and ranges_in(spec.steps)
    return shared or any(
        m.model.space()
        or isinstance(m.search, Mapping)
        or (isinstance(m.steps, tuple) and ranges_in(m.steps))
        for m in models_of(spec)
    )


def _check_task(item: Item, task: str, place: Place) -> None:
    found = task_of(item.make())
    if found != task:
        verb = {"classification": "a classifier", "regression": "a regressor"}
        raise place.error(
            f"{item.name} is {verb[str(found)]}, but the task is {task}; name {verb[task]}, or change "
            "the task."
        )


def _check_metric_task(metric: str, task: str, place: Place) -> None:
    found = task_of_metric(metric)
    if found not in (None, task):
        raise place.error(f"{metric} scores a {found}, but the task is {task}; name another metric.")


def _check_response(item: Item, metric: str, place: Place) -> None:
    """Refuse a metric of probabilities for a model that has none."""
    needed = response_of(metric)
    made = item.make()
    if task_of(made) == "classification" and not any(hasattr(made, method) for method in needed):
        raise place.error(
            f"{metric} needs {' or '.join(needed)}, which {item.name} does not have; name another metric, or "
            "another model."
        )


# -- with the data --------------------------------------------------------------------------------------


def _chosen_models(spec: Spec, data: Data) -> list[Contender]:
    if spec.models != "auto":
        return models_of(spec)
    import numpy as np

    pictures = data.image_shape is not None
    like = np.zeros((2, *data.image_shape)) if data.image_shape is not None else np.zeros((2, 2))
    fits = {*matching(like, data.y), *(matching(np.zeros((2, 2)), data.y) if pictures else ())}
    names = [
        name
        for name in PREFERRED
        if name in fits
        and task_of(Item(name).make()) == data.task
        and not (name in ("SVC", "SVR") and len(data.y) > ROWS_FOR_KERNELS)
        and (pictures or not name.startswith("ConvNet"))
    ]
    return [Contender(model=Item(name)) for name in names]


def _steps_for(spec: Spec, model: Contender, data: Data) -> tuple[tuple[Any, ...], tuple[str, ...]]:
    steps = spec.steps if model.steps is None else model.steps
    if steps == "auto":
        return auto_steps(model.model, data)
    return tuple(steps), ()


def _with_image_shape(item: Item, data: Data) -> Item:
    """A picture in a row is a picture to a model that reads pictures."""
    if data.image_shape is None or "image_shape" not in domains_of(item.cls) or "image_shape" in item.params:
        return item
    return Item(item.name, {**item.params, "image_shape": list(data.image_shape)})


def resolved(spec: Spec, data: Data) -> Spec:
    """Return the spec with every ``auto`` replaced by what was chosen for these data.

    Examples
    --------
    >>> from zoo.experiment.spec import dump, read
    >>> spec = read({"data": {"sklearn": "load_iris"}, "models": ["SVC"], "title": "Iris"})
    >>> print(dump(spec.resolved(spec.load_data())), end="")
    title: Iris
    data:
      sklearn: load_iris
    task: classification
    steps: []
    models:
      - name: SVC
        model: SVC
        steps: [StandardScaler]
    search: none
    cv:
      StratifiedKFold: {n_splits: 5, shuffle: true}
    metrics: [accuracy, balanced_accuracy, f1_macro]
    """
    spec = replace(spec, task=data.task)
    models = _chosen_models(spec, data)
    spec = replace(spec, models=tuple(models))
    notes = list(data.notes)
    found: list[Contender] = []
    searches = _searches(spec)
    for i, (model, label) in enumerate(zip(models, labels_of(spec), strict=True)):
        _check_task(model.model, data.task, spec.at("models", i))
        steps, more = _steps_for(spec, model, data)
        item = _with_image_shape(model.model, data)
        notes += [note for note in more if note not in notes]
        search = model.search
        stated = item.space() or ranges_in(steps) or isinstance(search, Mapping)
        if not searches:
            search = None
        elif not stated and search != "none" and (search == "auto" or searches.cards):
            ranges = _card_ranges(item)
            if ranges:
                search = {name: range_of(values) for name, values in ranges.items()}
            else:
                search = None
                notes.append(f"{label} has no card with ranges and is fitted once")
        elif search in ("auto", "none"):
            search = None
        found.append(Contender(name=label, model=item, steps=steps, search=search))
    splitter, warned = _splitter(spec, data)
    notes += warned
    spec = replace(
        spec, steps=(), models=tuple(found), cv=splitter, metrics=_metrics(spec, data),
        notes=tuple(notes),
    )  # fmt: skip
    kind: Any = _kind(spec, searches) if searches else "none"
    if searches is None or kind == "none":
        return replace(spec, search="none")
    as_given = searches.cards if searches.as_given is None else searches.as_given
    return replace(spec, search=replace(searches, kind=kind, cards=False, as_given=as_given))


def _card_ranges(item: Item) -> dict[str, Range]:
    made = item.make()
    if not hasattr(type(made), "card"):
        return {}
    return {k: v for k, v in auto_space(made).items() if "__" not in k}


def _searches(spec: Spec) -> Search | None:
    """Return how settings are found; None when nothing is searched."""
    if isinstance(spec.search, Search):
        return spec.search
    if spec.search == "auto":
        return Search()
    if spec.search is None and (_states_ranges(spec) or any(m.search == "auto" for m in models_of(spec))):
        return Search(cards=False)
    return None


def _kind(spec: Spec, search: Search) -> Any:
    spaces = [_space_stated(m) for m in models_of(spec)]
    steps = any(isinstance(m.steps, tuple) and ranges_in(m.steps) for m in models_of(spec))
    if not any(spaces) and not steps:
        return "none"
    sizes = [
        math.prod(len(v) if isinstance(v, list) else search.n_grid for v in space.values())
        for space in spaces
    ]
    if search.kind == "grid" and max(sizes) > LARGEST_GRID:
        raise spec.at("search").error(
            f"the grid has {max(sizes)} settings; write kind: random, or fewer values (up to {LARGEST_GRID})."
        )
    if search.kind != "auto":
        return search.kind
    lists = all(isinstance(v, list) for space in spaces for v in space.values()) and not steps
    return "grid" if lists and max(sizes) <= search.n_iter else "random"


def _space_stated(model: Contender) -> dict[str, Any]:
    space = model.model.space()
    if isinstance(model.search, Mapping):
        space |= {name: space_of(values, None) for name, values in model.search.items()}
    return space


def candidates(spec: Spec, data: Data) -> list[Candidate]:
    """Make the unfitted pipelines and the spaces to search.

    Examples
    --------
    >>> from zoo.experiment.spec import read
    >>> spec = read({"data": {"sklearn": "load_iris"}, "models": [{"SVC": {"C": {"choices": [1, 10]}}}]})
    >>> (candidate,) = spec.candidates(spec.load_data())
    >>> candidate.name, list(candidate.estimator.named_steps), candidate.space
    ('SVC', ['standardscaler', 'model'], {'model__C': [1, 10]})
    """
    from sklearn.pipeline import Pipeline

    place = spec.at("models")
    shared = spec.steps if isinstance(spec.steps, tuple) else None
    settled = resolved(spec, data)
    made = []
    for i, model in enumerate(models_of(settled)):
        own = models_of(spec)[i].steps if spec.models != "auto" else None
        at = spec.at("steps") if own is None and shared is not None else place / i / "steps"
        assert isinstance(model.steps, tuple)
        if not model.steps and _only_text(data):
            raise spec.at("data").error(
                "every column is free text or an identifier, which steps: auto leaves out; write steps, such "
                "as columns: {text: TfidfVectorizer}."
            )
        steps, space = make_steps(model.steps, data, spec.seed, at)
        estimator = model.model.make(spec.seed)
        inside = model.model.space()
        if isinstance(model.search, Mapping):
            domains = domains_of(model.model.cls)
            inside |= {key: space_of(values, domains.get(key)) for key, values in model.search.items()}
        prefix = "model__" if steps else ""
        space |= {
            key if key.split("__")[0] in dict(steps) else prefix + key: values
            for key, values in inside.items()
        }
        whole = Pipeline([*steps, ("model", estimator)]) if steps else estimator
        _check_space(whole, space, place / i)
        made.append(Candidate(str(model.name), whole, space if settled.search != "none" else {}))
    return made


def _only_text(data: Data) -> bool:
    return bool(data.columns) and all(c["kind"] == "text" for c in data.columns)


def _check_space(whole: Any, space: Mapping[str, Any], place: Place) -> None:
    known = [k for k in whole.get_params(deep=True) if "__" in k or not hasattr(whole, "steps")]
    for key in space:
        if key not in known:
            shown = [k.removeprefix("model__") for k in known]
            raise (place / "search").error(
                f"there is no parameter {key.removeprefix('model__')!r} to search."
                f"{did_you_mean(key.removeprefix('model__'), shown)} A parameter of a step is written "
                "step__parameter."
            )


# -- folds, metrics, backend ----------------------------------------------------------------------------


def _splitter(spec: Spec, data: Data) -> tuple[Splitter, list[str]]:
    if isinstance(spec.cv, Splitter):
        found = spec.cv
    else:
        folds = Folds(folds=spec.cv) if isinstance(spec.cv, int) else spec.cv
        classes = data.task == "classification"
        params: dict[str, Any] = {"n_splits": folds.folds}
        if data.groups is not None:
            if folds.repeats > 1:
                raise spec.at("cv", "repeats").error("folds of whole groups are not repeated; delete this.")
            name = "StratifiedGroupKFold" if classes else "GroupKFold"
            params |= {"shuffle": True} if folds.shuffle else {}
        elif folds.repeats > 1:
            name = "RepeatedStratifiedKFold" if classes else "RepeatedKFold"
            params |= {"n_repeats": folds.repeats}
        else:
            name = "StratifiedKFold" if classes else "KFold"
            params |= {"shuffle": True} if folds.shuffle else {}
        found = Splitter(name, params)
    return found, _check_splits(found, spec, data)


def _check_splits(splitter: Splitter, spec: Spec, data: Data) -> list[str]:
    """Cut the rows once, so that what does not go is said before any fit; return what to tell."""
    import warnings

    import numpy as np

    rows = np.zeros((len(data.y), 1))
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            n = splitter.make(spec.seed).get_n_splits(rows, data.y, data.groups)
            next(iter(splitter.make(spec.seed).split(rows, data.y, data.groups)))
    except (TypeError, ValueError) as error:
        raise spec.at("cv").error(f"{_first_line(error)} ({len(data.y)} rows to learn from).") from None
    if n > 10_000:
        raise spec.at("cv").error(f"{splitter.name} makes {n} folds of these rows; take fewer.")
    return [str(w.message).splitlines()[0] for w in caught]


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _metrics(spec: Spec, data: Data) -> tuple[str, ...]:
    import numpy as np

    if spec.metrics != "auto":
        for i, metric in enumerate(spec.metrics):
            _check_metric_task(metric, data.task, spec.at("metrics", i))
            _try_metric(metric, data, spec.at("metrics", i))
        if spec.metrics:
            return spec.metrics
    if data.task == "regression":
        return ("r2", "neg_root_mean_squared_error", "neg_mean_absolute_error")
    share = np.unique(data.y, return_counts=True)[1] / len(data.y)
    third = "roc_auc" if len(share) == 2 else "f1_macro"
    if share.min() * len(share) < 0.4:  # less than 20 % of two classes
        return ("balanced_accuracy", "accuracy", third)
    return ("accuracy", "balanced_accuracy", third)


def _try_metric(metric: str, data: Data, place: Place) -> None:
    """Score a guess, so that a metric that these targets do not have is refused before any fit."""
    import warnings

    import numpy as np
    from sklearn.dummy import DummyClassifier, DummyRegressor
    from sklearn.exceptions import UndefinedMetricWarning
    from sklearn.metrics import get_scorer

    if data.task == "classification":
        y = np.repeat(np.unique(data.y), 2)
        guess = DummyClassifier(strategy="prior")
    else:
        y, guess = data.y, DummyRegressor()
    rows = np.zeros((len(y), 1))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UndefinedMetricWarning)
            get_scorer(metric)(guess.fit(rows, y), rows, y)
    except (TypeError, ValueError) as error:
        several = len(np.unique(data.y)) > 2
        remedy = (
            "name one for several classes, such as f1_macro or roc_auc_ovr"
            if several and data.task == "classification"
            else "name another metric, such as f1_macro or roc_auc"
            if data.task == "classification"
            else "name another metric, such as r2"
        )
        raise place.error(
            f"{metric} does not score this target ({_first_line(error).rstrip('.')}); {remedy}."
        ) from None


def plan(spec: Spec, data: Data) -> Plan:
    """Return how the candidates are tried: search, folds, metrics, seed and backend.

    Examples
    --------
    >>> from zoo.experiment.spec import read
    >>> spec = read({"data": {"sklearn": "load_iris"}, "models": ["SVC"], "cv": 3})
    >>> plan(spec, spec.load_data()).cv
    StratifiedKFold(n_splits=3, random_state=0, shuffle=True)
    """
    settled = resolved(spec, data)
    search = settled.search if isinstance(settled.search, Search) else Search()
    kind: Any = search.kind if isinstance(settled.search, Search) else "none"
    assert isinstance(settled.cv, Splitter)
    backend: Any = spec.backend
    n_jobs = address = None
    if isinstance(spec.backend, Backend):
        backend = next(n for n in Backend.NAMES if getattr(spec.backend, n) is not None)
        where = getattr(spec.backend, backend)
        n_jobs = where.workers if isinstance(where, Cluster) else where.n_jobs
        address = where.address if isinstance(where, Cluster) else None
    return Plan(
        kind=kind, n_iter=search.n_iter, n_grid=search.n_grid, factor=search.factor,
        as_given=kind != "none" and bool(search.as_given),
        cv=settled.cv.make(spec.seed), metrics=tuple(settled.metrics), random_state=spec.seed,
        n_jobs=n_jobs, backend=backend, address=address,
    )  # fmt: skip


# -- from objects to a spec -----------------------------------------------------------------------------


def of(candidates: Sequence[Candidate], plan: Plan | None = None, *, data: Any = None, **keys: Any) -> Spec:
    """Return the spec that makes these candidates and this plan.

    A parameter that is searched has a range in the file, so the value that it has in the candidate is not
    kept.

    Parameters
    ----------
    candidates : sequence of Candidate
        Estimators of the zoo and of scikit-learn; pipelines become steps.
    plan : Plan, optional
        How they are tried.
    data : dict, optional
        The data section.
    **keys : object
        Further keys of the spec, such as title, task, test.

    Examples
    --------
    >>> from sklearn.svm import SVC
    >>> from zoo.search import Candidate
    >>> from zoo.experiment.spec import dump
    >>> spec = of([Candidate("svm", SVC(C=10), {})], data={"sklearn": "load_iris"})
    >>> print(dump(spec), end="")
    data:
      sklearn: load_iris
    models:
      - name: svm
        model:
          sklearn.SVC: {C: 10}
        steps: []
    """
    from zoo.experiment.spec import read

    plain: dict[str, Any] = {"data": data or {}, **keys}
    plain["models"] = [_contender_of(c).plain() for c in candidates]
    if plan is not None:
        plain |= _plain_plan(plan)
    return read(plain)


def _contender_of(candidate: Candidate) -> Contender:
    estimator, space = candidate.estimator, dict(candidate.space)
    steps: list[Any] = []
    if type(estimator).__name__ == "Pipeline":
        *before, (last, model) = estimator.steps
        for name, step in before:
            inside = {k[len(name) + 2 :]: v for k, v in space.items() if k.startswith(f"{name}__")}
            steps.append(_step_of(step, inside))
        inside = {k[len(last) + 2 :]: v for k, v in space.items() if k.startswith(f"{last}__")}
    else:
        model, inside = estimator, space
    return Contender(name=candidate.name, model=item_of(model, inside), steps=tuple(s for s in steps if s))


def _step_of(step: Any, space: Mapping[str, Any]) -> Any:
    if type(step).__name__ == "ColumnTransformer":
        parts: dict[Any, Any] = {}
        for name, part, columns in step.transformers:
            inside = {k[len(name) + 2 :]: v for k, v in space.items() if k.startswith(f"{name}__")}
            key = name if name == "rest" else (columns,) if isinstance(columns, str) else tuple(columns)
            if not all(isinstance(c, str) for c in key):
                raise SpecError(f"spec: the columns {short(columns)} cannot be written; select them by name.")
            parts[key] = part if isinstance(part, str) else _items_of(part, inside)
        if step.remainder in ("drop", "passthrough"):
            parts.setdefault("rest", step.remainder)
        return Columns(parts)
    return None if step == "passthrough" else item_of(step, space)


def _items_of(part: Any, space: Mapping[str, Any]) -> tuple[Item, ...]:
    if type(part).__name__ != "Pipeline":
        return (item_of(part, space),)
    return tuple(
        item_of(step, {k[len(n) + 2 :]: v for k, v in space.items() if k.startswith(f"{n}__")})
        for n, step in part.steps
    )


def _plain_plan(plan: Plan) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    if plan.kind != "none":
        plain["search"] = Search(
            kind=plan.kind,
            n_iter=plan.n_iter,
            n_grid=plan.n_grid,
            factor=plan.factor,
            cards=False,
            as_given=plan.as_given,
        ).plain()
    if isinstance(plan.cv, int):
        plain["cv"] = plan.cv
    else:
        plain["cv"] = splitter_of(plan.cv).plain()
    if plan.metrics:
        plain["metrics"] = list(plan.metrics)
    if plan.random_state is not None:
        plain["seed"] = plan.random_state
    if plan.backend in ("dask", "ray"):
        plain["backend"] = {plan.backend: Cluster(workers=plan.n_jobs, address=plan.address).plain()}
    elif plan.backend is not None or plan.n_jobs is not None:
        plain["backend"] = {plan.backend or "loky": Workers(n_jobs=plan.n_jobs).plain()}
    return plain
