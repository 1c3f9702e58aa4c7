"""Makes the reference of the Python SDK, and says what it lacks.

    reference.py FOLDER_OF_SOURCES FOLDER_FOR_PAGES

pdoc makes the pages and warns of what it cannot import or read. That each public name has a
docstring, and that a dotted name in one exists, is looked at here, on what pdoc would show.
"""

import pkgutil
import re
import sys
import warnings
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

PACKAGE = "windlass"
MODULES = ("windlass", "windlass.testing")
PRIVATE = r"!.*\._.*"
# What `NamedTuple` says of a field without a docstring.
PLACEHOLDER = "Alias for field number"
CODE = re.compile(r"`([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+)(?:\(.*?\))?`")


def main(sources: str, pages: str) -> int:
    warnings.simplefilter("error")
    sys.path.insert(0, sources)
    import pdoc
    import pdoc.doc

    modules = [pdoc.doc.Module.from_name(name) for name in MODULES]
    complaints: list[str] = []
    for module in modules:
        adopt_variables(module)
        for shown in members(module):
            docstring = shown.docstring
            if not docstring or docstring.startswith(PLACEHOLDER):
                complaints.append(f"{shown.fullname} has no docstring")
            complaints.extend(f"{shown.fullname}: there is no `{name}`" for name in dead(docstring))
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    if complaints:
        return 1
    pdoc.render.configure(show_source=False)
    # A docstring of a variable is known only to the module that assigns it.
    adopted, read = dict(zip(MODULES, modules)), pdoc.doc.Module.from_name
    pdoc.doc.Module.from_name = staticmethod(lambda name: adopted.get(name) or read(name))
    pdoc.pdoc(*MODULES, PRIVATE, output_directory=Path(pages))
    return 0


def adopt_variables(package) -> None:
    """Gives variables that a package shows the docstrings of the modules that assign them."""
    import pdoc.doc

    found: dict[str, str] = {}
    for info in pkgutil.iter_modules(package.obj.__path__, package.fullname + "."):
        # Only components have the bindings that it imports.
        if info.name != f"{PACKAGE}._component":
            found.update(pdoc.doc.Module(import_module(info.name))._var_docstrings)
    for shown in package.members.values():
        if isinstance(shown, pdoc.doc.Variable) and not shown.docstring:
            shown.docstring = found.get(shown.name, "")


def members(shown) -> Iterator:
    """A module or class and all that is public in it, but for what a class inherits."""
    import pdoc.doc

    yield shown
    for member in shown.members.values():
        if member.name.startswith("_"):
            continue
        if isinstance(shown, pdoc.doc.Class):
            own = (shown.obj.__module__, f"{shown.obj.__qualname__}.{member.name}")
            if member.taken_from != own:
                continue
        if isinstance(member, pdoc.doc.Namespace):
            yield from members(member)
        else:
            yield member


def dead(docstring: str) -> Iterator[str]:
    """Dotted names that begin with something of the package, and end nowhere."""
    package = import_module(PACKAGE)
    for name in CODE.findall(docstring):
        first, *rest = name.removeprefix(f"{PACKAGE}.").split(".")
        if not hasattr(package, first):
            if name.startswith(f"{PACKAGE}.") and name != f"{PACKAGE}.yaml":
                yield name
            continue
        at = getattr(package, first)
        for part in rest:
            fields = getattr(at, "__annotations__", {})
            if part not in fields and not hasattr(at, part):
                yield name
                break
            at = getattr(at, part, None)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
