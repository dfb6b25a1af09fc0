"""The guard beside the bare engine and beside HAProxy as a socket proxy."""
