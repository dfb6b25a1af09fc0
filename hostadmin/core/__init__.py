"""What everything else may lean on: errors, clock, names, small values. Imports nothing of ours."""
