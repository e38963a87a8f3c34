"""Which database a run writes to."""

import pytest

from kitepipe.config import Settings
from kitepipe.doors import warehouse_dsn
from kitepipe.errors import UsageError


def test_no_dsn_is_a_usage_error() -> None:
    """Without a DSN nothing is loaded anywhere: the message says how to set one."""
    with (
        pytest.raises(UsageError, match=r"KITEPIPE_DSN.*embedded") as raised,
        warehouse_dsn(Settings()),
    ):
        pass
    assert raised.value.exit_code == 2


def test_a_dsn_is_passed_on_as_it_is() -> None:
    """A DSN that is set is not touched, nor tried."""
    with warehouse_dsn(Settings(dsn="host=nowhere dbname=kite")) as dsn:
        assert dsn == "host=nowhere dbname=kite"
