"""``ml-platform score``: one transaction through the live endpoint, as a client of the platform would do it."""

import json
from collections.abc import Iterator, Mapping, Sequence

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
from ml_platform.modeling.reasons import MAX_REASONS, Reason
from ml_platform.scoring.policy_in_force import PolicyInForce
from ml_platform.scoring.transaction import Score, Scorer

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
    """Score one transaction given as JSON text; print score, decision, its reasons and the features used."""
    require_model(model)
    transaction = parse_transaction(text)
    settings = Settings.load()
    with attached(settings):
        features = look_up(settings, model, transaction)
        policy = PolicyInForce(ObjectStore.from_settings(settings), model)
        scorer = Scorer(settings, names.endpoint(model), reasons=MAX_REASONS, policy=policy)
        score = scorer.score(features, transaction.transaction_id)
    if as_json:
        # Plain, so that a program may read it: no wrapping, no markup.
        out.out(json.dumps({**score.model_dump(mode="json"), "features": dict(features)}, indent=2), highlight=False)
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
    table.add_row("action", action_in_words(score.action, score.policy_version))
    if score.policy_fits is False:
        table.add_row("", "[yellow]the policy was fitted on another model's scores: fit it again[/yellow]")
    for reason in reasons_in_words(score.reasons, features):
        table.add_row("because", reason)
    table.add_row("endpoint", f"{score.endpoint}, variant {score.variant}")
    for name, value in features.items():
        table.add_row(f"[dim]{name}[/dim]", "[dim]unknown[/dim]" if value is None else f"[dim]{value:g}[/dim]")
    return table


COLOURS = {"approve": "green", "review": "yellow", "decline": "red"}


def action_in_words(action: str | None, policy_version: str | None) -> str:
    """Return what is done with a payment, and by which policy."""
    if action is None:
        return "[dim]no decision policy is in force yet[/dim]"
    return f"[{COLOURS[action]}]{action}[/{COLOURS[action]}], by policy {policy_version}"


def reasons_in_words(reasons: Sequence[Reason] | None, features: Features) -> Iterator[str]:
    """Yield each reason in the words of the feature catalogue, with the value that the payment has."""
    from ml_platform.features.catalogue.entries import all_entries

    if reasons is None:
        yield "[dim]the model gives no reasons[/dim]"
        return
    entries = {entry.name: entry for entry in all_entries()}
    for reason in reasons:
        entry, value = entries.get(reason.feature), features.get(reason.feature)
        meaning = f"{entry.meaning} {f'({entry.window})' if entry.window else ''}".strip() if entry else reason.feature
        shown = "unknown" if value is None else f"{value:g} {entry.unit if entry else ''}".strip()
        yield f"{meaning} [bold]{shown}[/bold] [dim]{reason.feature} {reason.contribution:+.2f} log-odds[/dim]"
    if not reasons:
        yield "[dim]nothing raised the score above that of the average payment[/dim]"
