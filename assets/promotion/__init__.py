"""Promotion: gate rules and their verdict, the ledger, the model registry and the model card."""
