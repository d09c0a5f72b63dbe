"""Stores fitted models, each with a card of its metrics and versions; without Dagster."""

import datetime as dt
import io
import json
from dataclasses import asdict, dataclass

import joblib

from ml.files import Files
from ml.forecast import OrderForecast


@dataclass(frozen=True)
class Card:
    """The metrics and versions of a model.

    Attributes:
        version: id of the run that fitted it.
        as_of: the last day of its data, in ISO format.
        code_version: version of features and model.
        data_version: version of the table that it was fitted to, if known.
        mape: its error on the held-out days, in percent.
        naive_mape: error of repeating the last week.
    """

    version: str
    as_of: str
    code_version: str
    data_version: str | None
    mape: float
    naive_mape: float


def save(files: Files, partition: str, model: OrderForecast, card: Card) -> str:
    """Store a model as the latest of its month; return its address."""
    buffer = io.BytesIO()
    joblib.dump(model, buffer, compress=3)
    text = json.dumps(
        {**asdict(card), "saved_at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds")},
        indent=2,
    ).encode()
    where = files.write(f"models/{partition}/{card.version}.joblib", buffer.getvalue())
    files.write(f"models/{partition}/{card.version}.json", text)
    # Last, so that it never refers to an incomplete model.
    files.write(f"models/{partition}/latest.json", text)
    return where


def load_latest(files: Files, partition: str) -> tuple[OrderForecast, Card]:
    """Return a month's latest model and its card.

    Raises:
        FileNotFoundError: there is no model of the month.
    """
    content = json.loads(files.read(f"models/{partition}/latest.json"))
    card = Card(**{name: content[name] for name in Card.__dataclass_fields__})
    model = joblib.load(io.BytesIO(files.read(f"models/{partition}/{card.version}.joblib")))
    return model, card
