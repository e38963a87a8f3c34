"""`python tests/demo_picture.py`: run the demo on a terminal of its own, write docs/demo.svg.

Every character in the picture is what the demo wrote: nothing is typed by hand.
"""

import os
import pty
import re
import struct
import sys
import tempfile
from fcntl import ioctl
from io import StringIO
from pathlib import Path
from subprocess import Popen
from termios import TIOCSWINSZ

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

PICTURE = Path(__file__).parents[1] / "docs" / "demo.svg"
COLUMNS, ROWS = 96, 100
_FONTS = "ui-monospace, SFMono-Regular, Menlo, Consolas, DejaVu Sans Mono, monospace"
# What moves the cursor or wipes a line; colours (which end in m) stay in the text.
_MOVES = re.compile(r"(\x1b\[\d*[AK]|\x1b\[\?\d+[hl]|\n)")


def main() -> None:
    """Run the demo, and write the picture if it came to a good end."""
    with tempfile.TemporaryDirectory() as folder:
        written, code = on_terminal([sys.executable, "-m", "kitepipe", "demo"], Path(folder))
    if code:
        sys.exit(f"{written}\nthe demo ended with {code}: no picture")
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(as_svg("$ kitepipe demo\n" + on_screen(written)), encoding="utf-8")


def on_terminal(command: list[str], folder: Path) -> tuple[str, int]:
    """Run a command on a pseudo-terminal; return all that it wrote there, and its exit code."""
    ours, theirs = pty.openpty()
    ioctl(theirs, TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    kept = {k: v for k, v in os.environ.items() if not k.startswith("KITEPIPE_")}
    env = kept | {"TERM": "xterm-256color", "PYTHONPATH": str(PICTURE.parents[1])}
    pieces = []
    with Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder, env=env) as run:
        os.close(theirs)
        try:
            while piece := os.read(ours, 65536):
                pieces.append(piece)
        except OSError:  # Linux's way to say that the other end is closed
            pass
    os.close(ours)
    return b"".join(pieces).decode(), run.returncode


def on_screen(written: str) -> str:
    """Return what stands on the screen at the end: live bars wrote their lines many times."""
    lines, row = [""], 0
    for piece in _MOVES.split(written.replace("\r", "")):
        if piece == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif piece.endswith("A") and piece.startswith("\x1b["):
            row -= int(piece[2:-1] or 1)
        elif piece.endswith("K") and piece.startswith("\x1b["):
            lines[row] = ""
        elif not piece.startswith("\x1b[?"):
            lines[row] += piece
    return "\n".join(lines).rstrip()


def as_svg(text: str) -> str:
    """Draw a terminal; its fonts are the reader's own, nothing is loaded from elsewhere."""
    console = Console(record=True, width=COLUMNS, file=StringIO(), legacy_windows=False)
    console.print(Text.from_ansi(text))
    template = re.sub(r"\s*@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    template = template.replace("font-family: Fira Code, monospace", f"font-family: {_FONTS}")
    svg = console.export_svg(title="kitepipe demo", code_format=template, unique_id="kitepipe")
    return re.sub(r"[ \t]+$", "", svg, flags=re.MULTILINE)


if __name__ == "__main__":
    main()
