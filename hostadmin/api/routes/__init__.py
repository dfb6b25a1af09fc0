"""One router per noun. Endpoints translate; services decide and act."""
