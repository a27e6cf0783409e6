"""`fourd doctor`: what this installation can do."""

from __future__ import annotations

from fourd.view import terminal


def doctor() -> int:
    """Say what this installation can do, and why not.

    The exit status is 0 if it can lift a clip, and 1 if something is missing for that.
    """
    from rich.text import Text

    from fourd import doctor as doctor_

    marks = {"yes": ("yes", "green"), "no": ("no", "yellow"), "broken": ("NO", "bold red")}
    found = doctor_.examine()
    rows = []
    for finding in found:
        says = finding.says + (f"\n{finding.todo}" if finding.todo else "")
        rows.append((finding.name, Text(marks[finding.state][0], marks[finding.state][1]), says))
    terminal.table(rows)
    able = doctor_.can_lift(found)
    print("\nfourd can lift clips here." if able else "\nfourd cannot lift clips here: see the lines with NO.")
    return 0 if able else 1
