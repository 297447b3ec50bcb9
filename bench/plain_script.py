"""The reference of ``bench.tax``: the demo's first training path as one plain script, with the same libraries.

What a person would write by hand without Dagster, SageMaker or S3: polars, Feast for the online store, LightGBM,
scikit-learn's metrics, files in a directory, a bare uvicorn server. Only the simulated payments come from the platform.
Where there was a choice it took the cheaper one, so that the tax is rather over- than understated: everything stays in
memory once it is written; the training set is joined by polars, because Feast's own offline stores are slower or lose
rows; the newest feature rows are handed to Feast's online store as they are.

``python -m bench.plain_script DIRECTORY FIRST_DAY`` prints one JSON document; ``serve DIRECTORY PORT`` is its server.
"""

import http.client
import json
import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

DAYS, TRAIN, VALIDATION, HOLDOUT, DELAY = 90, 35, 7, 7, 7
WINDOWS = (1, 7, 30)
CARD = [f"card_{what}_{w}d" for w in WINDOWS for what in ("tx_count", "amount_mean")]
TERMINAL = [f"terminal_{what}_{w}d" for w in WINDOWS for what in ("tx_count", "fraud_rate")]
FEATURES = ["amount", "is_weekend", "is_night", *CARD, *TERMINAL]
LIGHTGBM = {
    "objective": "binary",
    "seed": 7,
    "boost_from_average": False,
    "max_bin": 4095,
    "min_data_in_bin": 1,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "feature_fraction": 0.7,
    "lambda_l2": 5,
    "num_leaves": 8,
    "learning_rate": 0.05,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}
TREES = 200
FLOORS = {"average_precision": 0.25, "roc_auc": 0.75, "card_precision_at_100": 0.02}


def main(home: Path, start: date) -> dict[str, Any]:
    """Walk the whole path and return its outcome."""
    as_of = datetime(start.year, start.month, start.day, tzinfo=UTC) + timedelta(days=DAYS)
    payments, labels = ingest(home, start)
    cards, terminals = compute_features(home, payments, labels)
    store = fill_online_store(home, cards, terminals, as_of)
    splits = training_set(home, payments, labels, cards, terminals, as_of)
    model, calibration = fit(splits["train"], splits["validation"])
    metrics = evaluate(model, calibration, splits["holdout"])
    for name, floor in FLOORS.items():
        if metrics[name] < floor:
            raise SystemExit(f"{name} {metrics[name]:.4f} < {floor}")
    register(home, model, calibration, metrics)
    from ml_platform.ingestion.simulator import simulate_transactions
    from ml_platform.ingestion.simulator_parameters import SimulatorParameters

    first = simulate_transactions(SimulatorParameters(), start, as_of.date(), as_of.date()).row(0, named=True)
    return metrics | {"holdout_rows": splits["holdout"].height, "first_score": serve_and_ask(home, store, first)}


def ingest(home: Path, start: date) -> tuple[Any, Any]:
    """Validate the payments and labels of all days and write them, a file a day."""
    import polars as pl

    from ml_platform.ingestion.simulator import simulate_labels, simulate_transactions
    from ml_platform.ingestion.simulator_parameters import SimulatorParameters

    last = start + timedelta(days=DAYS - 1)
    payments = simulate_transactions(SimulatorParameters(), start, start, last)
    labels = simulate_labels(SimulatorParameters(), start, start, last)
    payments = payments.filter(
        pl.all_horizontal(pl.all().is_not_null()) & pl.col("amount").is_finite() & (pl.col("amount") >= 0)
    ).unique("transaction_id", keep="first", maintain_order=True)
    labels = labels.filter(
        pl.all_horizontal(pl.all().is_not_null())
        & pl.col("label").is_in([0, 1])
        & (pl.col("known_time") >= pl.col("event_time"))
    ).unique(["transaction_id", "known_time"], keep="first", maintain_order=True)
    write_days(home / "payments", payments, "event_time")
    write_days(home / "labels", labels, "known_time")
    return payments, labels


def write_days(directory: Path, frame: Any, time_column: str) -> None:
    """Write one Parquet file per day."""
    import polars as pl

    directory.mkdir(parents=True)
    days = frame.with_columns(_day=pl.col(time_column).dt.date()).partition_by("_day", as_dict=True, include_key=False)
    for (day,), rows in days.items():
        rows.write_parquet(directory / f"{day}.parquet", compression="zstd", statistics=True)


def compute_features(home: Path, payments: Any, labels: Any) -> tuple[Any, Any]:
    """Compute card activity and terminal risk, one row per payment, and write them, a file a day."""
    import polars as pl

    def rolling(column: str, days: int, key: str) -> Any:
        return pl.col(column).rolling_sum_by("event_time", f"{days}d", closed="right").over(key)

    counted = payments.with_columns(
        _one=pl.lit(1, pl.Int64), _micro=(pl.col("amount") * 1_000_000).round().cast(pl.Int64)
    )
    cards = counted.with_columns(
        column
        for w in WINDOWS
        for column in (
            rolling("_one", w, "customer_id").alias(f"card_tx_count_{w}d"),
            rolling("_micro", w, "customer_id").alias(f"_sum_{w}d"),
        )
    ).with_columns(
        (pl.col(f"_sum_{w}d") / (pl.col(f"card_tx_count_{w}d") * 1_000_000)).alias(f"card_amount_mean_{w}d")
        for w in WINDOWS
    )
    delay = timedelta(days=DELAY)
    frauds = labels.filter(pl.col("label") == 1).join(
        payments.select("transaction_id", "terminal_id"), on="transaction_id"
    )
    changes = pl.concat(
        [
            frauds.select(
                "terminal_id",
                pl.lit(step, pl.Int64).alias(f"_frauds_{w}d"),
                instant=pl.max_horizontal(pl.col("event_time") + delay, "known_time")
                if step == 1
                else pl.col("event_time") + delay + timedelta(days=w),
            ).filter(
                frauds["known_time"] < frauds["event_time"] + delay + timedelta(days=w),
            )
            for w in WINDOWS
            for step in (1, -1)
        ],
        how="diagonal",
    )
    sums = [f"_frauds_{w}d" for w in WINDOWS]
    known = (
        changes.group_by("terminal_id", "instant")
        .agg(pl.col(sums).sum())
        .sort("instant")
        .with_columns(pl.col(sums).cum_sum().over("terminal_id"))
    )
    terminals = (
        counted.with_columns(
            (rolling("_one", DELAY + w, "terminal_id") - rolling("_one", DELAY, "terminal_id")).alias(
                f"terminal_tx_count_{w}d"
            )
            for w in WINDOWS
        )
        .sort("event_time")
        .join_asof(known, left_on="event_time", right_on="instant", by="terminal_id", check_sortedness=False)
        .with_columns(
            pl.when(pl.col(f"terminal_tx_count_{w}d") > 0)
            .then(pl.col(f"_frauds_{w}d").fill_null(0) / pl.col(f"terminal_tx_count_{w}d"))
            .otherwise(0.0)
            .alias(f"terminal_fraud_rate_{w}d")
            for w in WINDOWS
        )
    )
    cards = cards.select("customer_id", "event_time", "transaction_id", *CARD).sort("event_time", "transaction_id")
    terminals = terminals.select("terminal_id", "event_time", "transaction_id", *TERMINAL).sort(
        "event_time", "transaction_id"
    )
    write_days(home / "cards", cards, "event_time")
    write_days(home / "terminals", terminals, "event_time")
    return cards, terminals


def fill_online_store(home: Path, cards: Any, terminals: Any, as_of: datetime) -> Any:
    """Declare the features to Feast and give its online store the newest row of each card and terminal."""
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
    from feast.types import Float64, Int64, String

    (home / "feast").mkdir()
    store = FeatureStore(
        config=RepoConfig(
            project="plain",
            provider="local",
            registry={"registry_type": "sql", "path": f"sqlite:///{home}/feast/registry.db"},
            online_store={"type": "sqlite", "path": str(home / "feast" / "online.db")},
            entity_key_serialization_version=3,
        )
    )
    newest = {}
    definitions: list[Any] = []
    for name, key, frame, features, days in (
        ("cards", "customer_id", cards, CARD, 30),
        ("terminals", "terminal_id", terminals, TERMINAL, 37),
    ):
        entity = Entity(name=key, join_keys=[key], value_type=ValueType.STRING)
        fields = [Field(name=feature, dtype=Int64 if "count" in feature else Float64) for feature in features]
        source = FileSource(name=f"{name}_files", path=str(home / name), timestamp_field="event_time")
        view = FeatureView(
            name=name,
            entities=[entity],
            ttl=timedelta(days=days),
            schema=[Field(name=key, dtype=String), *fields],
            source=source,
        )
        definitions += [entity, source, view]
        alive = frame.filter(frame["event_time"] >= as_of - timedelta(days=days))
        newest[name] = alive.unique(key, keep="last", maintain_order=True).drop("transaction_id").to_pandas()
    store.apply(definitions)
    for name, rows in newest.items():
        store.write_to_online_store(name, rows)
    return store


def training_set(home: Path, payments: Any, labels: Any, cards: Any, terminals: Any, as_of: datetime) -> dict[str, Any]:
    """Join labels and features as they were known the midnight before each payment, split by time, write the splits."""
    import polars as pl

    known = (
        labels.filter(pl.col("known_time") <= as_of)
        .sort("transaction_id", "known_time", "label")
        .unique("transaction_id", keep="last", maintain_order=True)
    )
    holdout_start = as_of - timedelta(days=DELAY + HOLDOUT)
    validation_start = holdout_start - timedelta(days=DELAY + VALIDATION)
    train_start = validation_start - timedelta(days=TRAIN)
    midnight = pl.col("event_time").dt.truncate("1d")
    rows = (
        payments.filter(pl.col("event_time") >= train_start)
        .join(known.select("transaction_id", "label"), on="transaction_id")
        .with_columns(
            _at=midnight - timedelta(microseconds=1),
            is_weekend=(pl.col("event_time").dt.weekday() >= 6).cast(pl.Float64),  # noqa: PLR2004  # Saturday
            is_night=(pl.col("event_time").dt.hour() <= 6).cast(pl.Float64),  # noqa: PLR2004
        )
        .sort("_at")
    )
    for frame, key, days in ((cards, "customer_id", 30), (terminals, "terminal_id", 37)):
        looked_up = frame.drop("transaction_id").rename({"event_time": "_then"}).sort("_then")
        features = [name for name in looked_up.columns if name not in (key, "_then")]
        rows = rows.join_asof(looked_up, left_on="_at", right_on="_then", by=key, check_sortedness=False)
        fresh = pl.col("_at") - pl.col("_then") <= timedelta(days=days)
        rows = rows.with_columns(pl.when(fresh).then(pl.col(name)).alias(name) for name in features).drop("_then")
    counts = [name for name in [*CARD, *TERMINAL] if "mean" not in name]
    rows = rows.with_columns(pl.col(counts).cast(pl.Float64).fill_null(0.0)).sort("event_time", "transaction_id")
    spans = {
        "train": (train_start, TRAIN),
        "validation": (validation_start, VALIDATION),
        "holdout": (holdout_start, HOLDOUT),
    }
    splits = {}
    (home / "training-set").mkdir()
    for name, (begin, days) in spans.items():
        inside = (rows["event_time"] >= begin) & (rows["event_time"] < begin + timedelta(days=days))
        splits[name] = rows.filter(inside)
        splits[name].write_parquet(home / "training-set" / f"{name}.parquet")
    return splits


def fit(train: Any, validation: Any) -> tuple[Any, Any]:
    """Fit LightGBM and calibrate it on the validation rows."""
    import lightgbm as lgb
    from sklearn.linear_model import LogisticRegression

    data = lgb.Dataset(
        train.select(FEATURES).to_numpy(), train["label"].to_numpy(), feature_name=FEATURES, params=LIGHTGBM
    )
    model = lgb.train(LIGHTGBM, data, num_boost_round=TREES)
    raw: Any = model.predict(validation.select(FEATURES).to_numpy(), raw_score=True, num_threads=1)
    calibration = LogisticRegression(C=1e6).fit(raw[:, None], validation["label"].to_numpy())
    return model, (float(calibration.coef_[0, 0]), float(calibration.intercept_[0]))


def evaluate(model: Any, calibration: tuple[float, float], holdout: Any) -> dict[str, Any]:
    """Measure the holdout by the platform's metrics."""
    import numpy as np
    import polars as pl
    from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

    raw = model.predict(holdout.select(FEATURES).to_numpy(), raw_score=True, num_threads=1)
    scores = 1 / (1 + np.exp(-(calibration[0] * raw + calibration[1])))
    labels = holdout["label"].to_numpy()
    found: set[str] = set()
    shares = []
    by_card = (
        holdout.select("customer_id", "label", day=pl.col("event_time").dt.date(), score=pl.Series(scores))
        .group_by("day", "customer_id")
        .agg(pl.col("score").max(), pl.col("label").max())
    )
    for day in sorted(by_card["day"].unique()):
        open_cards = by_card.filter((pl.col("day") == day) & ~pl.col("customer_id").is_in(list(found)))
        top = open_cards.sort("score", "customer_id", descending=[True, False]).head(100)
        hits = top.filter(pl.col("label") == 1)["customer_id"].to_list()
        shares.append(len(hits) / 100)
        found.update(hits)
    order = np.argsort(scores)
    bins = np.array_split(order, 10)
    error = sum(abs(scores[rows].mean() - labels[rows].mean()) * len(rows) for rows in bins) / len(scores)
    return {
        "average_precision": float(average_precision_score(labels, scores)),
        "roc_auc": float(roc_auc_score(labels, scores)),
        "card_precision_at_100": float(np.mean(shares)),
        "calibration_error": float(error),
        "brier": float(brier_score_loss(labels, scores)),
    }


def register(home: Path, model: Any, calibration: tuple[float, float], metrics: dict[str, Any]) -> None:
    """Keep the model as files, with its metrics, approved."""
    (home / "model").mkdir()
    model.save_model(home / "model" / "model.txt")
    card = {"calibration": calibration, "features": FEATURES, "metrics": metrics, "version": 1, "status": "Approved"}
    (home / "model" / "card.json").write_text(json.dumps(card))


def serve_and_ask(home: Path, store: Any, payment: dict[str, Any]) -> float:
    """Start the server, look the payment's features up, and return the score it answers."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-m", "bench.plain_script", "serve", str(home), str(port)])
    try:
        wanted = [*(f"cards:{name}" for name in CARD), *(f"terminals:{name}" for name in TERMINAL)]
        keys = {name: payment[name] for name in ("customer_id", "terminal_id")}
        found = store.get_online_features(wanted, [keys]).to_dict()
        moment = payment["event_time"]
        row = {"amount": payment["amount"], "is_weekend": float(moment.weekday() >= 5), "is_night": moment.hour <= 6}  # noqa: PLR2004
        for name in [*CARD, *TERMINAL]:
            value = found[name][0]
            row[name] = (None if "mean" in name else 0.0) if value is None else value
        return float(_ask(port, [row[name] for name in FEATURES])["score"])
    finally:
        server.terminate()
        server.wait()


def _ask(port: int, row: list[float | None]) -> dict[str, Any]:
    for _ in range(600):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("POST", "/", json.dumps(row))
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return answer
        finally:
            connection.close()
    raise SystemExit("The server did not start.")


def serve(home: Path, port: int) -> None:
    """Answer scores over HTTP until terminated."""
    import lightgbm as lgb
    import numpy as np
    import uvicorn

    model = lgb.Booster(model_file=home / "model" / "model.txt")
    slope, intercept = json.loads((home / "model" / "card.json").read_text())["calibration"]

    async def app(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001  # ASGI
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        row = np.array([json.loads(body)], dtype=float)
        raw = float(model.predict(row, raw_score=True, num_threads=1)[0])
        content = json.dumps({"score": 1 / (1 + np.exp(-(slope * raw + intercept)))}).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": content})

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", lifespan="off")


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        sys.stdout.write(json.dumps(main(Path(sys.argv[1]), date.fromisoformat(sys.argv[2]))) + "\n")
