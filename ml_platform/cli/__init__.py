"""The ``ml-platform`` command. It may import everything; nothing imports it."""
