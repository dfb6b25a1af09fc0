"""``python -m hostadmin``."""

from hostadmin.cli import main

main()
