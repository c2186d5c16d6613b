"""The benchmark: what is asked and expected, statistics, configurations, the report, a small run. Never a time."""
