"""A file's rows as columns: when, which series, and what."""

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from job.errors import ConfigError

if TYPE_CHECKING:
    import pyarrow as pa

TIMES = ("timestamp", "time", "ts", "datetime", "start")
VALUES = ("value", "v")
NO_POINT = ["", "null", "NULL", "nan", "NaN", "NAN", "na", "NA", "N/A", "None", "none", "-"]
"""What may stand in the place of a value where there is none."""

LONGEST = 1000
"""The most characters that a label may have."""

COLUMNS = 200_000
"""The most columns that a file may have."""

ROW_NUMBERS = re.compile(r"__index_level_\d+__")
"""What pandas calls the numbers of a frame's rows where it writes them to Parquet; they are no label."""

_EARLIEST, _LATEST = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) * 10**6 for year in (1970, 2200))
_UNITS = ((10**11, 10**6, 1), (10**14, 10**3, 1), (10**17, 1, 1), (10**20, 1, 10**3))
"""Below which number an epoch counts s, ms, us or ns, and what makes microseconds of it: a factor and a divisor."""


@dataclass(frozen=True, eq=False)
class Words:
    """A column of text: a code per row, and the word that each code stands for. -1 is no word."""

    codes: NDArray[np.int64]
    words: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Table:
    """The rows of a file. `stamps` are microseconds since 1970, `values` NaN or infinite where there is no point.

    A long table has one column of values, and texts that tell the series apart; a wide one has none, and every
    column of values is a series.
    """

    stamps: NDArray[np.int64]
    values: dict[str, NDArray[np.float64]]
    texts: dict[str, Words]
    wide: bool


def table(data: bytes, name: str) -> Table | None:
    """The rows of the file `name`, None where it has no columns at all.

    Raises:
        ConfigError: the file is not what its name says, or what a row holds is not what its column needs.
    """
    if not data.strip():
        return None
    parquet = name.lower().endswith(".parquet")
    header = _parquet_names(data, name) if parquet else _csv_names(data, name)
    when, value = _columns(header, name)
    numbers = [value] if value else [column for column in header if column != when]
    rows = _read_parquet(data, name) if parquet else _read_csv(data, name, header, numbers)
    texts = [column for column in header if column not in {when, value}] if value else []
    return Table(
        stamps=_stamps(rows.column(when), f"{name}, column {when!r}"),
        values={column: _numbers(rows.column(column), f"{name}, column {column!r}") for column in numbers},
        texts={column: _words(rows.column(column), f"{name}, column {column!r}") for column in texts},
        wide=value is None,
    )


def _columns(header: Sequence[str], name: str) -> tuple[str, str | None]:
    """The column of time, and that of values where there is one."""
    if len(header) > COLUMNS:
        raise ConfigError(f"{name} has {len(header)} columns; {COLUMNS} are the most: split it")
    twice = sorted(column for column, times in Counter(header).items() if times > 1)
    if twice:
        raise ConfigError(f"{name} has two columns named {twice[0]!r}; name them apart")
    if not all(column.strip() for column in header):
        raise ConfigError(f"{name} has a column without a name; name it or leave it out")
    times = [column for column in header if column.strip().lower() in TIMES]
    values = [column for column in header if column.strip().lower() in VALUES]
    if len(times) != 1:
        raise ConfigError(
            f"{name} has {len(times)} columns of time among {_listed(header)}; exactly one is named as one of: "
            f"{', '.join(TIMES)}. Columns are separated by commas"
        )
    if len(values) > 1:
        raise ConfigError(f"{name} has {len(values)} columns of values, {' and '.join(values)}; rename all but one")
    if len(header) == 1:
        raise ConfigError(f"{name} has no column beside {times[0]!r}; add one named 'value'")
    return times[0], values[0] if values else None


def _listed(header: Sequence[str]) -> str:
    text = ", ".join(repr(column[:40]) for column in header[:8])
    return text + (", ..." if len(header) > 8 else "")


def _csv_names(data: bytes, name: str) -> list[str]:
    line = data.lstrip(b"\r\n").removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0]
    try:
        text = line.decode()
        return next(csv.reader([text.strip("\r")]))
    except (UnicodeDecodeError, csv.Error, StopIteration):
        raise ConfigError(f"{name} does not begin with a line of column names in UTF-8; write it as CSV") from None


def _read_csv(data: bytes, name: str, header: list[str], numbers: list[str]) -> "pa.Table":
    import pyarrow as pa
    from pyarrow import csv as arrow

    text = pa.dictionary(pa.int32(), pa.string())
    types = dict.fromkeys(header, text) | dict.fromkeys(numbers, pa.float64())
    try:
        return arrow.read_csv(
            io.BytesIO(data if b"\n" in data else data + b"\n"),
            arrow.ReadOptions(use_threads=False),  # so that an error names its row
            arrow.ParseOptions(newlines_in_values=True),
            arrow.ConvertOptions(
                column_types=types,
                null_values=NO_POINT,
                strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid as error:
        _complain(str(error), name, header)


def _complain(error: str, name: str, header: list[str]) -> NoReturn:
    """Say what the reader of CSV did not like as the file's owner would see it."""
    bad = re.match(r"In CSV column #(\d+): (?:Row #(\d+): )?CSV conversion error to (\w+): (.*)", error, re.DOTALL)
    if bad:
        column, row, kind, what = bad.groups()
        what = what.removeprefix("invalid value ")[:80]
        rule = "is no number: write 1234.5, or nothing" if kind == "double" else "cannot be read: write UTF-8"
        hint = "; series told apart by labels need a column 'value'" if not set(VALUES) & set(header) else ""
        raise ConfigError(f"{name}, row {row or '?'}, column {header[int(column)]!r}: {what} {rule}{hint}") from None
    row_size = re.match(r"CSV parse error: (?:Row #(\d+): )?Expected (\d+) columns, got (\d+)", error)
    if row_size:
        row, want, got = row_size.groups()
        raise ConfigError(f"{name}, row {row or '?'}: {got} cells where the first row names {want}") from None
    if "straddling" in error or "Empty CSV file or block" in error:
        raise ConfigError(f"{name} has a row of more than a million characters, or a quote that does not end") from None
    raise ConfigError(f"{name} is not CSV that can be read: {error[:200]}") from None


def _parquet_names(data: bytes, name: str) -> list[str]:
    """The names of the columns, once it is sure that the file holds no more than fits."""
    import pyarrow as pa
    from pyarrow import parquet

    from job.sources.files.content import LIMIT

    try:
        file = parquet.ParquetFile(io.BytesIO(data))
        size = file.metadata.num_rows * file.metadata.num_columns * 8
        fields = [(str(field.name), field.type) for field in file.schema_arrow]
    except (pa.ArrowException, OSError) as error:
        raise ConfigError(f"{name} is not a Parquet file that can be read: {str(error)[:200]}") from None
    if size > LIMIT:
        raise ConfigError(f"{name} unpacks to {size} bytes; files are read up to {LIMIT}: split it")
    return [column for column, kind in fields if not (pa.types.is_integer(kind) and ROW_NUMBERS.fullmatch(column))]


def _read_parquet(data: bytes, name: str) -> "pa.Table":
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return parquet.read_table(io.BytesIO(data), use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise ConfigError(f"{name} is not a Parquet file that can be read: {str(error)[:200]}") from None


def _numbers(column: "pa.ChunkedArray", where: str) -> NDArray[np.float64]:
    """A column's numbers; NaN where it has none."""
    import pyarrow as pa

    try:
        return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise ConfigError(f"{where}: {column.type} cannot be read as numbers; make it a column of numbers") from None


def _coded(column: "pa.ChunkedArray", where: str) -> "tuple[NDArray[np.int64], pa.StringArray]":
    """A column of text as a code per row, -1 for an empty one, and the text of each code."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not len(column):
        return np.zeros(0, np.int64), pa.array([], pa.string())
    try:
        plain = column if pa.types.is_dictionary(column.type) else column.cast(pa.string()).dictionary_encode()
        array = plain.unify_dictionaries().combine_chunks()
        texts = array.dictionary.cast(pa.string()).fill_null("")
        codes = np.asarray(array.indices.fill_null(-1), dtype=np.int64)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise ConfigError(f"{where}: {column.type} cannot be read as text; leave it out") from None
    empty = np.flatnonzero(pc.equal(texts, "").to_numpy(zero_copy_only=False))
    return np.where(np.isin(codes, empty), -1, codes), texts


def _words(column: "pa.ChunkedArray", where: str) -> Words:
    """A column's words, each once; an empty one is none."""
    codes, texts = _coded(column, where)
    words = tuple(texts.to_pylist())
    long = next((word for word in words if len(word) > LONGEST), None)
    if long:
        raise ConfigError(f"{where}: a label of {len(long)} characters, {long[:40]!r}...; {LONGEST} is the most")
    return Words(codes, words)


def _stamps(column: "pa.ChunkedArray", where: str) -> NDArray[np.int64]:
    """A column of times in microseconds since 1970, UTC."""
    import pyarrow as pa

    kind = column.type
    if column.null_count:
        raise ConfigError(f"{where}: {column.null_count} rows have no time; leave them out")
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        stamps = column.cast(pa.timestamp("us", getattr(kind, "tz", None)), safe=False).cast(pa.int64()).to_numpy()
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
        stamps = _epochs(np.asarray(column.to_numpy()), where)
    else:
        codes, texts = _coded(column, where)
        if (codes < 0).any():
            raise ConfigError(f"{where}: row {int(np.argmax(codes < 0)) + 2} has no time; leave it out")
        stamps = _parsed(texts, codes, where)[codes]
    stamps = np.asarray(stamps, dtype=np.int64)
    if len(stamps) and not _EARLIEST <= stamps.min() <= stamps.max() < _LATEST:
        raise ConfigError(f"{where}: a time outside the years 1970 to 2199; is it in s, ms, us or ns since 1970?")
    return stamps


def _epochs(numbers: NDArray[Any], where: str) -> NDArray[np.int64]:
    """Numbers since 1970, whose unit their size tells."""
    if not len(numbers):
        return np.zeros(0, np.int64)
    if _undashed(numbers):
        raise ConfigError(f"{where}: {int(numbers[0])} is a date without dashes; write 2026-11-22T00:05:00Z")
    largest = float(np.abs(numbers.astype(np.float64)).max())
    unit = next((unit for unit in _UNITS if largest < unit[0]), None)
    if unit is None:  # so large, infinite or NaN
        raise ConfigError(f"{where}: {largest:g} is no time; write RFC 3339 or a number of s, ms, us or ns since 1970")
    _, factor, divisor = unit
    if np.issubdtype(numbers.dtype, np.integer):
        return np.asarray(numbers.astype(np.int64) * factor // divisor, dtype=np.int64)
    return np.rint(numbers * (factor / divisor)).astype(np.int64)


def _undashed(numbers: NDArray[Any]) -> bool:
    """Whether all are like 20261122 or 202611220005: as numbers since 1970 these lie in its first years."""
    for cut in (1, 10**4):
        with np.errstate(invalid="ignore"):  # of an infinite number
            days = np.floor(numbers / cut)
            year, month, day = np.floor(days / 10**4), np.floor(days / 100) % 100, days % 100
        if ((year >= 1980) & (year < 2200) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)).all():
            return True
    return False


def _parsed(texts: "pa.StringArray", codes: NDArray[np.int64], where: str) -> NDArray[np.int64]:
    """Each text's time: RFC 3339, a date and time without zone (UTC), or a number since 1970."""
    import pyarrow as pa
    import pyarrow.compute as pc

    trimmed = pc.utf8_trim_whitespace(texts)
    for kind in (pa.int64(), pa.float64()):
        try:
            return _epochs(trimmed.cast(kind).to_numpy(), where)
        except pa.ArrowInvalid:  # not all of them are numbers of that kind
            continue
    times = _dates(trimmed, where)
    wrong = np.isnat(times)
    if wrong.any():
        bad = int(np.argmax(wrong))
        row = int(np.argmax(codes == bad)) + 2
        raise ConfigError(
            f"{where}, row {row}: {texts[bad].as_py()[:60]!r} is no time; "
            "write RFC 3339 or a number of s, ms, us or ns since 1970"
        )
    return times.astype(np.int64)


def _dates(texts: "pa.StringArray", where: str) -> NDArray[np.datetime64]:
    """Each text's date and time in microseconds, not-a-time where it is none."""
    import pandas as pd
    import pyarrow.compute as pc

    dated = pc.match_substring_regex(texts, r"^\d{4}-\d\d-\d\d").to_numpy(zero_copy_only=False)
    zoned = pc.replace_substring_regex(texts, r" ?UTC$", "Z").to_pandas()
    try:
        times = pd.to_datetime(zoned.where(dated), utc=True, format="ISO8601", errors="coerce")
    except (ValueError, OverflowError):
        raise ConfigError(f"{where}: a time that no calendar has; write RFC 3339") from None
    return np.asarray(times.dt.tz_localize(None).to_numpy(), dtype="datetime64[us]")
