"""Which versions of the other gateways were measured."""

import json
import re
import subprocess

from bench import gateways

_NUMBER = re.compile(r"\d+(?:\.\d+)+")


def of(name: str) -> str | None:
    """The gateway with its version, as it tells it itself; None for headgate, whose package tells."""
    if name in (gateways.NGINX.name, gateways.HAPROXY.name):
        program = gateways.debian_program(name) or name
        told = subprocess.run([program, "-v"], capture_output=True, text=True, check=True)
        return f"{name} {number_in(told.stdout + told.stderr)}"
    if name == "litellm":
        python = gateways.LITELLM.with_name("python")
        ask = "from importlib.metadata import version; print(version('litellm'))"
        told = subprocess.run([str(python), "-c", ask], capture_output=True, text=True, check=True)
        return f"{name} {number_in(told.stdout)}"
    if name == gateways.PORTKEY.name:
        package = gateways.PORTKEY_PROGRAM.parent.parent / "package.json"
        node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)
        return f"{name} {json.loads(package.read_text())['version']} on node {number_in(node.stdout)}"
    return None


def number_in(told: str) -> str:
    """The first version number in a text."""
    found = _NUMBER.search(told)
    return found[0] if found else "of unknown version"
