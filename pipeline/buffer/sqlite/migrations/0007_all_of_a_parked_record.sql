-- What of a record decides how it is judged is kept with it. Of those that are parked already nobody knows it any more.
ALTER TABLE retries ADD COLUMN headers_readable INTEGER NOT NULL DEFAULT 1;
ALTER TABLE retries ADD COLUMN append_time INTEGER NOT NULL DEFAULT 0;
