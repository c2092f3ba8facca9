"""The README tells the truth: its table is the registry's, and its example runs."""

from pathlib import Path

from zoo import registry

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_table_of_methods_is_the_registrys() -> None:
    """`python -m zoo.registry` writes it."""
    assert registry.TABLE_BEGINS + "\n" + registry.table() in README


def test_ten_lines_run(tmp_path, monkeypatch) -> None:
    """The example of the README is code that works."""
    code = README.split("```python\n")[1].split("```")[0]
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)
    assert names["search"].best_score_ > 0.9
    assert (tmp_path / "digits.zoo").exists()
