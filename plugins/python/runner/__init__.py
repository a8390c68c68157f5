"""Runs Python that nobody trusts, one task in each instance."""
