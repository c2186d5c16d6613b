"""Several processes on one port, and one that looks after them.

supervisor.py  starts workers, starts those anew that die, passes signals on, lets others take their place
pauses.py      how long to wait before a worker is started again
ports.py       the sockets that listen, and which of them is whose
lifeline.py    a worker's line to its supervisor
handover.py    what a supervisor tells the program that takes its place
siblings.py    what workers ask each other
"""
