"""From raw payments to validated daily tables: sources, the simulator, quality rules and landing."""
