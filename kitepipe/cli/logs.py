"""Logging to stderr: words where a terminal reads them, one JSON object a line elsewhere."""

import json
import logging
import sys
from datetime import UTC, datetime

from kitepipe.cli.output import harmless


class _StderrHandler(logging.Handler):
    """Writes to whatever stderr is now: live bars put themselves before the real one."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(harmless(self.format(record)) + "\n")
            sys.stderr.flush()
        except BrokenPipeError:
            return  # nobody reads any more; the work goes on
        except Exception:
            self.handleError(record)


class _JsonFormatter(logging.Formatter):
    """One object a line: time (UTC), level, logger, message, and a traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class _TextFormatter(logging.Formatter):
    """Local time, the level where it is more than news, and the message."""

    def format(self, record: logging.LogRecord) -> str:
        self.datefmt = "%H:%M:%S"
        news = record.levelno <= logging.INFO
        level = "" if news else f"{record.levelname.lower()}: "
        text = f"{self.formatTime(record, self.datefmt)} {level}{record.getMessage()}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


def set_up(log_format: str, verbose: bool) -> None:
    """Log kitepipe's own news (with `verbose`, every window) and others' warnings to stderr."""
    handler = _StderrHandler()
    handler.setFormatter(_JsonFormatter() if writes_json(log_format) else _TextFormatter())
    root = logging.getLogger()
    for old in [h for h in root.handlers if isinstance(h, _StderrHandler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    logging.getLogger("kitepipe").setLevel(logging.DEBUG if verbose else logging.INFO)


def writes_json(log_format: str) -> bool:
    """Say whether log lines are JSON: where asked for, or where no terminal reads them."""
    return log_format == "json" or (log_format == "auto" and not sys.stderr.isatty())
