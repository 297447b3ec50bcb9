"""Every definition there is. The one file that ``feast -c feature_repo`` reads; see ``.feastignore``."""

from feature_repo.entities import customer, terminal
from feature_repo.feature_services import fraud_v1, fraud_v2
from feature_repo.feature_views import card_activity, card_history, terminal_history, terminal_risk
from feature_repo.on_demand_views import card_windows, payment_calendar, terminal_windows
from feature_repo.sources import (
    card_activity_table,
    payment_request,
    payments_table,
    scored_payment,
    terminal_risk_table,
)

DEFINITIONS = [
    customer,
    terminal,
    card_activity_table,
    terminal_risk_table,
    payments_table,
    payment_request,
    scored_payment,
    card_activity,
    terminal_risk,
    card_history,
    terminal_history,
    payment_calendar,
    card_windows,
    terminal_windows,
    fraud_v1,
    fraud_v2,
]
