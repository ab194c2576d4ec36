"""What the pages share: settings and reader, live parts, figures, charts, tables, exports."""
