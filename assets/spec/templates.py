"""Templates in a declaration: `{{ env.NAME }}`, written as in Dagster's components and resolved the same way without Dagster.

Only the environment can be named. Everything else that a declaration holds belongs in the file.
"""

from __future__ import annotations

import os
from typing import Any

from assets.errors import LooplineError

MARK = "{{"
FORMS = "Write {{ env.NAME }} or {{ env('NAME', 'default') }}"
Place = tuple[str | int, ...]


class TemplateError(LooplineError):
    """A template cannot be resolved.

    Parameters
    ----------
    where : tuple
        The field.
    told, remedy : str
        What is wrong with it, and what to do.
    """

    def __init__(self, where: Place, told: str, remedy: str) -> None:
        super().__init__(f"{told}. {remedy}.")
        self.where = where
        self.told = told
        self.remedy = remedy


class _UnsetError(Exception):
    """A variable of the environment is named that is not set."""


def variable(name: str) -> str | None:
    """What the environment says of a variable that a declaration names; None if nothing."""
    return os.environ.get(name) or None


class _Environment:
    """`env.NAME` and `env('NAME', 'default')`."""

    def __call__(self, name: str, default: Any = ...) -> Any:
        found = os.environ.get(name, default)
        if found is ...:
            raise _UnsetError(name)
        return found

    def __getitem__(self, name: str) -> str:
        return str(self(name))


def resolved(value: Any, where: Place = (), *, texts: frozenset[str] = frozenset()) -> Any:
    """The value with each template in it replaced by what it gives; keys are taken as they are.

    A template that is a whole Python literal gives that literal, as in Dagster: `5` is an integer, `'5'` is text. Fields that
    `texts` names are texts as they stand: no key of digits becomes a number, no quotation mark is lost.

    Raises
    ------
    TemplateError
        If a template cannot be read, or names what there is not.

    Examples
    --------
    >>> resolved({"trials": "{{ env('UNSET_TRIALS', '20') }}", "pattern": "[0-9]{2}"})
    {'trials': 20, 'pattern': '[0-9]{2}'}
    """
    match value:
        case dict():
            return {key: resolved(item, (*where, key), texts=texts) for key, item in value.items()}
        case list():
            return [resolved(item, (*where, position), texts=texts) for position, item in enumerate(value)]
        case str() if MARK in value:
            return _rendered(value, where, as_text=bool(where) and where[-1] in texts)
    return value


def escaped(value: Any) -> Any:
    """A value as a declaration must hold it, so that each text in it is read as it is.

    Examples
    --------
    >>> resolved(escaped(["plain", "{{ 1 }}"]))
    ['plain', '{{ 1 }}']
    """
    match value:
        case dict():
            return {key: escaped(item) for key, item in value.items()}
        case list() | tuple():
            return [escaped(item) for item in value]
        case str() if MARK in value:
            return f"{{{{ {repr(value)!r} }}}}"
    return value


def _rendered(text: str, where: Place, *, as_text: bool) -> Any:
    from jinja2 import Environment, StrictUndefined, Undefined, UndefinedError
    from jinja2.nativetypes import NativeEnvironment

    environment = (Environment if as_text else NativeEnvironment)(undefined=StrictUndefined)
    try:
        found: Any = environment.from_string(text).render(env=_Environment())
        if isinstance(found, Undefined):
            str(found)  # raises
    except _UnsetError as error:
        told = f"names the environment variable {error}, which is not set"
        remedy = f"Set it, or write env('{error}', 'default')"
    except UndefinedError as error:
        told, remedy = f"is a template in which {error.message}", FORMS
    except Exception as error:  # noqa: BLE001 - whatever an expression of anyone's raises
        told, remedy = f"is a template that cannot be resolved: {error}", FORMS
    else:
        return found
    raise TemplateError(where, told, remedy)
