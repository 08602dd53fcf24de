"""The demo: a scenario on the bench, and the checks of what came of it."""
