"""What `mkdocs.yml` adds to the pages of docs/: the reference, one page for each package, made of its docstrings.

Its pages are found in the tree and not listed, so a new file needs nothing here.
"""

import re
from pathlib import Path

from griffe import Extension
from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parent.parent
#: The folders with a reference, from the ground floor up.
FOLDERS = ("golden", "isa", "formats", "program", "hw", "driver", "sim", "boards", "codesign", "train", "bench", "cli")
#: A module, class or function of ours where a text names it, or the file of a module.
NAME = re.compile(rf"(?<!>)<code>((?:{'|'.join(FOLDERS)})(?:[./]\w+)+?)(\.py)?</code>(?!</a>)")
#: The section of a docstring that lists the ports of a component, up to its end.
MEMBERS = re.compile(r"^(Members\n-------\n)((?:(?!\n\n\S).)*)", re.MULTILINE | re.DOTALL)


def packages(folder):
    """Dotted names of the packages in ``folder`` that hold modules, a package before those inside it."""
    found = sorted({path.parent for path in (ROOT / folder).rglob("*.py")})
    return [".".join(path.relative_to(ROOT).parts) for path in found if modules(path)]


def modules(folder):
    """Names of the modules in ``folder`` that somebody imports."""
    return [path.stem for path in sorted(folder.glob("*.py")) if path.stem not in ("__init__", "__main__")]


def page(package):
    """Markdown of the page of ``package``: its own sentence, then its modules."""
    lines = [f"# {package}", "", f"::: {package}", "    options:", "      members: false", "      show_root_heading: false",
             "      show_root_toc_entry: false", ""]  # fmt: skip
    for name in modules(ROOT / package.replace(".", "/")):
        lines += [f"::: {package}.{name}", ""]
    return "\n".join(lines)


def on_config(config):
    """Append the reference to the navigation."""
    reference = []
    for folder in FOLDERS:
        pages = [{name: f"reference/{name}.md"} for name in packages(folder)]
        reference += pages if len(pages) == 1 else [{folder: pages}]
    config.nav.append({"Reference": reference})
    return config


def on_files(files, config):
    """Add the pages of the reference to those of docs/."""
    for folder in FOLDERS:
        for package in packages(folder):
            files.append(File.generated(config, f"reference/{package}.md", content=page(package)))
    return files


def on_page_content(html, page, config, files):
    """Make a link to the reference of every name and path of ours that has an entry there."""

    def link(match):
        code = f"<code>{match[1]}{match[2] or ''}</code>"
        return f'<autoref optional identifier="{match[1].replace("/", ".")}">{code}</autoref>'

    return NAME.sub(link, html)


class Members(Extension):
    """Shows the section ``Members``, which NumPy's style does not know and the renderer makes a box of, as definitions."""

    def on_instance(self, *, obj, **kwargs):
        """griffe calls it for everything that may have a docstring."""
        if obj.docstring is not None:
            value = MEMBERS.sub(lambda section: section[1] + definitions(section[2]), obj.docstring.value)
            obj.docstring.value = value


def definitions(ports):
    """Lines ``name : direction``, each with an indented text or none, as terms and definitions in Markdown."""
    lines = []
    for line in ports.splitlines():
        if not line.startswith("    "):
            lines += ["", f"`{line.replace('`', '')}`"] if line else []
        elif lines[-1].startswith("`"):
            lines.append(f":   {line[4:]}")
        else:
            lines.append(line)
    # A term without a text would be a paragraph among definitions: it gets an empty one.
    pairs = zip(lines, [*lines[1:], ""], strict=True)
    return "\n".join(
        f"{line}\n:   &nbsp;" if line.startswith("`") and not after.startswith(":") else line for line, after in pairs
    )
