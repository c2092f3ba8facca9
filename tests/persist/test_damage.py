"""Damaged files: one sentence, in bounded time and memory, whatever their checksums say."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from archives import packed, parts_of, sealed

from zoo.generative.vae import VAE
from zoo.linear.ridge import Ridge
from zoo.persist import ZooFileError, load, needs_trust, save
from zoo.text.gpt import GPT

TESTS = Path(__file__).resolve().parents[1]


def what_happened(folder, count, seed):
    """Load damaged files in a process of its own and return what it says of them."""
    done = subprocess.run(
        [sys.executable, TESTS / "damage.py", folder, str(count), str(seed)],
        capture_output=True, text=True, check=False, cwd=TESTS.parent,
    )  # fmt: skip
    assert done.returncode == 0, ((folder / "doing").read_text(encoding="utf-8"), done.stderr[-2000:])
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    ("count", "seed"), [(300, 0), pytest.param(5000, 1, marks=pytest.mark.slow(reason="5,000 files"))]
)
def test_damaged_files_of_six_kinds_of_model(count, seed, tmp_path):
    found = what_happened(tmp_path, count, seed)
    assert sum(found["told"][k] for k in ("refused", "loaded")) == count
    assert not found["wrong"]
    assert not found["code"]
    assert found["slowest"] < 10
    assert found["largest"] < 64 * 2**20


# -- files that are small and ask for much ----------------------------------------------------------------


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.zoo"


def holding(node, path):
    """Write a file of an estimator with one more attribute, which is this node."""
    save(Ridge(), path)
    parts = parts_of(path)
    tree = json.loads(parts["state.json"])
    tree["state"]["dict"].append(["x", node])
    path.write_bytes(sealed(parts | {"state.json": json.dumps(tree).encode()}))


def nested(depth, inner, tag="tuple"):
    """Tuples that hold each other three times, by reference."""
    nodes = [{tag: [inner] * 3, "id": 100}]
    for n in range(1, depth):
        nodes.append({tag: [{"same": 99 + n}] * 3, "id": 100 + n})
    return nodes


FAR = {"range": [0, 40_000_000, 1]}


@pytest.mark.parametrize(
    "node",
    [
        FAR,
        {"masked": [FAR, False, 0.0]},
        {"masked": [[1.0], {"range": [0, 10**6, 1]}, 0.0]},
        {"sparse": "csr_array", "shape": [1, 1], "parts": [{"range": [0, 10**6, 1]}] * 3},
        {"sparse": "dia_array", "shape": [1, 1], "parts": [[[1.0]] * 5, [0] * 5]},
        {"tuple": nested(40, 0)},
        {"set": nested(40, 0)},
        {"set": [k * (2**61 - 1) for k in range(1000)]},
        {"frozenset": [k * (2**61 - 1) for k in range(1000)]},
        {"dict": [[k * (2**61 - 1), 0] for k in range(1000)]},
        {"range": [0, 10**30, 1]},
        {"array": "0", "dtype": "<U0", "shape": [10**12]},
    ],
    ids=lambda node: str(node)[:40],
)
def test_a_few_bytes_never_stand_for_much(node, path):
    holding(node, path)
    with pytest.raises(ZooFileError, match="is damaged"):
        load(path)


def test_an_array_that_is_copied_often_is_refused(path):
    save(Ridge().fit(np.zeros((1000, 1000)) + np.eye(1000), np.arange(1000.0)), path)
    parts = parts_of(path)
    tree = json.loads(parts["state.json"])
    tree["state"]["dict"].append(["x", [{"bytes": "0"}] * 10_000])
    path.write_bytes(sealed(parts | {"state.json": json.dumps(tree).encode()}))
    with pytest.raises(ZooFileError, match="more memory than a file of its size can need"):
        load(path)


def test_a_seed_sequence_has_the_pool_that_numpy_makes(path):
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    save(make_pipeline(FunctionTransformer(kw_args={"rng": np.random.default_rng(0)})), path)
    parts = parts_of(path)
    assert b'["pool_size",4]' in parts["state.json"]
    parts["state.json"] = parts["state.json"].replace(b'["pool_size",4]', b'["pool_size",1000000000]')
    path.write_bytes(sealed(parts))
    with pytest.raises(ZooFileError, match="a pool of seeds that numpy does not make"):
        load(path)


def test_a_range_of_millions_is_refused_when_saving(path):
    with pytest.raises(ZooFileError, match=r"Ridge\.alpha cannot be kept in a file: it is a range of"):
        save(Ridge(alpha=range(10**30)), path)
    save(Ridge(alpha=range(10**6)), path)
    assert load(path).alpha == range(10**6)


@pytest.mark.parametrize(
    ("model", "key", "size"),
    [("vae", "hidden_layer_sizes", [14_000, 14_000]), ("gpt", "width", 8000), ("gpt", "n_layers", 20_000),
     ("gpt", "block_size", 2_000_000), ("gpt", "block_size", 2**60)],
)  # fmt: skip
def test_the_size_of_a_network_is_that_of_its_weights(model, key, size, path):
    if model == "vae":
        X = np.random.default_rng(0).normal(size=(20, 3))
        save(VAE(hidden_layer_sizes=(4,), max_epochs=1, random_state=0).fit(X), path)
    else:
        gpt = GPT(n_layers=1, n_heads=2, width=8, block_size=8, max_epochs=1, random_state=0)
        save(gpt.fit(["the cat", "a ship"]), path)
    parts = parts_of(path)
    tree = json.loads(parts["state.json"])
    (spec,) = [v for k, v in tree["state"]["dict"] if k == "spec_"]
    names = [k for k, _ in spec["dict"]]
    place = names.index(key if key in names else "hidden")
    spec["dict"][place][1] = size
    path.write_bytes(sealed(parts | {"state.json": json.dumps(tree).encode()}))
    with pytest.raises(ZooFileError, match=r"the network|Storage size"):
        load(path)


# -- the header, which no checksum covers -----------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [{"versions": "x"}, {"versions": {"zoo": 5}}, {"versions": None}, {"needs_trust": 5},
     {"needs_trust": [5]}, {"sha256": []}, {"format": "1"}, {"format": 10**30}],
    ids=str,
)  # fmt: skip
def test_a_damaged_header_is_one_sentence(change, path):
    save(Ridge(), path)
    parts = parts_of(path)
    parts["zoo.json"] = json.dumps(json.loads(parts["zoo.json"]) | change).encode()
    path.write_bytes(packed(parts))
    for read in (load, needs_trust):
        with pytest.raises(ZooFileError) as failure:
            read(path)
        assert "\n" not in str(failure.value)


def test_needs_trust_of_what_is_no_file(tmp_path):
    with pytest.raises(ZooFileError, match="does not exist"):
        needs_trust(tmp_path / "missing.zoo")
