"""The active external market participant (aEMT): commands to CLS, records from SMGWs."""
