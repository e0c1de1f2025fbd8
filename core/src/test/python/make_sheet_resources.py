"""Makes src/test/resources/org/qlora4j/data/sources/{rows,inline,kinds,old}.xlsx with XlsxWriter, and kinds.json: the texts of kinds.xlsx as
openpyxl reads it, dates by Python's str(). rows.xlsx and inline.xlsx have the rows of rows.json.

usage: make_sheet_resources.py SOURCES
Made with XlsxWriter 3.3.1, openpyxl 3.1.5.
"""
import datetime, json, sys
from decimal import Decimal
from pathlib import Path
import openpyxl, xlsxwriter

out = Path(sys.argv[1])
print(xlsxwriter.__version__, openpyxl.__version__)
made = {"created": datetime.datetime(2026, 1, 1)}  # so that the bytes are the same again

# 1. rows of text: shared strings, then inline ones as constant_memory writes them
rows = json.loads((out / "rows.json").read_text(encoding="utf-8"))
for name, options in (("rows", {}), ("inline", {"constant_memory": True})):
    book = xlsxwriter.Workbook(out / f"{name}.xlsx", options)
    book.set_properties(made)
    sheet = book.add_worksheet()
    for r, row in enumerate([dict(zip(rows[0], rows[0]))] + rows):
        for c, value in enumerate(row.values()):
            if value: sheet.write_string(r, c, value)
    book.close()

# 2. every kind of value, with a hidden sheet in front and two behind
moment = datetime.datetime(2024, 2, 29, 13, 5, 59)
kinds = [("general", 42, None), ("long", 3.14, None), ("sum", 0.1 + 0.2, None), ("small", 1e-7, None), ("large", 12345678901234, None), ("negative", -0.5, None),
         ("money", 1234.5, '#,##0.00 [$€-407]'), ("coloured", -3, '0.0;[Red]-0.0'), ("worded", 7, '0 "days"'), ("share", 0.05, "0%"), ("share2", 0.125, "0.0%"),
         ("date", moment.date(), "yyyy-mm-dd"), ("german", moment.date(), "dd.mm.yyyy"), ("month", moment.date(), "mmm yyyy"), ("local", moment.date(), "[$-407]d. mmmm yyyy"),
         ("moment", moment, "dd.mm.yyyy hh:mm"), ("american", moment, "m/d/yy h:mm AM/PM"), ("early", datetime.date(1900, 1, 15), "yyyy-mm-dd"), ("time", moment.time(), "hh:mm"),
         ("yes", True, None), ("text", "007", None), ("lines", "a\nb", None)]
def kind_book(name, options):
    book = xlsxwriter.Workbook(out / name, options)
    book.set_properties(made)
    notes, sheet, other, last = (book.add_worksheet(n) for n in ("Notes", "Kinds", "Other", "Last"))
    notes.hide(); sheet.activate(); notes.write(0, 0, "hidden"); other.write_row(0, 0, ["q", "a"]); other.write_row(1, 0, ["1", "2"])
    sheet.write_row(0, 0, ["kind", "value", "note"])
    for r, (kind, value, form) in enumerate(kinds, start=2):  # an empty row behind the names
        sheet.write_string(r, 0, kind)
        if isinstance(value, bool): sheet.write_boolean(r, 1, value)
        elif isinstance(value, str): sheet.write_string(r, 1, value)
        elif isinstance(value, (int, float)): sheet.write_number(r, 1, value, book.add_format({"num_format": form}) if form else None)
        else: sheet.write_datetime(r, 1, value, book.add_format({"num_format": form}))
    sheet.write_string(r + 1, 0, "formula"); sheet.write_formula(r + 1, 1, "=1+1", None, 2)
    sheet.write_string(r + 2, 0, "words"); sheet.write_formula(r + 2, 1, '="a"&"b"', None, "ab")
    sheet.write_string(r + 3, 0, "hours"); sheet.write_number(r + 3, 1, 1.25, book.add_format({"num_format": "[h]:mm:ss"}))
    book.close()
kind_book("kinds.xlsx", {}); kind_book("old.xlsx", {"date_1904": True})

def text(cell):
    value = cell.value
    if value is None: return ""
    if isinstance(value, bool): return str(value).upper()
    if isinstance(value, (int, float)):
        percent = cell.number_format.endswith("%")
        shown = Decimal(repr(value)) * (100 if percent else 1)
        return format(shown.normalize(), "f") + ("%" if percent else "")
    if isinstance(value, datetime.timedelta):
        seconds = int(value.total_seconds())
        return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    if isinstance(value, datetime.datetime) and not any(c in cell.number_format for c in "hs"): value = value.date()
    return str(value)

sheet = openpyxl.load_workbook(out / "kinds.xlsx", data_only=True)["Kinds"]
read = {row[0].value: text(row[1]) for row in sheet.iter_rows(min_row=2) if row[0].value}
(out / "kinds.json").write_text(json.dumps(read, indent=1) + "\n")
old = openpyxl.load_workbook(out / "old.xlsx", data_only=True)["Kinds"]
for row in old.iter_rows(min_row=2):  # the same days, counted from 1904; times alone and 1900 are not
    if row[0].value and row[0].value not in ("early",): assert text(row[1]) == read[row[0].value], (row[0].value, text(row[1]))
