"""Give a room full of people docker on one Linux host without giving them the host."""

__version__ = "0.1.0"
