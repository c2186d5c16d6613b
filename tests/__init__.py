"""The tests mirror src/headgate one to one; tests/e2e runs the whole gateway over real sockets."""

from hypothesis import settings

# No test asserts a time, and a shared machine has slow moments.
settings.register_profile("headgate", deadline=None)
settings.load_profile("headgate")
