"""Builds the dashboard anew; needs npm, so `make test-dashboard` runs it, and `make test` where npm is."""
