"""What the synthetic dump lists: sixty instruments with the oddities of a real dump, then more.

Symbols and tokens are Kite's own where a test or a reader may know them; prices are made up.
"""

from datetime import date
from functools import cache
from zlib import crc32

from kitepipe.model import Instrument
from kitepipe.sandbox.contracts import Slot
from kitepipe.sandbox.series import Listed, Spec
from kitepipe.sandbox.tradingdays import FIRST_DAY

# symbol|name|exchange token|price|first day, empty for the first of all|marks: F has derivatives,
# I illiquid, X index; @ stands for a contract
_EQUITIES = """
RELIANCE|RELIANCE INDUSTRIES|2885|2580||F
INFY|INFOSYS|1594|1540||F
M&M|MAHINDRA & MAHINDRA|2031|1690||F
BAJAJ-AUTO|BAJAJ AUTO|16669|6760|2008-05-26|F
NIFTY 50|NIFTY 50|1001|21740||X
TCS|TATA CONSULTANCY SERV LT|11536|3790|2004-08-25|F
HDFCBANK|HDFC BANK|1333|1700|1995-05-19|F
ETERNAL|ETERNAL|5097|124|2021-07-23|F
CENTRALBK-BE|CENTRAL BANK OF INDIA|14898|51|2007-08-21|I
NIFTY PSU BANK|NIFTY PSU BANK|1027|5750|2004-01-02|X
@NIFTY0
@NIFTY1
@NIFTY2
@CRUDEOIL0
@CE
@PE
NIFTY BANK|NIFTY BANK|1017|48290|2000-01-04|X
735TN30-SG|SDL TN 7.35% 2030|21705|101|2020-09-17|I
EMMBI-BL|EMMBI INDUSTRIES|18145|102|2010-02-24|I
AATMAJ-SM|AATMAJ HEALTHCARE|16987|31|2023-06-30|I
SBIN|STATE BANK OF INDIA|3045|641||F
ICICIBANK|ICICI BANK|4963|994|1997-09-22|F
LT|LARSEN & TOUBRO|11483|3520|2004-06-23|F
ITC|ITC|1660|466||F
AXISBANK|AXIS BANK|5900|1100|1998-12-03|F
HINDUNILVR|HINDUSTAN UNILEVER|1394|2640||F
SUNPHARMA|SUN PHARMACEUTICAL IND L|3351|1260|1995-02-08|F
MARUTI|MARUTI SUZUKI INDIA|10999|10290|2003-07-09|F
TITAN|TITAN COMPANY|3506|3710||F
NTPC|NTPC|11630|311|2004-11-05|F
WIPRO|WIPRO|3787|476|1995-11-08|F
TATASTEEL|TATA STEEL|3499|139||F
HINDALCO|HINDALCO  INDUSTRIES|1363|614||F
CIPLA|CIPLA|694|1250||F
DRREDDY|DR. REDDY'S LABORATORIES|881|5810||F
GRASIM|GRASIM INDUSTRIES|1232|2130||F
L&TFH|L&T FINANCE HOLDINGS|24948|166|2011-08-12|F
J&KBANK|THE JAMMU & KASHMIR BANK|5633|123|1998-07-08|
ARE&M|AMARA RAJA ENERGY MOB|100|820||
MCDOWELL-N|UNITED SPIRITS|10447|1110|1995-03-02|F
NAM-INDIA|NIPPON L I A M|357|460|2017-11-06|
PAGEIND|PAGE INDUSTRIES|14413|38500|2007-03-16|F
NCC|NCC|2319|167||
MRF|MRF|2277|129600||
IDEA|VODAFONE IDEA|14366|16|2007-03-09|F
SUZLON|SUZLON ENERGY|12018|38|2005-10-19|
GOLDBEES|NIPINDETFGOLD|14428|53|2007-03-19|
NIFTYBEES|NIPINDETFNIFTY|10576|240|2002-01-08|
NIFTY IT|NIFTY IT|1015|35500|1999-06-28|X
INDIA VIX|INDIA VIX|1035|14.5|2008-03-03|X
NIFTY MIDCAP 100|NIFTY MIDCAP 100|1011|46200|2001-01-01|X
@BANKNIFTY0
@BANKNIFTY1
@BANKNIFTY2
@CE2
@PE2
@M&M0
@CRUDEOIL1
@GOLD0
@GOLD1
"""
_LOTS = {"NIFTY": 65, "BANKNIFTY": 30, "M&M": 200, "CRUDEOIL": 100, "GOLD": 100}
_BASES = {"NIFTY": "NIFTY 50", "BANKNIFTY": "NIFTY BANK", "M&M": "M&M"}
_COMMODITIES = {"CRUDEOIL": 5970.0, "GOLD": 63200.0}
# A contract keeps its token while it moves from far to near: numbers go by what it is.
_NUMBERS = ("NIFTY", "BANKNIFTY", "M&M", "CRUDEOIL", "GOLD", "CE", "PE", "CE2", "PE2")


@cache
def catalogue(count: int) -> tuple[Listed | Slot, ...]:
    """Return the first `count` lines of the dump: instruments, and slots that contracts fill."""
    lines = _EQUITIES.split("\n")[1:-1]
    rows = [_slot(line[1:]) if line[0] == "@" else _equity(line) for line in lines[:count]]
    return (*rows, *(_more(number) for number in range(len(lines), count)))


def listed_on(count: int, day: date) -> tuple[Listed, ...]:
    """Return the dump of a date."""
    rows = [row.listed(day) if isinstance(row, Slot) else row for row in catalogue(count)]
    return tuple(row for row in rows if row.spec.base or row.spec.first_day <= day)


def new_listing(instrument: Instrument, first_day: date, price: float) -> Listed:
    """Return an instrument that a test lists, with a history of its own."""
    key = f"{instrument.exchange}:{instrument.tradingsymbol}:{instrument.instrument_token}"
    market = instrument.exchange if instrument.exchange in ("NFO", "MCX") else "NSE"
    spec = Spec(key, crc32(key.encode()), market, first_day, price, instrument.expiry)
    return Listed(instrument, spec)


def _equity(line: str) -> Listed:
    symbol, name, number_text, price, since, marks = line.split("|")
    number = int(number_text)
    index = "X" in marks
    instrument = Instrument(
        instrument_token=number * 256 + (9 if index else 1),
        exchange="NSE",
        tradingsymbol=symbol,
        name=name,
        segment="INDICES" if index else "NSE",
        exchange_token=number,
        tick_size=0.0 if index else 0.05,
        lot_size=0 if index else 1,
    )
    spec = Spec(
        key=f"NSE:{symbol}",
        seed=instrument.instrument_token,
        market="NSE-FO" if "F" in marks else "NSE",
        first_day=date.fromisoformat(since) if since else FIRST_DAY,
        price=float(price),
        index=index,
        illiquid="I" in marks,
    )
    return Listed(instrument, spec)


def _more(number: int) -> Listed:
    price = 40 + number * 7919 % 3000
    since = f"{1995 + number % 25}-01-10" if number % 3 else ""
    return _equity(f"SAND{number:04}|SANDBOX COMPANY {number}|{30_000 + number}|{price}|{since}|F")


def _slot(text: str) -> Slot:
    number = 40_000 + _NUMBERS.index(text if text in _NUMBERS else text[:-1])
    if text[:2] in ("CE", "PE"):
        base = _underlying("NIFTY")
        steps = 2 if text.endswith("2") else 0
        return Slot("NFO", "NIFTY", base, _LOTS["NIFTY"], 0, text[:2], steps, number)
    name, nth = text[:-1], int(text[-1])
    exchange = "MCX" if name in _COMMODITIES else "NFO"
    return Slot(exchange, name, _underlying(name), _LOTS[name], nth, number=number)


@cache
def _underlying(name: str) -> Spec:
    if name in _COMMODITIES:
        key = f"MCX:{name}"
        return Spec(key, crc32(key.encode()), "MCX", date(2005, 1, 3), _COMMODITIES[name])
    lines = (line for line in _EQUITIES.split("\n") if line.startswith(f"{_BASES[name]}|"))
    return _equity(next(lines)).spec
