"""The dashboard in a real browser, and the history that it shows."""
