"""Accounts: names, credentials, and the service that makes, changes and removes them."""
