"""Beat, workers and stores as real processes, with backends that write down when they were
asked. Each test ends with a wait for a condition; PATIENCE_S is how long before it fails."""

PATIENCE_S = 30.0
INTERVAL_S = 1.0
