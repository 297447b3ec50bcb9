"""``ml-platform score``: one transaction through the live endpoint, as a client of the platform would do it."""

import json
from collections.abc import Mapping

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from rich.table import Table

from ml_platform.aws.manifests import Manifests
from ml_platform.aws.objects import ObjectStore
from ml_platform.cli.console import out
from ml_platform.cli.known_models import require_model
from ml_platform.cli.services import attached
from ml_platform.core import names
from ml_platform.core.errors import SourceDataError
from ml_platform.core.settings import Settings
from ml_platform.scoring.transaction import Score, score_transaction

Features = Mapping[str, float | None]


class Transaction(BaseModel):
    """A payment as a client sends it."""

    # Ids are often numbers elsewhere; here they are text.
    model_config = ConfigDict(coerce_numbers_to_str=True, extra="ignore")

    transaction_id: str = Field(min_length=1)
    customer_id: str = Field(min_length=1)
    terminal_id: str = Field(min_length=1)
    amount: float = Field(ge=0, allow_inf_nan=False)
    event_time: AwareDatetime


def run_score(text: str, model: str, *, as_json: bool) -> None:
    """Score one transaction given as JSON text and print score, decision and the features used."""
    require_model(model)
    transaction = parse_transaction(text)
    settings = Settings.load()
    with attached(settings):
        features = look_up(settings, model, transaction)
        score = score_transaction(settings, names.endpoint(model), features, transaction.transaction_id)
    if as_json:
        # Plain, so that a program may read it: no wrapping, no markup.
        out.out(json.dumps({**score.model_dump(), "features": dict(features)}, indent=2), highlight=False)
    else:
        out.print(render(score, features))


def parse_transaction(text: str) -> Transaction:
    """Read a transaction.

    Raises:
        SourceDataError: When it is not JSON or a field is missing or wrong; the message names each.
    """
    try:
        return Transaction.model_validate_json(text)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, item['loc'])) or 'it'}: {item['msg']}" for item in error.errors())
        raise SourceDataError(
            f"The transaction cannot be scored: {problems}. It is one JSON object with transaction_id, customer_id, "
            f'terminal_id, amount, and event_time with its time zone, e.g. "2026-03-30T22:15:00Z".'
        ) from error


def look_up(settings: Settings, model: str, transaction: Transaction) -> Features:
    """Return the features that the model is served for a transaction now."""
    from ml_platform.features.offline.training_set_spec import TrainingSetManifest
    from ml_platform.features.online.reader import OnlineFeatures

    trained_on = Manifests(ObjectStore.from_settings(settings), model).read("training_set", TrainingSetManifest)
    online = OnlineFeatures(settings, trained_on.features, trained_on.spec.feature_service)
    (features,) = online.read(
        [
            {
                "customer_id": transaction.customer_id,
                "terminal_id": transaction.terminal_id,
                "amount": transaction.amount,
                "transaction_time": transaction.event_time,
            }
        ]
    )
    return features


def render(score: Score, features: Features) -> Table:
    """Return the answer as a table."""
    table = Table(title=f"Transaction {score.transaction_id}", title_justify="left", show_header=False, box=None)
    table.add_row("score", f"[bold]{score.score:.6f}[/bold]")
    table.add_row("decision", "[red]flagged[/red]" if score.flagged else "[green]let through[/green]")
    table.add_row("endpoint", f"{score.endpoint}, variant {score.variant}")
    for name, value in features.items():
        table.add_row(f"[dim]{name}[/dim]", "[dim]unknown[/dim]" if value is None else f"[dim]{value:g}[/dim]")
    return table
