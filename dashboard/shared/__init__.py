"""What the pages share: settings and reader, the shell of a page, live parts, exports."""
