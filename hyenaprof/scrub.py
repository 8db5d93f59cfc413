"""Takes what belongs to a person or a machine out of text before it is stored: paths, host name, user name."""

from __future__ import annotations

import getpass
import os
import re
import socket
from functools import cache
from pathlib import Path

_PATH = re.compile(r"(?<![\w./~<])(?:~|[A-Za-z]:)?[/\\](?:[\w.@+=-]+[/\\])+([\w.@+=-]*)")
_SHORTEST_NAME = 3
"""A shorter host or user name is left alone: it would tear words apart."""


def scrub(text: str) -> str:
    """Gives the text without home directory, absolute paths, host name and user name.

    Of an absolute path the last part stays, so that `line 12 of hyena.py` remains readable.
    """
    for name, stand_in in _names():
        text = name.sub(stand_in, text)
    return _PATH.sub(r"\1", text)


@cache
def _names() -> tuple[tuple[re.Pattern[str], str], ...]:
    found = [(re.compile(re.escape(home) + r"(?=[/\\]|\b)"), "~") for home in _homes()]
    words = ((_hosts(), "<host>"), (_users(), "<user>"))
    found += [(_word(name), stand_in) for names, stand_in in words for name in names if len(name) >= _SHORTEST_NAME]
    return tuple(found)


def _word(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])", re.IGNORECASE)


def _homes() -> tuple[str, ...]:
    home = os.environ.get("HOME", "")
    known = {home, str(Path("~").expanduser())}
    return tuple(sorted((h for h in known if len(h) > 1 and h != "~"), key=len, reverse=True))


def _hosts() -> tuple[str, ...]:
    host = socket.gethostname()
    return tuple(dict.fromkeys(name for name in (host, host.partition(".")[0]) if name and name != "localhost"))


def _users() -> tuple[str, ...]:
    """The user's name; `root` names nobody and stands in too many messages."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # an id without a name, as in many containers
        return ()
    return () if user == "root" else (user,)
