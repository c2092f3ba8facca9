# ruff: noqa: E501
"""Hundreds of damaged specs: each refused before any fit, with its line and a remedy; none runs code."""

import copy
import os
import re
import subprocess
import sys
import time
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
import yaml

from zoo.experiment.spec import SpecError, read
from zoo.experiment.spec.text import write_text

CSV = """age,city,score,when,note,who,w,label
31,Rome,0.5,2024-01-31,aa,1,1.0,yes
25,Oslo,,2024-02-01,bb,1,1.0,no
44,Rome,1.5,2024-02-02,cc,2,1.0,yes
,Bern,2.5,2024-02-03,dd,2,1.0,no
61,Oslo,0.1,2024-02-04,ee,3,1.0,yes
37,Bern,0.9,2024-02-05,ff,3,1.0,no
29,Rome,0.4,2024-02-06,gg,4,1.0,yes
53,Oslo,0.7,2024-02-07,hh,4,1.0,no
"""

PLAIN = {
    "title": "A good spec",
    "data": {"csv": "rows.csv", "target": "label", "drop": ["note"], "types": {"city": "category"}},
    "test": 0.25,
    "task": "classification",
    "steps": "auto",
    "models": ["LogisticRegression", {"SVC": {"C": 2.0, "kernel": "rbf"}}, {"sklearn.SVC": {"C": 1.0}}],
    "search": "none",
    "cv": 2,
    "metrics": ["accuracy", "f1_macro"],
    "seed": 3,
    "keep": ["leaderboard", "model"],
    "backend": {"loky": {"n_jobs": 1}},
}
RICH = {
    "data": {"csv": "rows.csv", "target": "label", "weights": "w", "groups": "who", "drop": ["note"]},
    "test": "none",
    "steps": [
        {
            "columns": {
                "numbers": [{"SimpleImputer": {"strategy": "median"}}, "StandardScaler"],
                "categories": {"OneHotEncoder": {"handle_unknown": "ignore"}},
                "when": "drop",
            }
        },
        {"SelectKBest": {"k": 2}},
    ],
    "models": [
        {"name": "forest", "model": {"RandomForestClassifier": {"n_estimators": 5}}, "steps": "auto"},
        {"name": "svm", "model": "SVC", "search": {"C": {"between": [0.1, 10], "scale": "log"}}},
        {"LogisticRegression": {"C": {"choices": [0.1, 1.0]}}},
        {"BaggingClassifier": {"estimator": {"DecisionTreeClassifier": {"max_depth": 2}}}},
    ],
    "search": {"kind": "random", "n_iter": 3, "n_grid": 4, "factor": 2},
    "cv": {"folds": 2, "shuffle": True},
    "metrics": ["accuracy"],
}
GOOD = {"plain": PLAIN, "rich": RICH}


def put(spec, path, value):
    """Return a copy of the spec with another value at a path."""
    spec = copy.deepcopy(spec)
    part = spec
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    return spec


def rename(spec, path, key):
    """Return a copy of the spec in which a key has another name."""
    spec = copy.deepcopy(spec)
    part = spec
    for step in path[:-1]:
        part = part[step]
    renamed = {key if k == path[-1] else k: v for k, v in part.items()}
    part.clear()
    part.update(renamed)
    return spec


def paths(value, path=()):
    """Every path in a spec, keys of mappings first."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        yield (*path, key)
        yield from paths(part, (*path, key))


def at(spec, path):
    for key in path:
        spec = spec[key]
    return spec


def misspelt(word):
    """Swap two letters in the middle."""
    if len(word) < 2:
        return word
    middle = max(1, len(word) // 2)
    return word[: middle - 1] + word[middle] + word[middle - 1] + word[middle + 1 :]


def damaged():
    """(name, text) of every damaged spec."""
    found = {}

    def add(name, spec):
        found[name] = spec if isinstance(spec, str) else write_text(spec)

    for title, good in GOOD.items():
        # Misspelt keys and names, wherever they stand.
        for path in paths(good):
            words = "/".join(map(str, path))
            key, value = path[-1], at(good, path)
            if isinstance(key, str) and misspelt(key) != key:
                add(f"{title}: key {words} misspelt", rename(good, path, misspelt(key)))
            if isinstance(value, str) and path[0] != "title" and misspelt(value) != value and "name" not in path:
                add(f"{title}: value {words} misspelt", put(good, path, misspelt(value)))
        # Wrong types, wherever they stand.
        for path in paths(good):
            words = "/".join(map(str, path))
            if path[0] == "title" and title == "plain":
                continue
            for wrong in ({"surprise": 1}, [[1]], None):
                # An item without parameters, and a search that is left out, are good specs.
                if wrong is None and (path[-1] in ("search", "backend", "weights", "groups", "types", "SVC",
                                                   "sklearn.SVC", "RandomForestClassifier", "StandardScaler",
                                                   "estimator", "LogisticRegression", "loky", "n_jobs",
                                                   "BaggingClassifier", "DecisionTreeClassifier", "max_depth",
                                                   "SimpleImputer", "OneHotEncoder", "SelectKBest")
                                      or (path[-1] in ("name", "steps") and "models" in path)):  # fmt: skip
                    continue
                add(f"{title}: {words} is {wrong}", put(good, path, wrong))

    # Values out of their domains.
    for path, values in {
        ("test",): [0, 1, 1.5, -0.2, float("nan"), float("inf"), True, "half", 10**15],
        ("cv",): [1, 0, -3, 2.5, True, 10**9, "five", {"folds": 1}, {"KFold": {"n_splits": 1}}, "KFlod",
                  {"KFold": {"n_splits": 10**12}}, {"GroupKFold": {}}, {"KFold": 3}, {"PredefinedSplit": {}},
                  {"folds": 3, "repeats": 2, "shuffle": False}, {"TimeSeriesSplit": {"gap": -1, "n_splits": "x"}}],
        ("seed",): [-1, 2**32, 0.5, "x", 10**18],
        ("task",): ["Classification", "ranking", 1, "regression"],
        ("metrics",): [["accurcy"], ["r2"], ["accuracy", "accuracy"], "accuracy", [1], [None], ["os.system"],
                       ["neg_log_loss"]],
        ("keep",): [["everything"], "model", ["model", "model"], [["model"]]],
        ("backend",): ["cluster", {"dask": {"address": "http://example.org"}}, {"dask": {"workers": 0}},
                       {"loky": {"n_jobs": 0}}, {"loky": {}, "dask": {}}, {}, {"loky": {"n_jobs": 10**7}},
                       {"dask": {"workers": 2, "address": "tcp://a:1"}}, {"dask": {"address": "tcp://a b"}}],
        ("search",): ["always", {"kind": "genetic"}, {"n_iter": 0}, {"n_iter": 10**12}, {"factor": 1}, 3,
                      {"kind": "grid", "cards": "yes"}],
        ("models",): [[], "all", ["Ridge"], ["StandardScaler"], ["KMeans"], ["DQN"], ["GPT"], ["Pipeline"],
                      [{"ColumnTransformer": {}}], ["os.system"], ["sklearn.linear_model.Ridge"], ["builtins.eval"],
                      ["__import__('os').system('touch canary')"], [{"SVC": [1]}], [{"SVC": {"C": -1}}],
                      [{"SVC": {"C": "large"}}], [{"SVC": {"C": float("nan")}}], [{"SVC": {"c": 1}}],
                      [{"SVC": {"kernel": "rbf "}}], [{"SVC": {"kernel": "os.system"}}],
                      [{"SVC": {"C": {"between": [-1, 1]}}}], [{"SVC": {"C": {"between": [2, 1]}}}],
                      [{"SVC": {"C": {"between": [0, 1], "scale": "log"}}}], [{"SVC": {"C": {"between": [1]}}}],
                      [{"SVC": {"C": {"between": [1, float("inf")]}}}], [{"SVC": {"C": {"choices": []}}}],
                      [{"SVC": {"C": {"choices": [1, -1]}}}], [{"SVC": {"C": {"choises": [1]}}}],
                      [{"SVC": {"C": {"between": [1, 2], "scale": "cubic"}}}], [{"SVC": {"C": {"choices": 3}}}],
                      [{"name": "a/b", "model": "SVC"}], [{"name": "../../x", "model": "SVC"}],
                      [{"name": "", "model": "SVC"}], [{"name": "a\0b", "model": "SVC"}],
                      [{"name": "n" * 500, "model": "SVC"}], [{"name": "..", "model": "SVC"}],
                      [{"name": "/etc/passwd", "model": "SVC"}], [{"name": "a"}], [{"SVC": {}, "C": 1}],
                      [{"name": "a", "model": "SVC"}, {"name": "a", "model": "LogisticRegression"}],
                      [{"BaggingClassifier": {"estimator": "SVX"}}], [{"BaggingClassifier": {"estimator": 3}}],
                      [{"BaggingClassifier": {"estimator": {"DecisionTreeClassifier": {"max_depth": -2}}}}],
                      [{"VotingClassifier": {}}], ["StackingClassifier"], [{"sklearn.SVC": {"C": -1.0}}],
                      [{"sklearn.SVC": {"gamma": "scales"}}], [{"sklearn.SVC": {"gama": "scale"}}],
                      [{"sklearn.SVC": {"random_state": -1}}], [{"RandomForestClassifier": {"n_estimators": 10**25}}],
                      [{"name": "a", "model": "SVC", "search": {"D": {"choices": [1]}}}],
                      [{"name": "a", "model": "SVC", "search": {"C": {"choices": [-1]}}}],
                      [{"name": "a", "model": "SVC", "search": {"C": 3}}], [["SVC", "SVC"]], [True], [1.5], [{}]],
        ("steps",): [["StandardScalar"], ["SVC"], [{"StandardScaler": {"with_mean": "perhaps"}}], "none", [None],
                     [{"CountVectorizer": {"input": "filename"}}], [{"FeatureAgglomeration": {"memory": "/tmp"}}],
                     [{"columns": {}}], [{"columns": {"agee": "drop", "rest": "passthrough"}}],
                     [{"columns": {"numbers": "skip"}}], [{"columns": []}], ["Pipeline"],
                     [{"columns": {"numbers": "SVC", "rest": "drop"}}], [{"column": {"numbers": "drop"}}],
                     [{"columns": {"label": "drop", "rest": "passthrough"}}],
                     [{"columns": {"numbers": "passthrough"}}], ["StandardScaler", {"columns": {"rest": "drop"}}]],
        ("data", "csv"): ["missing.csv", "rows.cvs", "/dev/zero", "/dev/stdin", "fifo.csv", ".", "..", "../..",
                          "../" * 40 + "dev/zero", "http://example.org/rows.csv", "https://example.org/a.csv",
                          "s3://bucket/a.csv", "file:///etc/passwd", "rows.csv\0.png", "", " ", "~nobody/x.csv",
                          "a" * 3000, "empty.csv", "binary.csv", "double.csv", "wrong.csv.gz", "bomb.csv.gz",
                          "header.csv", "latin.csv", "/proc/self/mem", "|touch canary", "ragged.csv", 3.5,
                          "/etc/passwd", "folder", "line.csv"],
        ("data", "target"): ["lable", "Label", "", "age,label", "who ", "note", "when", "constant"],
        ("data", "drop"): [["notes"], ["label"], "note", [["note"]], [1]],
        ("data", "keep"): [["agee"], ["note"]],
        ("data", "weights"): ["label", "weight", "city", "age"],
        ("data", "groups"): ["label", "whoo", "age", "constant"],
        ("data", "types"): [{"agee": "number"}, {"age": "numbers"}, {"city": "number"}, {"city": "date"}, []],
        ("data", "rows"): [0, 1, -5, 1.5, "all"],
        ("data", "separator"): [";;", "", 1, ";"],
        ("data", "size"): [[8, 8], [0, 8], [8], "8x8"],
        ("data", "arrays"): [{"X": "X"}],
        ("data", "sklearn"): ["load_iris", "iris"],
        ("data", "missing"): ["?", [["?"]]],
    }.items():  # fmt: skip
        for i, value in enumerate(values):
            add(f"{'/'.join(path)} = {str(value)[:60]} ({i})", put(PLAIN, path, value))
    for i, value in enumerate([
        "iris", "load_irs", "fetch_openml", "load_files", "load_svmlight_file", "os.system",
        {"make_moons": {"n_samples": -1}}, {"make_moons": {"samples": 10}}, {"make_moons": [1]},
        {"make_blobs": {"n_samples": 10**12}}, {"load_iris": {"return_X_y": True}}, {"make_moons": {"noise": "x"}},
        {"fetch_california_housing": {"data_home": "/tmp"}}, {"make_classification": {"n_classes": 9}}, 7, {},
    ]):  # fmt: skip
        add(f"sklearn data {i}", {"data": {"sklearn": value}, "models": ["SVC"]})
    add("npz without pickles", {"data": {"npz": "objects.npz"}, "models": ["SVC"]})
    add("npz without the array", {"data": {"npz": "arrays.npz"}, "models": ["SVC"]})
    add("npz that is none", {"data": {"npz": "rows.csv"}, "models": ["SVC"]})
    add("parquet that is none", {"data": {"parquet": "rows.csv", "target": "label"}, "models": ["SVC"]})
    add("pictures without classes", {"data": {"images": "folder"}, "models": ["SVC"]})
    add("a picture that is none", {"data": {"images": "pictures"}, "models": ["SVC"]})
    add("no data", {"models": ["SVC"]})
    add("no place", {"data": {"target": "label"}, "models": ["SVC"]})
    add("two places", put(PLAIN, ("data", "parquet"), "x.parquet"))
    for i, value in enumerate([{"csv": "gone.csv"}, {"csv": "short.csv"}, {}, {"csv": "a", "parquet": "b"}]):
        add(f"test file {i}", put(PLAIN, ("test",), value))

    # Text that is no spec.
    good = write_text(PLAIN)
    tags = ("!!python/object/apply:os.system ['touch canary']", "!!python/name:os.system", "!!python/module:os",
            "!!python/object/new:subprocess.Popen [[touch, canary]]", "!custom 1", "!!binary aGk=", "!!set {a, b}",
            "!!python/tuple [1]", "!include /etc/passwd", "!!str 3", "! x", "!!timestamp 2001-01-01")  # fmt: skip
    for i, tag in enumerate(tags):
        add(f"tag {i} as the title", good.replace("title: A good spec", f"title: {tag}"))
        add(f"tag {i} as the seed", good.replace("seed: 3", f"seed: {tag}"))
        add(f"tag {i} around all", f"{tag.split()[0]}\n" + good)
    bombs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10)
    )
    for name, text in {
        "laughs": bombs + good,
        "laughs in metrics": bombs.replace("a9: &a9", "metrics: &a9"),
        "cycle": "models: &m [*m]\n" + good.split("models:")[0],
        "cycle of a mapping": "data: &d {csv: rows.csv, target: label, types: *d}\nmodels: [SVC]\n",
        "cycle through steps": good + "extra: &s\n  - columns: {numbers: *s}\n",
        "merge": "x: &x {target: label}\ndata:\n  <<: *x\n  csv: rows.csv\n",
        "unknown alias": good.replace("seed: 3", "seed: *gone"),
        "double key": good + "seed: 4\n",
        "double key inside": good.replace("target: label", "target: label\n  target: city"),
        "two documents": good + "---\n" + good,
        "list": "- " + good.replace("\n", "\n  "),
        "word": "SVC\n",
        "number": "3\n",
        "nothing": "\n",
        "comment only": "# nothing\n",
        "deep lists": "models: " + "[" * 5000 + "]" * 5000 + "\n",
        "deep mappings": "models: " + "{a: " * 3000 + "1" + "}" * 3000 + "\n",
        "deep lines": "".join("  " * i + f"k{i}:\n" for i in range(200)),
        "unclosed list": good.replace("[accuracy, f1_macro]", "[accuracy, f1_macro"),
        "unclosed quote": good.replace("A good spec", '"A good spec'),
        "tab": good.replace("  target", "\ttarget"),
        "odd indent": good.replace("  target", "   target"),
        "no colon": good.replace("seed: 3", "seed 3"),
        "complex key": good + "? {a: 1}\n: 2\n",
        "control": good.replace("A good spec", "A \x07 spec"),
        "NUL": good.replace("A good spec", "A \x00 spec"),
        "surrogate": good.replace("A good spec", '"\\uD800"') + "extra: 1\n",
        "large": good + "#" * 300_000,
        "many values": "metrics: [" + "a, " * 40_000 + "]\n",
        "long number": good.replace("seed: 3", "seed: " + "9" * 5000),
        "huge exponent": good.replace("seed: 3", "seed: 1e999999"),
        "hexadecimal": good.replace("seed: 3", "seed: 0x" + "f" * 30),
        "not a number": good.replace("seed: 3", "seed: .nan"),
        "date": good.replace("seed: 3", "seed: 2024-01-31"),
        "sexagesimal": good.replace("seed: 3", "seed: 1:30:00"),
        "yes": good.replace("test: 0.25", "test: yes"),
        "environment": good.replace("csv: rows.csv", "csv: ${HOME}/rows.csv"),
        "template": good.replace("csv: rows.csv", "csv: '{{ rows }}'"),
        "surprise in JSON": '{"data": {"csv": "rows.csv", "target": "label"}, "model": ["SVC"]}',
        "unclosed JSON": '{"data": {"csv": "rows.csv"',
    }.items():
        add(name, text)
    return found


DAMAGED = damaged()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    import gzip

    import numpy as np

    folder = tmp_path_factory.mktemp("specs")
    (folder / "rows.csv").write_text(CSV)
    (folder / "short.csv").write_text("age,label\n1,yes\n")
    (folder / "empty.csv").write_text("")
    (folder / "header.csv").write_text(CSV.splitlines()[0] + "\n")
    (folder / "double.csv").write_text(CSV.replace("city", "age"))
    (folder / "ragged.csv").write_text(CSV + "1,2,3,4,5,6,7,8,9,10,11\n")
    (folder / "latin.csv").write_bytes(CSV.replace("Rome", "Köln").encode("latin-1"))
    (folder / "binary.csv").write_bytes(bytes(range(256)) * 40)
    (folder / "line.csv").write_text("a" * 5_000_000)
    (folder / "wrong.csv.gz").write_text(CSV)
    with gzip.open(folder / "bomb.csv.gz", "wb", compresslevel=9) as file:
        file.write((CSV.splitlines()[0] + "\n").encode())
        for _ in range(700):
            file.write(b"\0" * 2**20)
    os.mkfifo(folder / "fifo.csv")
    (folder / "folder").mkdir()
    for name in ("a", "b"):
        (folder / "pictures" / name).mkdir(parents=True)
        (folder / "pictures" / name / "x.png").write_bytes(b"no picture")
    np.savez(folder / "arrays.npz", data=np.zeros((4, 2)))
    np.savez(folder / "objects.npz", X=np.array([{}, {}], dtype=object), y=np.zeros(2))
    return folder


EVENTS: list[str] = []
WATCHED = ("os.system", "subprocess.Popen", "socket.connect", "os.exec", "os.posix_spawn", "exec", "os.remove")


def watch(event, arguments):
    if EVENTS and event in WATCHED:
        if event == "exec":  # so is importing a module, and making a dataclass
            code = arguments[0]
            said = f"{code.co_names} {code.co_consts}"
            if Path(code.co_filename).exists() or not re.search("canary|system|Popen", said):
                return
        EVENTS.append(f"{event} {arguments!r}"[:200])


sys.addaudithook(watch)


def prepare(file):
    spec = read(file)
    data = spec.load_data()
    return spec.plan(data), spec.candidates(data)


def refuse(text, folder):
    """Read the spec and its data as a run does, up to the first fit; return the message."""
    file = folder / "spec.yaml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(SpecError) as caught:
        prepare(file)
    return str(caught.value)


def test_the_watch_sees_what_it_is_for():
    EVENTS.append("begin")
    try:
        eval(compile("__import__('os').system", "<string>", "eval"))
        subprocess.run([sys.executable, "-c", ""], check=True)
        assert [event.split()[0] for event in EVENTS[1:]].count("subprocess.Popen") == 1
        assert any(event.startswith("exec") for event in EVENTS)
    finally:
        EVENTS.clear()


def test_there_are_enough_of_them():
    assert len(DAMAGED) >= 300


@pytest.mark.parametrize("good", GOOD)
def test_undamaged_they_are_read(good, folder):
    (folder / "good.yaml").write_text(write_text(GOOD[good]))
    spec = read(folder / "good.yaml")
    data = spec.load_data()
    assert len(spec.candidates(data)) == len(GOOD[good]["models"])
    assert spec.plan(data).metrics


def test_each_is_refused_with_line_and_remedy_and_none_runs_code(folder, monkeypatch):
    monkeypatch.chdir(folder)
    before = sorted(p.name for p in folder.iterdir())
    accepted, poor = [], []
    # Everything that is imported once is imported before anything is measured.
    refuse(next(iter(DAMAGED.values())), folder)
    EVENTS.append("begin")
    try:
        for name, text in DAMAGED.items():
            try:
                message = refuse(text, folder)
            except (pytest.fail.Exception, Exception) as error:
                accepted.append(f"{name}: {type(error).__name__}: {str(error)[:200]}")
                continue
            place = re.match(r"(spec\.yaml(:\d+:\d+)?|spec): ", message)
            # "what was given; what to do", or the word that was meant.
            remedy = re.search(r"; [a-z{`]|Did you mean|the key '\w+' is missing", message)
            if not place or not remedy or "\n" in message:
                poor.append(f"{name}: {message[:300]}")
            elif len(message) > 3000:
                poor.append(f"{name}: {len(message)} characters")
    finally:
        ran, EVENTS[:] = EVENTS[1:], []
    assert not accepted, "\n".join(accepted)
    assert not poor, "\n".join(poor)
    assert not ran, ran
    after = {p.name for p in folder.iterdir()} - {"spec.yaml", "good.yaml"}
    assert after == set(before) - {"spec.yaml", "good.yaml"}
    assert not (folder / "canary").exists()


def test_memory_is_bounded(folder):
    """What is large, deep or endless is refused in 64 MiB; only the unpacked rows of a csv file take more."""
    large = [n for n in DAMAGED if re.search("laugh|deep|large|many|cycle|zero|line|blobs|long|self|000|bomb", n)]
    assert len(large) > 15
    for name in large:
        tracemalloc.start()
        try:
            refuse(DAMAGED[name], folder)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 64 * 2**20, f"{name}: {peak >> 20} MiB"


def test_most_say_the_line(folder):
    said = sum(bool(re.match(r"spec\.yaml:\d+:\d+: ", refuse(text, folder))) for text in
               list(DAMAGED.values())[:200])  # fmt: skip
    assert said >= 195


def test_foreign_modules_are_not_imported(folder):
    """A fresh process reads every damaged spec; no module that a spec names is imported."""
    hostile = [t for t in DAMAGED.values() if re.search(r"os\.|subprocess|eval|import", t)]
    assert len(hostile) >= 15
    (folder / "evil.py").write_text("open('canary', 'w')")
    code = (
        "import sys; sys.path.insert(0, '.'); from zoo.experiment.spec import read, SpecError\n"
        "for text in eval(sys.stdin.read()):\n"
        "    try: read(text)\n"
        "    except SpecError: continue\n"
        "    sys.exit('accepted: ' + text)\n"
        "print('evil' in sys.modules, 'antigravity' in sys.modules)"
    )
    more = [
        "data: {sklearn: load_iris}\nmodels: [evil.Model]\n",
        "data: {sklearn: load_iris}\nmodels: [antigravity]\n",
        "data: {sklearn: load_iris}\nmodels: [evil]\nsteps: [evil.Step]\n",
        "data: {sklearn: load_iris}\nmodels:\n  - BaggingClassifier: {estimator: evil.Model}\n",
    ]
    done = subprocess.run(
        [sys.executable, "-c", code], input=repr(hostile + more), cwd=folder, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.stdout.strip() == "False False", done.stdout + done.stderr
    assert not (folder / "canary").exists()


def test_text_is_read_by_the_safe_loader_only():
    source = Path(sys.modules["zoo.experiment.spec.text"].__file__).read_text()
    assert "SafeLoader" in source
    assert not re.search(r"yaml\.(load|unsafe_load|full_load)\(", source)
    assert yaml.SafeLoader


# -- whatever stands there --------------------------------------------------------------------------

JUNK = (
    None, True, 0, -1, 10**12, 1e300, "", "x", "Ridge", "sklearn.Ridge", "auto", "none", [], {}, [[]], [1, 2],
    ["Ridge"] * 3, {"choices": []}, {"choices": [1, "x"]}, {"between": [1, 2]}, {"between": [2, 1]},
    {"between": [0, 10**30]}, {"Ridge": {"alpha": {"between": [1e-3, 10]}}}, {"columns": {"rest": "drop"}},
    {"name": "a", "model": "SVC"}, {"last": 0.2}, {1: 2}, ".nan", "2020-01-01", [None], {"model": None},
)  # fmt: skip


def shuffled(rng, good):
    """Return a spec in which one to three values are something else, in some form of text."""
    spec = copy.deepcopy(good)
    for _ in range(int(rng.integers(1, 4))):
        places = list(paths(spec))
        path = places[int(rng.integers(len(places)))]
        spec = put(spec, path, copy.deepcopy(JUNK[int(rng.integers(len(JUNK)))]))
    text = write_text(spec) if rng.random() < 0.5 else yaml.safe_dump(spec)
    if rng.random() < 0.3:
        i = int(rng.integers(len(text)))
        text = text[:i] + ":[]{}#&*!|>'\"%@`-\t\n"[int(rng.integers(19))] + text[i + 1 :]
    return text


@pytest.mark.parametrize("n", [50, pytest.param(500, marks=pytest.mark.slow)])
def test_specs_with_anything_in_them_are_prepared_or_refused_soon(n, folder):
    rng = np.random.default_rng(n)
    file = folder / "spec.yaml"
    refused = 0
    for i in range(n):
        file.write_text(shuffled(rng, GOOD[list(GOOD)[i % 2]]), encoding="utf-8")
        begun = time.process_time()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                prepare(file)
        except SpecError:
            refused += 1
        assert time.process_time() - begun < 10, file.read_text()
    assert refused > n / 2
