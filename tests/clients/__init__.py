"""headgate between real agents, as npm installs them, and a provider played from a script.

`make test-clients` installs them into `.clients` and runs these; `make test` does so where there is npm. They are no
part of a bare `pytest`. The configurations are those of docs/clients.md, read from there.
"""
