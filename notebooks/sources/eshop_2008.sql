-- Clicks in a maternity-clothing shop, April to August 2008 (UCI, "clickstream data for online shopping").
-- The log has the order of the clicks but no time of day, so the n-th click is put n seconds after midnight.
-- format: csv
-- option sep: ;
-- option header: true
-- sessions: unique
SELECT
  `session ID` AS session_id,
  `page 2 (clothing model)` AS item_id,
  'view' AS event_type,
  timestampadd(
    SECOND,
    try_cast(`order` AS INT),
    CAST(try_cast(concat_ws('-', year, month, day) AS DATE) AS TIMESTAMP)
  ) AS event_time,
  concat('country ', country) AS country
FROM raw
