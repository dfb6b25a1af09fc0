"""Profiles and admission rules: pure functions."""
