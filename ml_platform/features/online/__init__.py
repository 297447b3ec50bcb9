"""Online: Feast materialization, reading for a live payment, and the proof that both stores agree."""
