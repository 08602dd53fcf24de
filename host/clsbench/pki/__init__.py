"""The bench's own SM-Test-PKI: names, certificates, and where they lie on disk."""
