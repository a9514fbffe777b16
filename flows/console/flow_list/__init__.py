"""The list of flows: its filters, columns and orders, and the peek pane beside it."""
