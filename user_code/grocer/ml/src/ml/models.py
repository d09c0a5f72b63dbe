"""Where fitted models are kept, and what is written down about each; without Dagster."""

import datetime as dt
import io
import json
from dataclasses import asdict, dataclass

import joblib

from ml.files import Files
from ml.forecast import OrderForecast


@dataclass(frozen=True)
class Card:
    """What there is to know about a model.

    Attributes:
        version: the run that made it.
        as_of: the last day that it knows, as ISO writes it.
        code_version: of features and model.
        data_version: of the table that it was fitted to, where Dagster knows it.
        mape: its error on the held-out days, in percent.
        naive_mape: that of repeating the last week.
    """

    version: str
    as_of: str
    code_version: str
    data_version: str | None
    mape: float
    naive_mape: float


def save(files: Files, partition: str, model: OrderForecast, card: Card) -> str:
    """Keep a model beside its month's earlier ones, as the latest; return where it is."""
    buffer = io.BytesIO()
    joblib.dump(model, buffer, compress=3)
    text = json.dumps(
        {**asdict(card), "saved_at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds")},
        indent=2,
    ).encode()
    where = files.write(f"models/{partition}/{card.version}.joblib", buffer.getvalue())
    files.write(f"models/{partition}/{card.version}.json", text)
    # Last: whoever reads it finds a model that is there as a whole.
    files.write(f"models/{partition}/latest.json", text)
    return where


def load_latest(files: Files, partition: str) -> tuple[OrderForecast, Card]:
    """Return a month's latest model and its card.

    Raises:
        FileNotFoundError: there is none yet.
    """
    content = json.loads(files.read(f"models/{partition}/latest.json"))
    card = Card(**{name: content[name] for name in Card.__dataclass_fields__})
    model = joblib.load(io.BytesIO(files.read(f"models/{partition}/{card.version}.joblib")))
    return model, card
