"""What exists once: payments and features, schedules, sensors, resources; and one folder per model in ``models``."""
