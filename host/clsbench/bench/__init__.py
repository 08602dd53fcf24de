"""The bench: plant, board and roles put together, and what is observed on it."""
