import time

import pytest

from headgate.cli.progress import counting, told, waiting


def test_nobody_looks_on_nothing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with counting("Exporting", "records", 10) as advance, waiting("Opening"):
        advance(5, "note")
        told("done")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("total", [None, 2_000])
def test_a_terminal_sees_how_far_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, total: int | None
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with counting("Exporting", "records", total) as advance:
        advance(1_000, "back to noon")
        advance(234, "back to ten")
    err = ""
    with waiting("Opening the database", after_seconds=0.0):
        while "Opening the database" not in err:
            err += capsys.readouterr().err
            time.sleep(0.01)
    with waiting("Nothing that takes long"):
        pass
    told("1,234 records")
    out, rest = capsys.readouterr()
    err += rest
    assert out == ""
    assert "Nothing" not in err
    assert "Exporting" in err
    assert ("1,234 of 2,000 records" if total else "1,234 records") in err
    assert "back to ten" in err
    assert "Opening the database" in err
    assert err.endswith("1,234 records\n")
