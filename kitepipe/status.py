"""What is staged, what is loaded, who is at work: read, never written."""

from dataclasses import replace

from kitepipe.config import Settings
from kitepipe.errors import StagingBusy
from kitepipe.gaps import all_gaps
from kitepipe.holder import read_holder, reading
from kitepipe.lost import all_losses
from kitepipe.model import IST, utc_now
from kitepipe.staging_memory import PLANNING_MB
from kitepipe.status_staging import select_staged
from kitepipe.summary import StatusReport

_NO_GAPS = "gaps were not looked for: come again when nobody writes the file"


def status(settings: Settings, *, quarantine: bool = False, gaps: bool = False) -> StatusReport:
    """Return what staging and, where a DSN is set, the warehouse hold.

    While another process writes the staging file, only that process is told of. A warehouse that
    cannot be reached is a warning: what is staged can be told without it. With `quarantine` it is
    an error, and so is a missing DSN. With `gaps` what staging lacks is told too.
    """
    report = _staged(settings, gaps=gaps)
    if not (quarantine or (settings.dsn and report.staging_id)):
        return report
    # What is staged is told without the time that the database's driver takes.
    from kitepipe.status_warehouse import select_quarantine, with_warehouse

    if settings.dsn and report.staging_id:
        report = with_warehouse(settings, report)
    return replace(report, quarantine=select_quarantine(settings)) if quarantine else report


def _staged(settings: Settings, *, gaps: bool) -> StatusReport:
    path = settings.staging
    if not path.exists():
        missing = f"{path} is not there yet: nothing is staged"
        return StatusReport(staging=str(path), warnings=[missing])
    try:
        with (
            reading(path, wait=False, archive=settings.archive) as staging,
            staging.memory.based(PLANNING_MB),
            staging.cursor() as cursor,
        ):
            today = utc_now().astimezone(IST).date()
            lost = [one.failure for one in all_losses(settings, today, cursor)]
            report = replace(select_staged(staging, cursor), lost=lost)
            if gaps:
                report = replace(report, gaps=all_gaps(cursor))
    except StagingBusy as error:
        holder = read_holder(path)
        why = f"{str(error).rpartition('; ')[0]}; come again when it is done"
        return StatusReport(
            staging=str(path),
            file_bytes=path.stat().st_size,
            holder=holder,
            warnings=[*([] if holder else [why]), *([_NO_GAPS] if gaps else [])],
        )
    return report
