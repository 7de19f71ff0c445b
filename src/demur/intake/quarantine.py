"""Why a record could not be taken in: stable codes, each with its sentence (docs/intake.md lists them all)."""

from __future__ import annotations

REASONS: dict[str, str] = {
    "unknown_kind": "the kind of content is none that demur knows",
    "unknown_audience": "the audience is a word that demur does not know; it is never guessed to be public",
    "missing_id": "the record has no id of its own, one longer than 1,024 characters, or one of another server than "
    "its author's",
    "date_out_of_range": "an instant lies before 1990 or more than one day after the import; a birth date, before 1900",
    "not_a_date": "an instant or date cannot be read",
    "text_too_long": "the text is longer than 1 MiB",
    "not_utf8": "the bytes are no UTF-8, or the text holds half a character",
    "control_character": "the text holds a NUL",
    "wrong_type": "a value has another type than its column, or the column does not exist",
    "unknown_value": "a value is none of those that its column allows",
    "malformed_xml": "the XML is not well-formed here",
    "malformed_json": "the JSON cannot be read here",
    "malformed_table": "the CSV or Parquet row cannot be read",
    "unsafe_xml": "the XML declares a document type; entities are never expanded",
    "truncated": "the file ends in the middle; everything before is kept",
    "too_deep": "records lie inside records more than 32 levels deep",
    "bomb": "the compressed file grows beyond the limits; everything before is kept",
    "unreadable_file": "the file cannot be opened or decompressed, or is a link that leads out of its export",
    "unmapped_value": "the mapping names no value for this one",
    "not_content": "the document is no content, person or activity that demur knows",
    "source_failed": "the source plugin stopped here; the rest of this file was not read",
}
"""Code → sentence. A code is never renamed; a new fault gets a new code."""
