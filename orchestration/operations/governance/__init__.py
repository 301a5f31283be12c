"""Governance: documents about what serves, filled from evidence; what nothing shows and nobody declared is shown as a blank."""
