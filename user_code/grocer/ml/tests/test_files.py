from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ObjectStore

from ml import forecast, models
from ml.files import Bucket, Files, Folder


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    if request.param == "folder":
        return Folder(tmp_path)
    objects: ObjectStore = request.getfixturevalue("object_store")
    return Bucket("dagster", "grocer/ml/", objects.endpoint)


def test_what_was_written_last_is_read(store: Files) -> None:
    store.write("flyers/2017-12.md", b"old")
    where = store.write("flyers/2017-12.md", b"new")
    assert store.read("flyers/2017-12.md") == b"new"
    assert where.endswith("flyers/2017-12.md")


def test_a_file_that_is_missing_is_named_with_its_place(store: Files) -> None:
    with pytest.raises(FileNotFoundError, match=r"models/2017-12/latest\.json"):
        store.read("models/2017-12/latest.json")


def test_objects_lie_under_the_prefix_of_this_code_location(object_store: ObjectStore) -> None:
    where = Bucket("dagster", "grocer/ml/", object_store.endpoint).write("a/b", b"c")
    assert where == "s3://dagster/grocer/ml/a/b"
    assert object_store.objects == {"/dagster/grocer/ml/a/b": b"c"}


def card(version: str, mape: float) -> models.Card:
    return models.Card(version, "2017-06-30", "1", "abc", mape, 6.0)


def test_the_latest_model_comes_back_as_it_was_with_its_card(
    store: Files, year: dict[str, pd.DataFrame]
) -> None:
    history = forecast.as_history(year["daily_order_summary"], pd.Timestamp("2017-06-30").date())
    model = forecast.fit(history, resamples=20)
    models.save(store, "2017-06", model, card("first", 5.0))
    models.save(store, "2017-06", model, card("second", 4.0))
    models.save(store, "2017-07", model, card("other", 3.0))
    loaded, its_card = models.load_latest(store, "2017-06")
    assert its_card == card("second", 4.0)
    assert np.array_equal(loaded.members, model.members)
    pd.testing.assert_frame_equal(forecast.predict(loaded), forecast.predict(model))
    assert store.read("models/2017-06/first.json")  # earlier versions stay
