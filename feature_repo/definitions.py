"""Every definition there is. The one file that ``feast -c feature_repo`` reads; see ``.feastignore``."""

from feature_repo.entities import customer, terminal
from feature_repo.feature_services import fraud_v1
from feature_repo.feature_views import card_activity, terminal_risk
from feature_repo.on_demand_views import payment_calendar
from feature_repo.sources import card_activity_table, payment_request, terminal_risk_table

DEFINITIONS = [
    customer,
    terminal,
    card_activity_table,
    terminal_risk_table,
    payment_request,
    card_activity,
    terminal_risk,
    payment_calendar,
    fraud_v1,
]
