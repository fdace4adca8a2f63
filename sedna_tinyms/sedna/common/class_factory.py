"""The registry in which jobs look up hard-example filters and callbacks by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from sedna_tinyms.errors import ConfigurationError, did_you_mean

__all__ = ["ClassFactory", "ClassType"]

Registered = TypeVar("Registered", bound=Callable[..., Any])


class ClassType:
    """The shelves of the registry."""

    GENERAL = "general"
    HEM = "hard_example_mining"
    FL_AGG = "aggregation"
    MTL = "multi_task_learning"
    UTD = "unseen_task_detect"
    OF = "optical_flow"
    ALGORITHM = "algorithm"
    DATASET = "data_process"
    CALLBACK = "post_process_callback"
    UTP = "unseen_task_processing"
    KM = "knowledge_management"
    STP = "seen_task_processing"


class ClassFactory:
    """Classes and functions by shelf and name.

    Examples
    --------
    >>> @ClassFactory.register(ClassType.CALLBACK, alias="first")
    ... def first_only(result):
    ...     return result[:1]
    >>> ClassFactory.get_cls(ClassType.CALLBACK, "first")([3, 4])
    [3]
    """

    _shelves: dict[str, dict[str, Callable[..., Any]]] = {}  # noqa: RUF012

    @classmethod
    def register(
        cls, type_name: str = ClassType.GENERAL, alias: str | None = None
    ) -> Callable[[Registered], Registered]:
        """Register the decorated class or function, under its own name or `alias`."""

        def decorate(item: Registered) -> Registered:
            return cls.register_cls(item, type_name, alias)

        return decorate

    @classmethod
    def register_cls(
        cls, item: Registered, type_name: str = ClassType.GENERAL, alias: str | None = None
    ) -> Registered:
        """Register `item`.

        Raises
        ------
        ConfigurationError
            If something else has that name. The same definition again, as after a reload,
            replaces the older one.
        """
        name = alias or item.__name__
        shelf = cls._shelves.setdefault(type_name, {})
        present = shelf.get(name)
        if present is not None and _definition(present) != _definition(item):
            raise ConfigurationError(
                f"{type_name} {name!r} is already {'.'.join(_definition(present))}; "
                f"register {'.'.join(_definition(item))} under another alias",
                code="duplicate",
                name=name,
            )
        shelf[name] = item
        return item

    @classmethod
    def register_from_package(cls, package: Any, type_name: str = ClassType.GENERAL) -> None:
        """Register every public class and function of a module."""
        for name, item in list(vars(package).items()):
            if not name.startswith("_") and callable(item) and hasattr(item, "__qualname__"):
                cls.register_cls(item, type_name)

    @classmethod
    def is_exists(cls, type_name: str, cls_name: str | None = None) -> bool:
        """Tell whether the shelf, or the name on it, exists."""
        shelf = cls._shelves.get(type_name)
        return shelf is not None and (cls_name is None or cls_name in shelf)

    @classmethod
    def get_cls(cls, type_name: str, t_cls_name: str | None = None) -> Callable[..., Any]:
        """Return what is registered under a name.

        Raises
        ------
        ConfigurationError
            A `ValueError`: nothing has that name; the message lists those that there are.
        """
        shelf = cls._shelves.get(type_name, {})
        if t_cls_name is None or t_cls_name not in shelf:
            raise ConfigurationError(
                f"no {type_name} is registered as {t_cls_name!r}"
                f"{did_you_mean(str(t_cls_name), shelf)}; "
                f"registered: {', '.join(sorted(shelf)) or 'none'}",
                code="unknown-name",
                name=t_cls_name,
                valid=tuple(sorted(shelf)),
            )
        return shelf[t_cls_name]


def _definition(item: Callable[..., Any]) -> tuple[str, str]:
    return item.__module__, getattr(item, "__qualname__", type(item).__qualname__)
