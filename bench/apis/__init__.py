"""The wire APIs that the scripted upstream and the load speak: one file each, pure.

An API is a `Wire`: what is asked, what must come back byte for byte, and what a client reads in an answer.
"""

from bench.apis.base import Meaning, Wire
from bench.apis.chat import CHAT
from bench.apis.messages import MESSAGES
from bench.apis.responses import RESPONSES

WIRES = {wire.name: wire for wire in (CHAT, RESPONSES, MESSAGES)}
"""By the name that scripts use."""

__all__ = ["CHAT", "MESSAGES", "RESPONSES", "WIRES", "Meaning", "Wire"]
