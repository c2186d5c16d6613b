"""Whose time it was."""

from bench.profiling import Share, shares


def test_shares_count_a_function_once_a_stack() -> None:
    folded = "main;run;parse;parse 6\nmain;run 2\nmain;x;parse 2\n"
    main, *others = shares(folded)
    assert main == Share("main", 0, 1)
    assert {share.function: (share.own, share.total) for share in others} == {
        "parse": (0.8, 0.8),
        "run": (0.2, 0.8),
        "x": (0, 0.2),
    }
