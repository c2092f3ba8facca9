import numpy as np
import pytest

from zoo.experiment.spec import SpecError, read

Image = pytest.importorskip("PIL.Image")


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for c, name in enumerate(("dark", "light")):
        (tmp_path / name).mkdir()
        for i in range(8):
            pixels = rng.integers(0, 60, size=(8, 6)) + 180 * c
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / name / f"{i}.png")
        (tmp_path / name / "notes.txt").write_text("no picture")
    return tmp_path


def spec(folder, **data):
    return read(
        {
            "data": {"images": str(folder), **data},
            "models": ["ConvNetClassifier", "sklearn.LogisticRegression"],
        }
    )


def test_folders_are_classes(folder):
    data = spec(folder).load_data()
    assert data.image_shape == (1, 8, 6)
    assert data.X.dtype == np.uint8
    assert data.X.shape == (12, 48)
    assert data.classes == ["dark", "light"]
    assert data.X[data.y == "light"].min() > data.X[data.y == "dark"].max()


def test_models_of_pictures_are_told_the_shape_and_others_get_rows(folder):
    asked = spec(folder)
    data = asked.load_data()
    network, linear = asked.candidates(data)
    assert network.estimator.image_shape == [1, 8, 6]
    linear.estimator.set_params(model__max_iter=50).fit(data.X, data.y)
    assert linear.estimator.score(data.X_test, data.y_test) == 1.0


def test_colour_and_size(folder):
    Image.new("RGB", (20, 10), (255, 0, 0)).save(folder / "dark" / "red.png")
    with pytest.raises(SpecError, match=r"red.png is 10 x 20 and .*say under 'size'"):
        spec(folder).load_data()
    data = spec(folder, size=[4, 5]).load_data()
    assert data.image_shape == (3, 4, 5)


def test_what_is_no_picture_is_said(folder):
    (folder / "dark" / "a.png").write_bytes(b"nothing")
    with pytest.raises(SpecError, match=r"a.png is no picture that can be read"):
        spec(folder).load_data()
    with pytest.raises(SpecError, match="one folder of pictures"):
        spec(folder / "dark").load_data()
