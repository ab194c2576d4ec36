-- Orders and revenue of each partition, whose sums are those of its topic.
ALTER TABLE partitions ADD COLUMN orders INTEGER NOT NULL DEFAULT 0;
ALTER TABLE partitions ADD COLUMN revenue_cents INTEGER NOT NULL DEFAULT 0;
ALTER TABLE partitions ADD COLUMN pruned_orders INTEGER NOT NULL DEFAULT 0;
ALTER TABLE partitions ADD COLUMN pruned_revenue_cents INTEGER NOT NULL DEFAULT 0;
UPDATE partitions SET orders = counted.orders, revenue_cents = counted.revenue_cents
FROM (
    SELECT record_id >> 40 AS ref, count(*) AS orders, sum(price_cents) AS revenue_cents FROM order_rows GROUP BY ref
) AS counted
WHERE partition_ref = counted.ref;

-- What was pruned of which partition nobody has counted: the one that was met last, of those that had something pruned,
-- has it all. Where that was of several topics, their figures are right from here on.
UPDATE partitions SET
    orders = partitions.orders + totals.pruned_orders,
    revenue_cents = partitions.revenue_cents + totals.pruned_revenue_cents,
    pruned_orders = totals.pruned_orders,
    pruned_revenue_cents = totals.pruned_revenue_cents
FROM totals
WHERE partition_ref = (
    SELECT partition_ref FROM partitions WHERE role = 'processor'
    ORDER BY pruned_below > 0 DESC, partition_ref DESC LIMIT 1
);
