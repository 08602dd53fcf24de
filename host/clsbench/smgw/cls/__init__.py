"""Transparent channels between control boxes and market participants, through the gateway."""
