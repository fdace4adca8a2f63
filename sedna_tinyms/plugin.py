"""Puts the TINYMS and ONNX backends into KubeEdge Sedna, without editing Sedna.

Sedna has no registry of backends: `sedna.backend.set_backend` chooses one by ``BACKEND_TYPE``, and
several of its modules copy that function by name when they are imported. `register` therefore

- hooks the import of `sedna.backend`, so that its `set_backend` knows both from the start, also
  after `importlib.reload`;
- replaces the copies in modules that were imported earlier;
- serves the module `sedna.backend.tinyms`, which Sedna's own TinyMS proposal names;
- puts the hard-example filters of `sedna_tinyms.learning.mining` beside Sedna's own.

``import sedna_tinyms`` registers. Nothing of Sedna or MindSpore is imported before it is needed,
and `unregister` takes it back. Every other backend type, ``MINDSPORE`` included, is left
to Sedna: where KubeEdge's library is installed, its users get what they always got.
"""

from __future__ import annotations

import functools
import importlib
import os
import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec

TYPE_CHECKING = False  # Type checkers take it for true; `typing` itself would double our cost.
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from types import ModuleType
    from typing import Any, Literal

__all__ = [
    "choose_device",
    "create_backend",
    "holds_library",
    "is_registered",
    "library",
    "register",
    "selected_backend",
    "unregister",
]

BACKENDS = {
    "TINYMS": "sedna_tinyms.backend:TinyMSBackend",
    "ONNX": "sedna_tinyms.backend:ONNXBackend",
}
"""Backend types that are ours in KubeEdge's library, and where the class is found."""

VIRTUAL_MODULE = "sedna.backend.tinyms"
PARTS = frozenset(
    f"sedna.{part}"
    for part in ("algorithms", "backend", "common", "core", "datasources", "service")
)
"""What KubeEdge's library has directly below `sedna`."""
PATCHED = frozenset({"sedna.algorithms", "sedna.backend"})
"""Those that are patched when they are imported: with filters, and with backends."""


def register() -> None:
    """Make ``BACKEND_TYPE`` (in any case) resolve to one of `BACKENDS`; once is enough."""
    if not is_registered():
        sys.meta_path.insert(0, _FINDER)
    for module, function in _bound_names():
        if function.__module__ == "sedna.backend" and not _is_ours(function):
            module.set_backend = _knowing_ours(function)  # type: ignore[attr-defined]
    if "sedna.algorithms" in sys.modules:
        factory = importlib.import_module("sedna.common.class_factory").ClassFactory
        _load("sedna_tinyms.learning.mining:register")(factory)


def unregister() -> None:
    """Take back all that `register` did, but for the names of our hard-example filters."""
    if is_registered():
        sys.meta_path.remove(_FINDER)
    for module, function in _bound_names():
        if _is_ours(function):
            module.set_backend = function.__wrapped__  # type: ignore[attr-defined]
    virtual = sys.modules.get(VIRTUAL_MODULE)
    if virtual is not None and virtual.__loader__ is _FINDER:
        del sys.modules[VIRTUAL_MODULE]
        vars(sys.modules["sedna.backend"]).pop("tinyms", None)


def is_registered() -> bool:
    """Tell whether the import hook is in place."""
    return _FINDER in sys.meta_path


def library() -> Literal["kubeedge", "embedded"] | None:
    """Say which worker library ``import sedna`` gives, without importing it.

    Returns
    -------
    "kubeedge", "embedded" or None
        None if there is none.

    Raises
    ------
    WorkerLibraryError
        If it is the unrelated package that owns the name on the package index, or another.
    """
    spec = find_spec("sedna")
    if spec is None:
        return None
    locations = list(spec.submodule_search_locations or ())
    embedded = find_spec("sedna_tinyms.sedna")
    if embedded is not None and locations == embedded.submodule_search_locations:
        return "embedded"
    if holds_library(*locations):
        return "kubeedge"
    if spec.origin is None:
        return None  # Merely a directory that happens to be called sedna, such as a checkout.
    raise _wrong_library(spec.origin)


def holds_library(*locations: str | os.PathLike[str]) -> bool:
    """Tell KubeEdge's package directory from another by what lies in it; nothing is imported."""
    return all(_has_package(name, locations) for name in ("backend", "core.incremental_learning"))


def selected_backend(config: object, *, default: str = "UNKNOWN") -> str:
    """Return the backend type asked for, in capitals: the environment's before the config's."""
    asked = os.environ.get("BACKEND_TYPE")
    if asked is None:
        asked = getattr(config, "backend_type", None) or default
    return str(asked).upper()


def choose_device(
    config: object = None, environment: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Read off the device, as keywords of a backend, from the environment.

    ``DEVICE_CATEGORY`` is an explicit wish and decides, except that an empty
    ``CUDA_VISIBLE_DEVICES`` (or ``-1``) hides every GPU. Without a category, a GPU that is visible
    is used. The environment is left as it is.
    """
    env = os.environ if environment is None else environment
    visible = env.get("CUDA_VISIBLE_DEVICES")
    hidden = visible is not None and visible.strip() in ("", "-1")
    category = (env.get("DEVICE_CATEGORY") or "").strip().upper()
    if not category:
        configured = str(getattr(config, "device_category", None) or "CPU").upper()
        category = "GPU" if visible is not None and not hidden else configured
    if category == "GPU" and hidden:
        category = "CPU"
    return {
        "use_cuda": category == "GPU",
        "use_npu": category in ("NPU", "ASCEND"),
        "device_category": category,
    }


def create_backend(target: str, estimator: object, config: Any) -> Any:
    """Build the backend found at `target` (``"module:class"``) as Sedna builds its own."""
    return _load(target)(
        estimator=estimator,
        model_save_path=getattr(config, "base_model_url", None) or config.model_url,
        model_name=config.model_name,
        model_save_url=config.model_url,
        **choose_device(config),
    )


class _Finder:
    """Finds `sedna.backend` as everybody else does, then patches what was loaded."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name == VIRTUAL_MODULE:
            return ModuleSpec(name, self, origin=BACKENDS["TINYMS"])  # type: ignore[arg-type]
        if name not in PARTS:
            return None
        spec = next(_specs_of_others(name, path, target), None)
        if spec is None:
            raise _wrong_library(path[0] if path else "an unknown place")
        if name in PATCHED and spec.loader is not None:
            spec.loader = _PatchingLoader(spec.loader)  # type: ignore[assignment]
        return spec

    def create_module(self, _spec: ModuleSpec) -> None:
        """Let Python create the virtual module."""

    def exec_module(self, module: ModuleType) -> None:
        """Fill the virtual module."""
        module.__doc__ = "The TinyMS backend, where Sedna's proposal puts it."
        module.TinyMSBackend = _load(BACKENDS["TINYMS"])  # type: ignore[attr-defined]


class _PatchingLoader:
    """Stands in for the real loader of a module of `PATCHED` while that module is executed."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        created: ModuleType | None = self._loader.create_module(spec)
        return created

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        register()


_FINDER: Any = _Finder()


def _specs_of_others(
    name: str, path: Sequence[str] | None, target: ModuleType | None
) -> Iterator[ModuleSpec]:
    for finder in list(sys.meta_path):
        if finder is not _FINDER and (spec := finder.find_spec(name, path, target)) is not None:
            yield spec


def _knowing_ours(upstream: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap Sedna's `set_backend`; anything that is not ours goes through untouched."""

    @functools.wraps(upstream)
    def set_backend(estimator: object = None, config: Any = None) -> Any:
        settings = config
        if settings is None:
            settings = importlib.import_module("sedna.common.config").BaseConfig()
        target = BACKENDS.get(selected_backend(settings))
        if estimator is None or target is None:
            return upstream(estimator, config)
        return create_backend(target, estimator, settings)

    set_backend.__sedna_tinyms__ = True  # type: ignore[attr-defined]
    return set_backend


def _is_ours(function: object) -> bool:
    return getattr(function, "__sedna_tinyms__", False) is True


def _bound_names() -> Iterator[tuple[ModuleType, Any]]:
    """Yield every module that has a function called `set_backend`, Sedna's or a copier's."""
    for module in list(sys.modules.values()):
        function = getattr(module, "__dict__", {}).get("set_backend")
        if callable(function) and hasattr(function, "__module__"):
            yield module, function


def _has_package(name: str, locations: Iterable[str | os.PathLike[str]]) -> bool:
    """Look for a package below directories or archives."""
    import pkgutil

    found = [os.fspath(location) for location in locations]
    for part in name.split("."):
        finders = filter(None, map(pkgutil.get_importer, found))
        specs = (finder.find_spec(part) for finder in finders)
        spec = next((spec for spec in specs if spec is not None and spec.loader is not None), None)
        if spec is None:
            return False
        found = list(spec.submodule_search_locations or ())
    return True


def _load(target: str) -> Any:
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


def _wrong_library(place: str) -> ImportError:
    from sedna_tinyms.errors import WorkerLibraryError

    return WorkerLibraryError(
        f"`sedna` at {place} is not KubeEdge Sedna's library but something else of the same name "
        "(`pip install sedna` brings an unrelated package): remove it with `pip uninstall sedna`, "
        "then either put KubeEdge's `lib` directory on PYTHONPATH or use the worker library that "
        "sedna-tinyms brings (`sedna-tinyms exec worker.py`, or `sedna_tinyms.sedna.install()`)",
        code="wrong-library",
        path=place,
    )
