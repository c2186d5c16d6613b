"""What needs npm: the dashboard built anew, and axe-core's look at it. `make test-dashboard`, part of `make test`."""
