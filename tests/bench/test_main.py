"""The command: what is chosen, what is missing."""

from pathlib import Path

import pytest

from bench import __main__ as command
from bench import gateways, workloads
from bench.script import Script
from bench.targets import Target

EVERY = gateways.all_of([Script()])


def prepare(folder: Path, port: int, upstream_port: int) -> list[str]:
    return [str(folder), str(port), str(upstream_port)]


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ([], ["nginx", "haproxy", "headgate", "headgate, accounts", "litellm", "portkey"]),
        (["--without", "litellm", "--without", "haproxy"], ["nginx", "headgate", "headgate, accounts", "portkey"]),
        (["--only", "headgate, accounts"], ["nginx", "headgate, accounts"]),
        (["--only", "portkey", "--without", "nginx"], ["portkey"]),
    ],
)
def test_gateways_are_left_out_only_by_name(arguments: list[str], names: list[str]) -> None:
    assert [target.name for target in command._chosen(EVERY, command._options(arguments))] == names


def test_what_cannot_be_run_is_named_and_tried_to_install_only_when_asked(tmp_path: Path) -> None:
    program = tmp_path / "program"
    gone = Target("gone", prepare, program=lambda: None, install=("true",))
    here = Target("here", prepare)
    later = Target("later", prepare, program=gateways._file(program), install=("touch", str(program)))
    assert command._missing([gone, here, later], install=False) == [gone, later]
    assert command._missing([gone, here, later], install=True) == [gone]


def test_a_run_with_something_missing_ends_with_status_2_and_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = Target("gone", prepare, program=lambda: None, install=("make", "gone"))
    monkeypatch.setattr(gateways, "all_of", lambda scripts: [gone] if scripts else EVERY)
    assert command.main(["--quick"]) == 2
    assert capsys.readouterr().err == "gone is missing; `make gone`, or --without gone\n"


@pytest.mark.parametrize("arguments", [["--loads", "c50"], ["--only", "headgate"]])
def test_a_part_of_a_run_is_not_published(arguments: list[str]) -> None:
    with pytest.raises(SystemExit):
        command._options([*arguments, "--write-docs"])


def test_every_load_can_be_asked_for_by_its_name() -> None:
    keys = [each.key for each in workloads.workloads(workloads.FULL)]
    assert command._options(["--loads", *keys, "memory", "cold", "lateness"]).loads == [
        *keys,
        "memory",
        "cold",
        "lateness",
    ]


@pytest.mark.parametrize("exact", [True, False])
def test_how_answers_were_compared_is_told(*, exact: bool) -> None:
    target = Target("other", prepare, exact=exact)
    about = command._about(workloads.QUICK, [target], command._options(["--without", "nginx"]))
    assert ("of other for text" in about["answers"]) is not exact
    assert "not a whole run" in about["left out"]
