"""Many control boxes at once on one gateway: what it holds, and how fast it is."""
