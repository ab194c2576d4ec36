-- Figures by topic: each is told apart by the rows that are there. What rows do not tell, since retention has taken them, is
-- the one topic's where there was one so far, else that of no topic ('').
ALTER TABLE flow_seconds RENAME TO seconds_before;
ALTER TABLE flow_minutes RENAME TO minutes_before;
ALTER TABLE product_totals RENAME TO products_before;
CREATE TABLE flow_seconds (
    second_ms     INTEGER NOT NULL,
    topic         TEXT NOT NULL,
    orders        INTEGER NOT NULL DEFAULT 0,
    revenue_cents INTEGER NOT NULL DEFAULT 0,
    retries       INTEGER NOT NULL DEFAULT 0,
    dead_letters  INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (second_ms, topic)
) WITHOUT ROWID;
CREATE TABLE flow_minutes (
    minute_ms     INTEGER NOT NULL,
    topic         TEXT NOT NULL,
    orders        INTEGER NOT NULL DEFAULT 0,
    revenue_cents INTEGER NOT NULL DEFAULT 0,
    retries       INTEGER NOT NULL DEFAULT 0,
    dead_letters  INTEGER NOT NULL DEFAULT 0,
    pruned_orders        INTEGER NOT NULL DEFAULT 0,
    pruned_revenue_cents INTEGER NOT NULL DEFAULT 0,
    pruned_dead_letters  INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (minute_ms, topic)
) WITHOUT ROWID;
CREATE TABLE product_totals (
    product_ref   INTEGER NOT NULL,
    topic         TEXT NOT NULL,
    orders        INTEGER NOT NULL DEFAULT 0,
    revenue_cents INTEGER NOT NULL DEFAULT 0,
    pruned_orders        INTEGER NOT NULL DEFAULT 0,
    pruned_revenue_cents INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (product_ref, topic)
) WITHOUT ROWID;
CREATE TABLE dead_letter_sources (
    topic         TEXT PRIMARY KEY,
    dead_letters  INTEGER NOT NULL DEFAULT 0,
    pruned_dead_letters  INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

-- Whose figures those are that rows do not tell.
CREATE TABLE whose (orders TEXT NOT NULL, retries TEXT NOT NULL, dead_letters TEXT NOT NULL);
INSERT INTO whose
WITH of_topics (topic, orders) AS (
    SELECT topic, sum(orders) FROM partitions JOIN topics USING (topic_ref) WHERE role = 'processor' GROUP BY topic
),
sources (topic) AS (
    SELECT DISTINCT iif(length(CAST(source_topic AS BLOB)) <= 249, source_topic, '') FROM dead_letter_rows
)
SELECT (SELECT iif(count(*) = 1, max(topic), '') FROM of_topics WHERE orders > 0),
       (SELECT iif(count(*) = 1, max(topic), '') FROM of_topics),
       CASE (SELECT count(*) FROM sources)
           WHEN 1 THEN (SELECT topic FROM sources)
           WHEN 0 THEN (SELECT iif(count(*) = 1, max(topic), '') FROM of_topics)
           ELSE ''
       END;

-- Orders, which are looked at where they are of several topics.
INSERT INTO flow_seconds (second_ms, topic, orders, revenue_cents)
SELECT second_ms, topic, sum(counted.orders), sum(counted.revenue_cents)
FROM (SELECT processed_at_ms / 1000 * 1000 AS second_ms, record_id >> 40 AS partition_ref, count(*) AS orders,
             sum(price_cents) AS revenue_cents
      FROM order_rows
      WHERE (SELECT orders FROM whose) = '' AND processed_at_ms >= (SELECT min(second_ms) FROM seconds_before)
      GROUP BY 1, 2) AS counted
JOIN partitions USING (partition_ref) JOIN topics USING (topic_ref) JOIN seconds_before USING (second_ms)
GROUP BY second_ms, topic;
INSERT INTO flow_minutes (minute_ms, topic, orders, revenue_cents)
SELECT minute_ms, topic, sum(counted.orders), sum(counted.revenue_cents)
FROM (SELECT processed_at_ms / 60000 * 60000 AS minute_ms, record_id >> 40 AS partition_ref, count(*) AS orders,
             sum(price_cents) AS revenue_cents
      FROM order_rows WHERE (SELECT orders FROM whose) = '' GROUP BY 1, 2) AS counted
JOIN partitions USING (partition_ref) JOIN topics USING (topic_ref)
GROUP BY minute_ms, topic;
INSERT INTO product_totals (product_ref, topic, orders, revenue_cents)
SELECT product_ref, topic, sum(counted.orders), sum(counted.revenue_cents)
FROM (SELECT product_ref, record_id >> 40 AS partition_ref, count(*) AS orders, sum(price_cents) AS revenue_cents
      FROM order_rows NOT INDEXED WHERE (SELECT orders FROM whose) = '' GROUP BY 1, 2) AS counted
JOIN partitions USING (partition_ref) JOIN topics USING (topic_ref)
GROUP BY product_ref, topic;

-- Dead letters.
INSERT INTO flow_seconds (second_ms, topic, dead_letters)
SELECT received_at_ms / 1000 * 1000 AS second_ms,
       iif(length(CAST(source_topic AS BLOB)) <= 249, source_topic, '') AS topic, count(*)
FROM dead_letter_rows
WHERE received_at_ms / 1000 * 1000 IN (SELECT second_ms FROM seconds_before)
GROUP BY 1, 2
ON CONFLICT (second_ms, topic) DO UPDATE SET dead_letters = excluded.dead_letters;
INSERT INTO flow_minutes (minute_ms, topic, dead_letters)
SELECT received_at_ms / 60000 * 60000 AS minute_ms,
       iif(length(CAST(source_topic AS BLOB)) <= 249, source_topic, '') AS topic, count(*)
FROM dead_letter_rows
WHERE TRUE
GROUP BY 1, 2
ON CONFLICT (minute_ms, topic) DO UPDATE SET dead_letters = excluded.dead_letters;

-- The rest: what was pruned, and the retries.
CREATE TABLE rest (
    length TEXT, at_ms INTEGER, orders INTEGER, revenue_cents INTEGER, retries INTEGER, dead_letters INTEGER,
    pruned_orders INTEGER, pruned_revenue_cents INTEGER, pruned_dead_letters INTEGER
);
INSERT INTO rest
SELECT 'second', second_ms, before.orders - coalesce(sum(told.orders), 0),
       before.revenue_cents - coalesce(sum(told.revenue_cents), 0), before.retries,
       before.dead_letters - coalesce(sum(told.dead_letters), 0), 0, 0, 0
FROM seconds_before AS before LEFT JOIN flow_seconds AS told USING (second_ms) GROUP BY second_ms;
INSERT INTO rest
SELECT 'minute', minute_ms, before.orders - coalesce(sum(told.orders), 0),
       before.revenue_cents - coalesce(sum(told.revenue_cents), 0), before.retries,
       before.dead_letters - coalesce(sum(told.dead_letters), 0),
       before.pruned_orders, before.pruned_revenue_cents, before.pruned_dead_letters
FROM minutes_before AS before LEFT JOIN flow_minutes AS told USING (minute_ms) GROUP BY minute_ms;
INSERT INTO flow_seconds (second_ms, topic, orders, revenue_cents)
SELECT at_ms, whose.orders, rest.orders, revenue_cents
FROM rest, whose WHERE length = 'second' AND (rest.orders <> 0 OR revenue_cents <> 0)
ON CONFLICT (second_ms, topic) DO UPDATE SET
    orders = orders + excluded.orders, revenue_cents = revenue_cents + excluded.revenue_cents;
INSERT INTO flow_seconds (second_ms, topic, retries)
SELECT at_ms, whose.retries, rest.retries FROM rest, whose WHERE length = 'second' AND rest.retries <> 0
ON CONFLICT (second_ms, topic) DO UPDATE SET retries = excluded.retries;
INSERT INTO flow_seconds (second_ms, topic, dead_letters)
SELECT at_ms, whose.dead_letters, rest.dead_letters
FROM rest, whose WHERE length = 'second' AND rest.dead_letters <> 0
ON CONFLICT (second_ms, topic) DO UPDATE SET dead_letters = dead_letters + excluded.dead_letters;
INSERT INTO flow_minutes (minute_ms, topic, orders, revenue_cents, pruned_orders, pruned_revenue_cents)
SELECT at_ms, whose.orders, rest.orders, revenue_cents, pruned_orders, pruned_revenue_cents
FROM rest, whose
WHERE length = 'minute' AND (rest.orders <> 0 OR revenue_cents <> 0 OR pruned_orders <> 0 OR pruned_revenue_cents <> 0)
ON CONFLICT (minute_ms, topic) DO UPDATE SET
    orders = orders + excluded.orders, revenue_cents = revenue_cents + excluded.revenue_cents,
    pruned_orders = excluded.pruned_orders, pruned_revenue_cents = excluded.pruned_revenue_cents;
INSERT INTO flow_minutes (minute_ms, topic, retries)
SELECT at_ms, whose.retries, rest.retries FROM rest, whose WHERE length = 'minute' AND rest.retries <> 0
ON CONFLICT (minute_ms, topic) DO UPDATE SET retries = excluded.retries;
INSERT INTO flow_minutes (minute_ms, topic, dead_letters, pruned_dead_letters)
SELECT at_ms, whose.dead_letters, rest.dead_letters, pruned_dead_letters
FROM rest, whose WHERE length = 'minute' AND (rest.dead_letters <> 0 OR pruned_dead_letters <> 0)
ON CONFLICT (minute_ms, topic) DO UPDATE SET
    dead_letters = dead_letters + excluded.dead_letters, pruned_dead_letters = excluded.pruned_dead_letters;
INSERT INTO product_totals (product_ref, topic, orders, revenue_cents, pruned_orders, pruned_revenue_cents)
SELECT product_ref, whose.orders, before.orders - coalesce(sum(told.orders), 0),
       before.revenue_cents - coalesce(sum(told.revenue_cents), 0), before.pruned_orders, before.pruned_revenue_cents
FROM whose, products_before AS before LEFT JOIN product_totals AS told USING (product_ref)
GROUP BY product_ref
HAVING before.orders <> coalesce(sum(told.orders), 0) OR before.revenue_cents <> coalesce(sum(told.revenue_cents), 0)
    OR before.pruned_orders <> 0 OR before.pruned_revenue_cents <> 0;
INSERT INTO dead_letter_sources
SELECT topic, sum(dead_letters), sum(pruned_dead_letters) FROM flow_minutes
GROUP BY topic HAVING sum(dead_letters) <> 0 OR sum(pruned_dead_letters) <> 0;
DROP TABLE rest;
DROP TABLE whose;
DROP TABLE seconds_before;
DROP TABLE minutes_before;
DROP TABLE products_before;
