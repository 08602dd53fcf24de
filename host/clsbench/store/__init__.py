"""Stores that several parts share. SQLite in WAL mode, one writer, durable on return."""
