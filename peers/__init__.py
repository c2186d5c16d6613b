"""headgate in front of other people's servers that are too large for the tests' own environment.

`make peers`, which is part of `make test`, builds an environment for each and runs these. They are no part of a bare
`pytest`, which could not find their servers.
"""
