"""The app: a folder for each page, and what the pages share."""
