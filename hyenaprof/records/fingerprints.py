"""Whether two fingerprints' times may be held against each other, and in what they differ."""

from __future__ import annotations

from collections.abc import Sequence

from hyenaprof.errors import FingerprintError
from hyenaprof.model import Fingerprint

PARTS = ("machine", "software", "protocol")


def differences(
    there: Fingerprint, here: Fingerprint, names: tuple[str, str] = ("there", "here"), *, parts: Sequence[str] = PARTS
) -> tuple[str, ...]:
    """Facts in which two fingerprints differ, each as `software.torch: 2.13.0 there, 2.14.0 here`.

    Args:
        there: The one.
        here: The other.
        names: How the two are called.
        parts: Which parts are looked at.
    """
    return tuple(
        f"{part}.{fact}: {getattr(there, part).get(fact)} {names[0]}, {getattr(here, part).get(fact)} {names[1]}"
        for part in parts
        for fact in sorted({*getattr(there, part), *getattr(here, part)})
        if getattr(there, part).get(fact) != getattr(here, part).get(fact)
    )


def few(found: Sequence[str], most: int = 4) -> str:
    """The first of them, and how many more."""
    return "; ".join(found[:most]) + (f"; and {len(found) - most} more" if len(found) > most else "")


def refuse_other(there: Fingerprint, here: Fingerprint, *, other_machine: bool = False) -> tuple[str, ...]:
    """Lets a session be held against stored ones only of its own machine and protocol.

    Args:
        there: What is stored.
        here: Where the session was measured.
        other_machine: Lets another machine pass.

    Returns:
        What differs all the same: software, a candidate for the cause of what changed, and a machine that was let pass.

    Raises:
        FingerprintError: Another protocol, or another machine that was not let pass.
    """
    names = ("in the baseline", "here")
    if found := differences(there, here, names, parts=("protocol",)):
        raise FingerprintError(
            f"the baseline was measured under another protocol: {few(found)}",
            hint="measure as the baseline was measured, or begin a new one: hyenaprof baseline new",
        )
    found = differences(there, here, names, parts=("machine",))
    if found and not other_machine:
        raise FingerprintError(
            f"the baseline was measured on another machine: {few(found)}",
            hint="run it there, or begin a baseline here; `hyenaprof baseline add` takes it with --other-machine",
        )
    return (*found, *differences(there, here, names, parts=("software",)))
