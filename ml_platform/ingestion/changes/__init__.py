"""Sources that send changes: how they are read, kept durably in the inbox, and become the rows of a day."""
