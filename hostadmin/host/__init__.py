"""Linux: accounts, groups, processes, /proc, sockets. Only starter of programs."""
