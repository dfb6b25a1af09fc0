"""The ledger of Engine objects: resync, watcher, adoption, and what an administrator does with them."""
