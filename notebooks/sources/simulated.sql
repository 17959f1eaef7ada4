-- The click log of the simulated shop, as 00_simulate writes it.
-- format: json
-- schema: visit string, visitor string, product string, action string, ts string, country string, device string
-- sessions: unique
SELECT
  visit AS session_id,
  visitor AS member_id,
  product AS item_id,
  CASE action
    WHEN 'page' THEN 'view'
    WHEN 'add_to_basket' THEN 'cart'
    WHEN 'order' THEN 'purchase'
    ELSE action
  END AS event_type,
  try_to_timestamp(ts) AS event_time,
  lower(country) AS shop,
  device
FROM raw
