"""Record, write, recover, redact: one durable record per decision and action."""
