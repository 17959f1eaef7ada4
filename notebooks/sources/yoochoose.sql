-- RecSys Challenge 2015 clicks, tab-separated, Time in seconds since 1970. There is no catalogue beside them.
-- format: csv
-- option sep: \t
-- option header: true
-- sessions: unique
SELECT
  SessionId AS session_id,
  ItemId AS item_id,
  'view' AS event_type,
  CAST(try_cast(Time AS DECIMAL(20, 6)) AS TIMESTAMP) AS event_time
FROM raw
