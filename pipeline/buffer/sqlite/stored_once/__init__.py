"""What many dead letters have in common, each stored once: header sets, stack traces, and what else repeats.

A text that repeats but for some places in it is stored once in *pieces*, a JSON array that tells what stands one after
another. The view `dead_letters` puts it together again for each row, with nothing but what any SQLite has:

- a string is text as it is;
- a number from 0 on is a text of the row's own, by its index in the JSON array that the row has in this column's place;
- `[n]` is the row's reason from character n on, as a string of JSON where it stands in headers;
- in headers, null is the row's stack trace as a string of JSON, and a negative number is a column, see `COLUMNS`.

The bytes of headers are sacred: whatever is stored so reads as it came, to the byte.
"""
