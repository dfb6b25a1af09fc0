"""The HTTP API over a Unix socket: app, identity, one router per noun, problems."""
