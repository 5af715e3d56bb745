"""What a dropped file asks for: read from its name, or from its folder's recipe. Pure.

Only the form is judged here; whether there is such a cluster or EID, the server knows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eomd.inbox_layout import stem_of
from eomd.watchdog.charge import InboxCharge

SHAPE = "MODEL_CLUSTER[_MODE]_EIDS[_opID][_ANYTHING].csv or .txt"
_EXAMPLES = "query_fish_1001,1002_x.csv, modify_fish_inc_1001_op7.csv"
_EXTENSIONS = (".csv", ".txt")
_MODELS = ("query", "modify")
_MODES = ("inc", "dec", "set")
_CLUSTER = re.compile(r"[a-z][a-z0-9-]*")
_EIDS = re.compile(r"[0-9]+(,[0-9]+)*")
_OPERATOR = re.compile(r"op([0-9]+)")


@dataclass(frozen=True, slots=True)
class HandIn:
    """What is to be done with a file: the hand-in of one model, its config as the API takes it."""

    model: str
    config: Mapping[str, Any]
    #: an identical modify of late does not refuse it
    confirm_repeat: bool = False


class NameProblemError(ValueError):
    """A file's name does not say what to do with it. `str(error)` is for who dropped it."""


def read_name(name: str, inbox: InboxCharge) -> HandIn:
    """Return what a name in the inbox itself asks for, whatever the case. Raises NameProblemError."""
    if not name.lower().endswith(_EXTENSIONS):
        raise _wrong("it ends in neither .csv nor .txt")
    model, *parts = stem_of(name).lower().split("_")
    if model not in _MODELS:
        raise _wrong("it begins with neither query_ nor modify_")
    config = {"cluster": _take(parts, _CLUSTER, "a cluster", f"{model}_")}
    if model == "modify":
        config["mode"] = _take(parts, re.compile("|".join(_MODES)), "inc, dec or set", "the cluster")
    after = "the mode" if model == "modify" else "the cluster"
    config["eids"] = _take(parts, _EIDS, "EIDs such as 1001,1002", after)
    operator = _OPERATOR.fullmatch(parts[0]) if parts else None
    who = {"operatorid": int(operator[1])} if operator else {}
    return HandIn(model, {**_dropper(inbox), **config, **who})


def read_recipe(recipe: Mapping[str, Any], inbox: InboxCharge) -> HandIn:
    """Return what a recipe asks for: its table is a hand-in, with the model beside the config."""
    config = {key: value for key, value in recipe.items() if key not in ("model", "confirm_repeat")}
    return HandIn(recipe["model"], {**_dropper(inbox), **config}, bool(recipe.get("confirm_repeat")))


def _dropper(inbox: InboxCharge) -> dict[str, Any]:
    return {"operatorid": inbox.operatorid, "operatorname": inbox.operatorname or "inbox"}


def _take(parts: list[str], pattern: re.Pattern[str], what: str, after: str) -> str:
    if not parts or not pattern.fullmatch(parts[0]):
        raise _wrong(f"{what} must follow {after}")
    return parts.pop(0)


def _wrong(reason: str) -> NameProblemError:
    return NameProblemError(f"the name does not say what to do: {reason}; expected {SHAPE} ({_EXAMPLES})")
