"""The rules of the house, read from the source: docs/decisions/0001-floors-and-imports.md.

Every rule is a function from source text to a list of complaints. Each is run twice: on snippets
that break it (or only seem to), and on the package.
"""

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parents[1]

FAMILIES = (
    "mlp",
    "linear",
    "svm",
    "trees",
    "noprop",
    "vision",
    "sequence",
    "text",
    "recommend",
    "generative",
    "agents",
    "games",
    "offline",
)
FLOORS = (  # lowest first; an engine is a unit of its own
    ("contract",),
    ("engines.losses", "engines.devices", "engines.magnitudes", "engines.accepted", "engines.modules"),
    ("engines.neural",),
    (
        "engines.linear",
        "engines.kernels",
        "engines.trees",
        "engines.factors",
        "engines.series",
        "engines.language",
        "engines.diffusion",
        "engines.layerwise",
        "engines.adversarial",
        "engines.acting",
    ),
    ("engines.planning",),
    FAMILIES,
    ("registry", "conformance", "persist", "metrics"),
    ("search",),
    ("plot",),
    ("report", "play"),
    ("experiment",),
    ("cli",),
)
FLOOR_OF = {unit: floor for floor, units in enumerate(FLOORS) for unit in units}
SIDEWAYS = {  # within one floor, in one direction
    ("engines.layerwise", "engines.diffusion"),
    ("persist", "registry"),
    ("conformance", "registry"),
    ("conformance", "persist"),
}
HEAVY = ("torch", "skorch", "numba")
LONGEST_OF_CONTRACT = 450  # lines of a file

# Files without a test file of their own, and what tests them.
UNTESTED: dict[str, str] = {
    "zoo/engines/kernels/pairs.py": "by the tests of SVC",
    "zoo/contract/shapes.py": "names for type checkers",
    "zoo/contract/docstrings.py": "by tests/contract/test_cards.py",
    "zoo/contract/draws.py": "by tests/contract/test_estimator.py",
    "zoo/contract/inputs/images.py": "by tests/contract/inputs/test_inputs.py and test_either.py",
    "zoo/contract/inputs/input.py": "by tests/contract/inputs/test_inputs.py and test_either.py",
    "zoo/contract/inputs/pairs.py": "by tests/contract/inputs/test_inputs.py and test_either.py",
    "zoo/contract/inputs/series.py": "by tests/contract/inputs/test_inputs.py and test_either.py",
    "zoo/contract/inputs/table.py": "by tests/contract/inputs/test_inputs.py and test_either.py",
    "zoo/contract/inputs/text.py": "by tests/contract/inputs/test_inputs.py and test_either.py",
    "zoo/contract/inputs/env.py": "by tests/contract/inputs/test_inputs.py and test_either.py",
    "zoo/contract/inputs/held.py": "by tests/contract/inputs/test_inputs.py and test_either.py",
    "zoo/contract/roles/agent.py": "by tests/contract/test_estimator.py and the conformance suite",
    "zoo/contract/roles/classifier.py": "by tests/contract/test_estimator.py and the conformance suite",
    "zoo/contract/roles/detector.py": "by tests/contract/test_estimator.py and the conformance suite",
    "zoo/contract/roles/forecasts.py": "by tests/contract/test_estimator.py and the conformance suite",
    "zoo/contract/roles/regressor.py": "by tests/contract/test_estimator.py and the conformance suite",
    "zoo/contract/roles/sampler.py": "by tests/contract/test_estimator.py and the conformance suite",
    "zoo/contract/roles/text_to_text.py": "by tests/contract/test_estimator.py and the conformance suite",
    "zoo/contract/roles/transformer.py": "by tests/contract/test_estimator.py and the conformance suite",
    "zoo/engines/factors/kernels.py": "by the tests of MatrixFactorization",
    "zoo/engines/factors/rows.py": "by the tests of MatrixFactorization",
    "zoo/engines/factors/sweeps.py": "by the tests of MatrixFactorization",
    "zoo/engines/kernels/dual.py": "by the tests of SVC, SVR and OneClassSVM",
    "zoo/engines/kernels/estimator.py": "by the tests of SVC, SVR and OneClassSVM",
    "zoo/engines/kernels/interior.py": "by the tests of SVC and LinearSVC",
    "zoo/engines/kernels/primal.py": "by the tests of LinearSVC",
    "zoo/engines/language/decoder.py": "by the tests of GPT",
    "zoo/engines/language/decoding.py": "by the tests of GPT",
    "zoo/engines/language/estimator.py": "by the tests of GPT",
    "zoo/engines/layerwise/blocks.py": "by the tests of NoPropDT",
    "zoo/engines/layerwise/continuous.py": "by the tests of NoPropCT and NoPropFM",
    "zoo/engines/layerwise/discrete.py": "by the tests of NoPropDT",
    "zoo/engines/layerwise/head.py": "by the tests of NoPropDT",
    "zoo/engines/layerwise/kernels.py": "by the tests of test_dense.py and NoPropDT",
    "zoo/engines/layerwise/layered.py": "by the tests of the siblings of NoProp",
    "zoo/engines/layerwise/layers.py": "by the tests of test_dense.py and NoPropDT",
    "zoo/engines/layerwise/step.py": "by the tests of NoPropDT",
    "zoo/engines/layerwise/trajectory.py": "by the tests of NoPropDT and NoPropCT",
    "zoo/engines/linear/descent.py": "by the tests of Lasso",
    "zoo/engines/linear/least_squares.py": "by the tests of LinearRegression, Ridge and RidgeCV",
    "zoo/engines/linear/logistic.py": "by the tests of LogisticRegression",
    "zoo/engines/linear/sparse.py": "by the tests of LinearRegression",
    "zoo/engines/linear/splits.py": "by the tests of RidgeCV and LassoCV",
    "zoo/engines/modules/recurrent.py": "by the tests of RNNClassifier",
    "zoo/engines/trees/boosting.py": "by the tests of BoostingClassifier and BoostingRegressor",
    "zoo/engines/trees/coding.py": "by test_records.py",
    "zoo/engines/trees/estimator.py": "by the tests of its leaves",
    "zoo/engines/trees/forest.py": "by the tests of RandomForestClassifier",
    "zoo/engines/trees/histogram_grower.py": "by test_histograms.py",
    "zoo/engines/trees/memory.py": "by every other test of trees",
    "zoo/engines/trees/model.py": "by test_shap.py, test_checks.py and the leaves",
    "zoo/engines/trees/objective.py": "by the tests of BoostingClassifier and BoostingRegressor",
    "zoo/engines/trees/prediction.py": "by test_deep_prediction.py and the leaves",
    "zoo/engines/trees/pruning.py": "by the tests of DecisionTreeClassifier",
    "zoo/engines/trees/record_grower.py": "by test_records.py and the tests of DecisionTreeRegressor",
    "zoo/engines/trees/targets.py": "by the tests of DecisionTreeClassifier and RandomForestClassifier",
    "zoo/engines/trees/threads.py": "by the tests of RandomForestRegressor",
    "zoo/__main__.py": "by the tests of the command",
    "zoo/experiment/comparing.py": "by the tests of test_running.py and test_folder.py",
    "zoo/experiment/diagnostics.py": "by the tests of test_running.py",
    "zoo/experiment/findings.py": "by the tests of test_running.py",
    "zoo/experiment/predicting.py": "by the tests of test_running.py and test_folder.py",
}

GENERATOR_KINDS = {
    "RandomState",
    "Generator",
    "default_rng",
    "SeedSequence",
    "BitGenerator",
    "PCG64",
    "PCG64DXSM",
    "Philox",
    "SFC64",
    "MT19937",
}
READS_GENERATOR = {"get_state", "get_rng_state"}
TOUCHES_TORCH_GENERATOR = re.compile(
    r"torch(\.\w+)*\.(manual_seed|manual_seed_all|seed|seed_all|set_rng_state|fork_rng)"
)
MAY_RESTORE = "zoo/conformance/_state.py"  # runs strangers' estimators, and puts back what they changed
# Subclasses of scikit-learn outside the contract: BatchedSearchCV is a GridSearchCV.
MAY_SUBCLASS: frozenset[str] = frozenset()
OWNS_TORCH_GENERATOR = "zoo/engines/modules/blocks.py"  # seeds initialisation inside a lock


def package_sources() -> dict[str, str]:
    """Path inside the repository -> text, for every Python file of the package."""
    return {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted((ROOT / "zoo").rglob("*.py"))
    }


SOURCES = package_sources()


def modules_of(sources: Iterable[str]) -> dict[str, str]:
    """Name of a module -> its file."""
    return {file.removesuffix(".py").removesuffix("/__init__").replace("/", "."): file for file in sources}


def unit_of(path: str) -> str:
    """`zoo/linear/ridge.py` -> `linear`, `zoo/engines/trees/bins.py` -> `engines.trees`."""
    return unit_in(tuple(part.removesuffix(".py") for part in PurePosixPath(path).parts[1:]))


def unit_in(parts: tuple[str, ...]) -> str:
    """Return the unit that a module belongs to, from the parts of its name after `zoo`."""
    if parts[0] == "engines" and len(parts) > 1 and parts[1] != "__init__":
        return f"engines.{parts[1]}"
    if parts[0] == "__main__":
        return "cli"  # `python -m zoo` is the command by another name
    return "" if parts[0] in ("__init__", "engines") else parts[0]


def is_leaf(path: str) -> bool:
    """Whether the file holds an estimator: in a family, and its name has no underscore first."""
    return unit_of(path) in FAMILIES and not PurePosixPath(path).name.startswith("_")


def holds_fields(path: str) -> bool:
    """Whether annotations of the file are read when it runs."""
    return is_leaf(path) or unit_of(path) == "contract" or path.endswith("/estimator.py")


def nodes_run_on_import(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those inside functions and those for type checkers."""
    for child in ast.iter_child_nodes(tree):
        for_checkers = isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING")
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and not for_checkers:
            yield child
            yield from nodes_run_on_import(child)


def imported_modules(nodes: Iterator[ast.AST], path: str) -> Iterator[tuple[int, str, str | None]]:
    """(line, module, name or None) for every import; relative ones made absolute."""
    package = PurePosixPath(path).parts[:-1]
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, None
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                above = package[: len(package) - node.level + 1]
                module = ".".join([*above, *filter(None, [node.module])])
            for alias in node.names:
                yield node.lineno, module, alias.name


def aliases_of(tree: ast.AST) -> dict[str, str]:
    """Local name -> full dotted name, for every import anywhere in the file."""
    full = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.asname:
                    full[alias.asname] = alias.name
                else:
                    top = alias.name.split(".")[0]
                    full[top] = top
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                full[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return full


def dotted(node: ast.AST, full: Mapping[str, str]) -> str | None:
    """`np.random.rand` -> `numpy.random.rand`; None where the root is not an imported name."""
    if isinstance(node, ast.Name):
        return full.get(node.id)
    if isinstance(node, ast.Attribute):
        root = dotted(node.value, full)
        return f"{root}.{node.attr}" if root else None
    return None


# --------------------------------------------------------------------------------- the rules


def imports_against_the_floors(path: str, source: str) -> list[str]:
    """Imports go downwards only, and name the module that defines the thing."""
    unit = unit_of(path)
    if not unit:  # zoo/__init__.py shows what is below it
        return []
    if unit not in FLOOR_OF:
        return [f"{path}: no floor for zoo.{unit}; give it one in FLOORS and in the decision"]
    complaints = []
    for line, module, name in imported_modules(ast.walk(ast.parse(source)), path):
        parts = module.split(".")
        if parts[0] != "zoo":
            continue
        if module == "zoo" and name == "__version__":
            continue
        # `from zoo.engines import losses` names the unit only with what is imported.
        target = unit_in((*parts[1:], *([name] if name else []), "__init__"))
        if module == "zoo" and target not in FLOOR_OF:
            complaints.append(f"{path}:{line}: import from the defining module, not from zoo")
            continue
        if target == unit:
            continue
        if target not in FLOOR_OF:
            complaints.append(f"{path}:{line}: no floor for zoo.{target}")
        elif FLOOR_OF[target] > FLOOR_OF[unit]:
            complaints.append(f"{path}:{line}: {unit} may not import {target}, which is above it")
        elif FLOOR_OF[target] == FLOOR_OF[unit] and (unit, target) not in SIDEWAYS:
            complaints.append(f"{path}:{line}: {unit} may not import {target} on the same floor")
    return complaints


def heavy_imports_at_the_top(path: str, source: str) -> list[str]:
    """An estimator file reaches torch, skorch and numba only inside functions."""
    if not is_leaf(path):
        return []
    return [
        f"{path}:{line}: import {module} inside the function that needs it"
        for line, module, _ in imported_modules(nodes_run_on_import(ast.parse(source)), path)
        if module.split(".")[0] in HEAVY
    ]


def heavy_imports_below(path: str, sources: Mapping[str, str]) -> list[str]:
    """Nor does what it imports at its top: a card is read without torch and without numba."""
    if not is_leaf(path):
        return []
    modules = modules_of(sources)
    seen: set[str] = set()
    waiting = [(path, path)]
    complaints = []
    while waiting:
        file, way = waiting.pop()
        if file in seen:
            continue
        seen.add(file)
        tree = ast.parse(sources[file])
        for _, module, name in imported_modules(nodes_run_on_import(tree), file):
            if module.split(".")[0] in HEAVY and file != path:
                complaints.append(f"{way} imports {module} at its top")
            parts = f"{module}.{name}".split(".") if name else module.split(".")
            for end in range(1, len(parts) + 1):  # importing a.b.c runs a, a.b and a.b.c
                below = modules.get(".".join(parts[:end]))
                if below:
                    waiting.append((below, f"{way} -> {below}"))
    return complaints


def annotations_that_are_not_real(path: str, source: str) -> list[str]:
    """Parameters are annotations, so annotations must exist when the class is made."""
    if not holds_fields(path):
        return []
    tree = ast.parse(source)
    complaints = [
        f"{path}:{line}: from __future__ import annotations turns the parameters into strings"
        for line, module, name in imported_modules(ast.walk(tree), path)
        if (module, name) == ("__future__", "annotations")
    ]
    full = aliases_of(tree)
    complaints += [
        f"{path}:{node.lineno}: a name under TYPE_CHECKING does not exist when the class is made"
        for node in ast.walk(tree)
        if isinstance(node, ast.Name | ast.Attribute)
        and dotted(node, full) in ("typing.TYPE_CHECKING", "typing_extensions.TYPE_CHECKING")
    ]
    return complaints


def files_without_a_test(
    package: Mapping[str, str], tests: set[str], untested: Mapping[str, str]
) -> list[str]:
    """`zoo/a/b.py` is tested by `tests/a/test_b.py`, or `untested` says why not."""
    complaints = [
        f"{path}: has a test now; take it off the list" for path in untested if path not in package
    ]
    for path in package:
        folder, name = PurePosixPath(path).parent, PurePosixPath(path).name
        if name.startswith("_"):
            continue
        test = str(PurePosixPath("tests", *folder.parts[1:], f"test_{name}"))
        if test not in tests and path not in untested:
            complaints.append(f"{path}: {test} is missing")
        if test in tests and path in untested:
            complaints.append(f"{path}: has a test now; take it off the list")
    return complaints


def names_that_say_nothing(path: str, source: str = "") -> list[str]:
    """No file or folder into which everything is thrown."""
    return [
        f"{path}: {part!r} says nothing; name the thing that it holds"
        for part in PurePosixPath(path).parts
        if re.search(r"^_*(utils?|utilities|helpers?|common|misc)(\.py)?$|manager", part.lower())
    ]


def global_generators(path: str, source: str) -> list[str]:
    """Random numbers come from a generator that the estimator owns."""
    tree = ast.parse(source)
    full = aliases_of(tree)
    complaints = [
        f"{path}:{line}: {module} draws from a generator that everybody shares"
        for line, module, _ in imported_modules(ast.walk(tree), path)
        if module == "random"
    ]
    for line, module, name in imported_modules(ast.walk(tree), path):
        if module == "numpy.random" and name and name not in GENERATOR_KINDS | READS_GENERATOR:
            complaints.append(f"{path}:{line}: numpy.random.{name} uses the global generator")
    for node in (n for n in ast.walk(tree) if isinstance(n, ast.Name | ast.Attribute)):
        name = dotted(node, full)
        if name is None or "." not in name:
            continue
        last = name.rsplit(".", 1)[1]
        if path == MAY_RESTORE and last in ("set_state", "set_rng_state"):
            continue
        if name.startswith("numpy.random.") and name.count(".") == 2:
            if last not in GENERATOR_KINDS | READS_GENERATOR:
                complaints.append(f"{path}:{node.lineno}: {name} uses the global generator")
        elif TOUCHES_TORCH_GENERATOR.fullmatch(name) and path != OWNS_TORCH_GENERATOR:
            complaints.append(f"{path}:{node.lineno}: {name} touches the global generator")
    return complaints


def errors_swallowed(path: str, source: str) -> list[str]:
    """No bare except, and no error that disappears."""

    def catches_all(kind: ast.expr | None) -> bool:
        kinds = kind.elts if isinstance(kind, ast.Tuple) else [kind]
        everything = ("Exception", "BaseException")
        return any(isinstance(k, ast.Name) and k.id in everything for k in kinds)

    def does_nothing(body: list[ast.stmt]) -> bool:
        return all(
            isinstance(s, ast.Pass | ast.Continue)
            or (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))
            for s in body
        )

    complaints = []
    tree = ast.parse(source)
    full = aliases_of(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            if node.type is None:
                complaints.append(f"{path}:{node.lineno}: bare except; name the error")
            elif catches_all(node.type) and does_nothing(node.body):
                complaints.append(f"{path}:{node.lineno}: every error is swallowed here")
        elif (
            isinstance(node, ast.Call)
            and dotted(node.func, full) == "contextlib.suppress"
            and any(catches_all(kind) for kind in node.args)
        ):
            complaints.append(f"{path}:{node.lineno}: every error is swallowed here")
    return complaints


def subclasses_of_sklearn(path: str, source: str) -> list[str]:
    """One floor builds on scikit-learn's classes, so one floor breaks when they change."""
    if unit_of(path) == "contract" or path in MAY_SUBCLASS:
        return []
    tree = ast.parse(source)
    full = aliases_of(tree)
    complaints = [
        f"{path}:{line}: only zoo/contract may import {module}.{name}"
        for line, module, name in imported_modules(ast.walk(tree), path)
        if module.split(".")[0] == "sklearn"
        and name
        and (name == "BaseEstimator" or name.endswith("Mixin"))
    ]
    for node in ast.walk(tree):
        if not isinstance(node, ast.ClassDef):
            continue
        for parent in node.bases:
            name = dotted(parent, full) or ""
            if name.startswith("sklearn.") and not name.startswith("sklearn.exceptions."):
                complaints.append(f"{path}:{node.lineno}: only zoo/contract may subclass {name}")
    return complaints


def more_than_leaves(path: str, source: str) -> list[str]:
    """A public file of a family holds estimators that users import, and nothing else that is public."""
    if not is_leaf(path):
        return []
    tree = ast.parse(source)
    public = [
        node
        for node in tree.body
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_")
    ]
    # A classifier and its regressor may share an abstract class, where both stand in the file.
    bases = {base.id for node in public if isinstance(node, ast.ClassDef) for base in node.bases
             if isinstance(base, ast.Name)}
    complaints = [
        f"{path}:{node.lineno}: {node.name} is no leaf; its place is an engine, or a private file"
        for node in public
        if isinstance(node, ast.FunctionDef)
        or (any(key.arg == "abstract" for key in node.keywords) and node.name not in bases)
    ]
    return complaints if public else [f"{path}: holds no estimator; give it a name with an underscore first"]


def engines_that_see_the_estimator(path: str, source: str) -> list[str]:
    """An engine is arrays or tensors in and out; its estimator.py is its one scikit-learn side."""
    if not unit_of(path).startswith("engines.") or path.endswith("/estimator.py"):
        return []
    return [
        f"{path}:{line}: only an engine's estimator.py sees {module}"
        for line, module, name in imported_modules(ast.walk(ast.parse(source)), path)
        if f"{module}.{name}".startswith(("zoo.contract.estimator", "zoo.contract.roles"))
    ]


def files_of_the_contract_too_long(path: str, source: str) -> list[str]:
    """What everybody builds on is read in one sitting, file by file."""
    lines = source.count("\n")
    if unit_of(path) != "contract" or lines <= LONGEST_OF_CONTRACT:
        return []
    return [f"{path}: has {lines} lines, {LONGEST_OF_CONTRACT} is the most; find the two things in it"]


def modules_run_by(path: str, sources: Mapping[str, str]) -> set[str]:
    """Files that run when this one is imported, but for those that run before it: its own packages."""
    modules = modules_of(sources)
    own_packages = {str(parent / "__init__.py") for parent in PurePosixPath(path).parents}
    found = set()
    for _, module, name in imported_modules(nodes_run_on_import(ast.parse(sources[path])), path):
        within = f"{module}.{name}" in modules
        parts = f"{module}.{name}".split(".") if within else module.split(".")
        above = [modules.get(".".join(parts[:end])) for end in range(1, len(parts))]
        named = modules.get(".".join(parts))
        found |= {file for file in above if file and file not in own_packages}
        found |= {named} - {None}
    return found


def circles_of_imports(sources: Mapping[str, str]) -> list[str]:
    """No file is imported by what it imports, at any distance: either could be the first."""
    run_by = {path: modules_run_by(path, sources) for path in sources}
    complaints = {}
    for path in sources:
        ways = {path: (path,)}
        waiting = [path]
        for file in waiting:  # nearest first: the shortest circle is found
            for below in sorted(run_by[file]):
                if below == path:
                    complaints.setdefault(frozenset(ways[file]), " -> ".join([*ways[file], path]))
                elif below not in ways:
                    ways[below] = (*ways[file], below)
                    waiting.append(below)
    return [f"{way} is a circle" for way in complaints.values()]


RULES: tuple[Callable[[str, str], list[str]], ...] = (
    imports_against_the_floors,
    heavy_imports_at_the_top,
    annotations_that_are_not_real,
    names_that_say_nothing,
    global_generators,
    errors_swallowed,
    subclasses_of_sklearn,
    more_than_leaves,
    engines_that_see_the_estimator,
    files_of_the_contract_too_long,
)

# ------------------------------------------------------------------- each rule sees its offence

OFFENCES = [
    (imports_against_the_floors, "zoo/contract/inputs.py", "from zoo.engines.losses import Squared"),
    (imports_against_the_floors, "zoo/contract/inputs.py", "from zoo.engines import losses"),
    (imports_against_the_floors, "zoo/engines/losses.py", "from zoo.engines.neural import step"),
    (imports_against_the_floors, "zoo/engines/trees/bins.py", "from zoo.engines.linear import newton"),
    (imports_against_the_floors, "zoo/engines/diffusion/steps.py", "from zoo.engines.layerwise import step"),
    (imports_against_the_floors, "zoo/engines/novel/x.py", "x = 1"),
    (more_than_leaves, "zoo/linear/ridge.py", "class A(Regressor): ...\ndef solve(): ..."),
    (more_than_leaves, "zoo/noprop/noprop.py", "class NoProp(Classifier, abstract=True): ..."),
    (more_than_leaves, "zoo/linear/solvers.py", "def _f(): ..."),
    (engines_that_see_the_estimator, "zoo/engines/x/step.py", "from zoo.contract.estimator import Steps"),
    (engines_that_see_the_estimator, "zoo/engines/x/a.py", "from zoo.contract import roles"),
    (files_of_the_contract_too_long, "zoo/contract/inputs/pairs.py", "\n" * (LONGEST_OF_CONTRACT + 1)),
    # upwards, sideways, hidden in a function, relative, through the package
        (imports_against_the_floors, "zoo/engines/neural/trainer.py", "from zoo.linear.ridge import Ridge"),
    (imports_against_the_floors, "zoo/linear/ridge.py", "from zoo.svm.svc import SVC"),
    (imports_against_the_floors, "zoo/linear/ridge.py", "def f():\n    import zoo.svm.svc"),
    (imports_against_the_floors, "zoo/linear/ridge.py", "from ..svm import svc"),
    (imports_against_the_floors, "zoo/linear/ridge.py", "from ..svm.svc import SVC"),
    (imports_against_the_floors, "zoo/linear/ridge.py", "from .. import svm"),
    (imports_against_the_floors, "zoo/linear/ridge.py", "from zoo import svm"),
    (imports_against_the_floors, "zoo/linear/ridge.py", "from zoo import Lasso"),
    (imports_against_the_floors, "zoo/linear/ridge.py", "import zoo"),
    (imports_against_the_floors, "zoo/registry.py", "from zoo.persist import load"),
    (imports_against_the_floors, "zoo/search.py", "from zoo.report import Report"),
    (imports_against_the_floors, "zoo/experiment/spec.py", "from zoo.cli import main"),
    (imports_against_the_floors, "zoo/novelty.py", "x = 1"),
    (imports_against_the_floors, "zoo/cli.py", "from zoo.novelty import x"),
    (heavy_imports_at_the_top, "zoo/mlp/classifier.py", "import torch"),
    (heavy_imports_at_the_top, "zoo/mlp/classifier.py", "from torch.nn import Linear"),
    (heavy_imports_at_the_top, "zoo/mlp/classifier.py", "class A:\n    import skorch"),
    (heavy_imports_at_the_top, "zoo/trees/forest.py", "try:\n    import numba\nfinally:\n    f()"),
    (annotations_that_are_not_real, "zoo/svm/svc.py", "from __future__ import annotations"),
    (annotations_that_are_not_real, "zoo/contract/estimator.py", "from __future__ import annotations"),
    (
        annotations_that_are_not_real,
        "zoo/svm/svc.py",
        "from typing import TYPE_CHECKING as T\nif T:\n    import numpy",
    ),
    (
        annotations_that_are_not_real,
        "zoo/svm/svc.py",
        "import typing\nif typing.TYPE_CHECKING:\n    import numpy",
    ),
    (names_that_say_nothing, "zoo/utils.py", ""),
    (names_that_say_nothing, "zoo/linear/_helpers.py", ""),
    (names_that_say_nothing, "zoo/common/x.py", ""),
    (names_that_say_nothing, "zoo/model_manager.py", ""),
    (global_generators, "zoo/contract/estimator.py", "import numpy as np\nnp.random.seed(0)"),
    (global_generators, "zoo/contract/estimator.py", "import numpy\nx = numpy.random.rand"),
    (global_generators, "zoo/contract/estimator.py", "from numpy import random as r\nr.normal()"),
    (global_generators, "zoo/contract/estimator.py", "from numpy.random import rand"),
    (global_generators, "zoo/contract/estimator.py", "import numpy as np\nnp.random.set_state(s)"),
    (global_generators, "zoo/contract/estimator.py", "import random"),
    (global_generators, "zoo/contract/estimator.py", "def f():\n    from random import choice"),
    (global_generators, "zoo/mlp/a.py", "def f():\n    import torch\n    torch.manual_seed(0)"),
    (global_generators, "zoo/mlp/a.py", "from torch import manual_seed as s\ns(0)"),
    (global_generators, "zoo/mlp/a.py", "import torch\ntorch.cuda.manual_seed_all(0)"),
    (global_generators, "zoo/mlp/a.py", "import torch\nwith torch.random.fork_rng():\n    pass"),
    (global_generators, "zoo/mlp/a.py", "import torch as t\nt.set_rng_state(s)"),
    (errors_swallowed, "zoo/contract/estimator.py", "try:\n    f()\nexcept:\n    g()"),
    (errors_swallowed, "zoo/contract/estimator.py", "try:\n    f()\nexcept Exception:\n    pass"),
    (errors_swallowed, "zoo/cli.py", "try:\n    f()\nexcept (OSError, Exception) as e:\n    ..."),
    (
        errors_swallowed,
        "zoo/contract/estimator.py",
        "import contextlib\nwith contextlib.suppress(Exception):\n    f()",
    ),
    (subclasses_of_sklearn, "zoo/registry.py", "from sklearn.base import BaseEstimator"),
    (subclasses_of_sklearn, "zoo/mlp/a.py", "from sklearn.base import ClassifierMixin as C"),
    (
        subclasses_of_sklearn,
        "zoo/linear/a.py",
        "from sklearn import linear_model\nclass A(linear_model.Ridge): ...",
    ),
    (
        subclasses_of_sklearn,
        "zoo/linear/a.py",
        "import sklearn.base\nclass A(sklearn.base.BaseEstimator): ...",
    ),
]

FINE = [
    (files_of_the_contract_too_long, "zoo/contract/inputs/pairs.py", "\n" * LONGEST_OF_CONTRACT),
    (files_of_the_contract_too_long, "zoo/engines/trees/bins.py", "\n" * (LONGEST_OF_CONTRACT + 1)),
    (imports_against_the_floors, "zoo/engines/trees/bins.py", "from zoo.engines.trees import memory"),
    (imports_against_the_floors, "zoo/engines/layerwise/a.py", "from zoo.engines.diffusion import steps"),
    (more_than_leaves, "zoo/linear/ridge.py", "class Ridge(Regressor): ...\ndef _solve(): ..."),
    (more_than_leaves, "zoo/linear/_gram.py", "def gram(): ..."),
    (engines_that_see_the_estimator, "zoo/engines/x/estimator.py", "from zoo.contract.estimator import E"),
    (engines_that_see_the_estimator, "zoo/engines/x/step.py", "from zoo.contract.params import Count"),
    (imports_against_the_floors, "zoo/__init__.py", "from zoo.cli import main"),
    (imports_against_the_floors, "zoo/contract/estimator.py", "from zoo.contract.cards import C"),
    (imports_against_the_floors, "zoo/linear/ridge.py", "from zoo.engines.losses import Squared"),
    (imports_against_the_floors, "zoo/linear/ridge.py", "from zoo.linear import _gram"),
    (imports_against_the_floors, "zoo/linear/ridge.py", "from zoo.contract import params"),
    (imports_against_the_floors, "zoo/persist/_format.py", "from zoo import __version__"),
    (imports_against_the_floors, "zoo/conformance/_suite.py", "from zoo.persist import save"),
    (imports_against_the_floors, "zoo/linear/ridge.py", "import zoology"),
    (heavy_imports_at_the_top, "zoo/mlp/classifier.py", "def f():\n    import torch"),
    (heavy_imports_at_the_top, "zoo/engines/trees/histograms.py", "import numba"),
    (heavy_imports_at_the_top, "zoo/mlp/classifier.py", "import torchlight"),
    (annotations_that_are_not_real, "zoo/engines/trees/histograms.py", "from __future__ import annotations"),
    (names_that_say_nothing, "zoo/linear/commons.py", ""),
    (global_generators, "zoo/contract/estimator.py", "import numpy as np\nnp.random.default_rng(0).normal()"),
    (global_generators, "zoo/contract/estimator.py", "from numpy.random import Generator, RandomState"),
    (global_generators, "zoo/contract/estimator.py", "def f(random):\n    return random.rand()"),
    (global_generators, "zoo/engines/modules/blocks.py", "import torch\ntorch.manual_seed(0)"),
    (global_generators, "zoo/mlp/a.py", "import torch\ntorch.Generator().manual_seed(0)"),
    (global_generators, "zoo/conformance/_state.py", "import torch\ntorch.set_rng_state(s)"),
    (global_generators, "zoo/conformance/_state.py", "import numpy as np\nnp.random.get_state()"),
    (errors_swallowed, "zoo/contract/estimator.py", "try:\n    f()\nexcept KeyError:\n    pass"),
    (errors_swallowed, "zoo/cli.py", "try:\n    f()\nexcept Exception as e:\n    raise E from e"),
    (subclasses_of_sklearn, "zoo/contract/estimator.py", "from sklearn.base import BaseEstimator"),
    (subclasses_of_sklearn, "zoo/search.py", "from sklearn.base import clone"),
    (
        subclasses_of_sklearn,
        "zoo/contract/estimator.py",
        "from sklearn.exceptions import NotFittedError\nclass E(NotFittedError): ...",
    ),
]


def shortened(value: object) -> str | None:
    return value[:90] if isinstance(value, str) else None


@pytest.mark.parametrize(("rule", "path", "source"), OFFENCES, ids=shortened)
def test_offence_is_seen(rule, path, source):
    complaints = rule(path, source)
    assert complaints
    assert all(complaint.startswith(path) for complaint in complaints)


@pytest.mark.parametrize(("rule", "path", "source"), FINE, ids=shortened)
def test_what_is_allowed_passes(rule, path, source):
    assert rule(path, source) == []


def test_every_rule_has_an_offence():
    assert {rule for rule, *_ in OFFENCES} == set(RULES)


def test_heavy_import_is_seen_at_any_distance():
    sources = {
        "zoo/__init__.py": "",
        "zoo/mlp/__init__.py": "",
        "zoo/mlp/a.py": "from zoo.engines.neural import trainer",
        "zoo/engines/neural/__init__.py": "",
        "zoo/engines/neural/trainer.py": "from zoo.engines.neural.optim import Adam",
        "zoo/engines/neural/optim.py": "import torch",
    }
    (complaint,) = heavy_imports_below("zoo/mlp/a.py", sources)
    assert "zoo/engines/neural/trainer.py -> zoo/engines/neural/optim.py imports torch" in complaint
    assert heavy_imports_below("zoo/engines/neural/trainer.py", sources) == []  # engines may

    sources["zoo/engines/neural/optim.py"] = "def f():\n    import torch"
    assert heavy_imports_below("zoo/mlp/a.py", sources) == []
    sources["zoo/mlp/__init__.py"] = "import numba"
    sources["zoo/mlp/a.py"] = "import zoo.mlp.b"
    sources["zoo/mlp/b.py"] = ""
    assert len(heavy_imports_below("zoo/mlp/a.py", sources)) == 1


@pytest.mark.parametrize(
    ("sources", "circle"),
    [
        ({"a.py": "from zoo import b", "b.py": "import zoo.a"}, "zoo/a.py -> zoo/b.py -> zoo/a.py"),
        ({"a.py": "import zoo.a"}, "zoo/a.py -> zoo/a.py"),
        (
            {"a.py": "from zoo.b import x", "b.py": "class B:\n    from .c import y", "c.py": "import zoo.a"},
            "zoo/a.py -> zoo/b.py -> zoo/c.py -> zoo/a.py",
        ),
        # A package runs before what is in it, whoever asks for that.
        (
            {"p/__init__.py": "import zoo.a", "p/x.py": "", "a.py": "from zoo.p.x import f"},
            "zoo/p/__init__.py -> zoo/a.py -> zoo/p/__init__.py",
        ),
        (
            {"p/__init__.py": "from zoo.p.x import f", "p/x.py": "from zoo.p import g"},
            "zoo/p/__init__.py -> zoo/p/x.py -> zoo/p/__init__.py",
        ),
    ],
)
def test_circle_of_imports_is_seen(sources, circle):
    assert circles_of_imports({f"zoo/{file}": text for file, text in sources.items()}) == [
        f"{circle} is a circle"
    ]


@pytest.mark.parametrize(
    "sources",
    [
        {"a.py": "from zoo.b import x", "b.py": "def f():\n    import zoo.a"},
        {"a.py": "import zoo.b\nimport zoo.c", "b.py": "import zoo.c", "c.py": ""},
        {
            "a.py": "import zoo.b",
            "b.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import zoo.a",
        },
        {"p/__init__.py": "from zoo.p.x import f", "p/x.py": "from zoo.p import y", "p/y.py": ""},
    ],
)
def test_what_is_no_circle_passes(sources):
    assert circles_of_imports({f"zoo/{file}": text for file, text in sources.items()}) == []


def test_missing_test_is_seen():
    package = {"zoo/a/b.py": "", "zoo/a/_k.py": "", "zoo/a/__init__.py": "", "zoo/c.py": ""}
    both = {"tests/a/test_b.py", "tests/test_c.py"}
    assert files_without_a_test(package, both, {}) == []
    assert files_without_a_test(package, {"tests/test_c.py"}, {}) == [
        "zoo/a/b.py: tests/a/test_b.py is missing"
    ]
    assert files_without_a_test(package, {"tests/test_c.py"}, {"zoo/a/b.py": "why"}) == []
    assert len(files_without_a_test(package, both, {"zoo/a/b.py": "why"})) == 1
    assert len(files_without_a_test(package, both, {"zoo/gone.py": "why"})) == 1


# --------------------------------------------------------------------------------- the package


def test_the_package_is_read():
    assert "zoo/__init__.py" in SOURCES
    assert set(FLOOR_OF).issuperset(unit for path in SOURCES if (unit := unit_of(path)))


@pytest.mark.parametrize("rule", RULES)
def test_package_keeps_the_rule(rule):
    complaints = [c for path, source in SOURCES.items() for c in rule(path, source)]
    assert not complaints, "\n".join(complaints)


def test_estimators_are_read_without_torch_and_numba():
    complaints = [c for path in SOURCES for c in heavy_imports_below(path, SOURCES)]
    assert not complaints, "\n".join(complaints)


def test_no_circle_of_imports():
    assert circles_of_imports(SOURCES) == []


def test_tests_mirror_the_package():
    tests = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_*.py")}
    complaints = files_without_a_test(SOURCES, tests, UNTESTED)
    assert not complaints, "\n".join(complaints)


def test_file_names_of_the_tests():
    tests = [path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("*.py")]
    complaints = [c for path in tests for c in names_that_say_nothing(path)]
    assert not complaints, "\n".join(complaints)
