"""Linux: accounts, groups, processes, /proc, cgroups, mounts, sockets. Only starter of programs."""
