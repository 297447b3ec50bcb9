"""What features describe: the card that pays and the terminal it pays at."""

from feast import Entity, ValueType

customer = Entity(
    name="customer",
    join_keys=["customer_id"],
    value_type=ValueType.STRING,
    description="Holder of one card. The platform's payments know cards by their customer.",
)

terminal = Entity(
    name="terminal",
    join_keys=["terminal_id"],
    value_type=ValueType.STRING,
    description="Point of sale that accepts cards.",
)
