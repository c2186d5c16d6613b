"""Prometheus' own linter."""

import shutil
import subprocess


def program(name: str) -> str:
    """The path of one of Prometheus' programs."""
    found = shutil.which(name)
    assert found, f"{name} is part of the package prometheus: apt-get install prometheus"
    return found


def promtool(*arguments: str, told: str = "") -> tuple[int, str]:
    """Its exit status, and what it says."""
    command = [program("promtool"), *arguments]
    done = subprocess.run(command, check=False, input=told, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout
