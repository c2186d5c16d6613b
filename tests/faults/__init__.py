"""The whole exchange under faults of the network: client - proxy - gateway - proxy - provider.

    plays.py         what is played: recorded answers, how they are sent, and what goes wrong on the way
    stage.py         where: a gateway as it is served, on SQLite, with a prepaid account; and what came of a play
    verdict.py       what must hold, whatever was played

All of it is real: sockets, server, client, database. hypothesis chooses the plays.
"""
