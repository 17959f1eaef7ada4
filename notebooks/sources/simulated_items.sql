-- The catalogue of the simulated shop, as 00_simulate writes it.
-- format: json
-- schema: product string, title string, brand string, category string, colour string, price double, opens string, closes string
SELECT
  product AS item_id,
  title AS name,
  brand,
  category,
  colour,
  price,
  try_to_timestamp(opens) AS sale_start,
  try_to_timestamp(closes) AS sale_end
FROM raw
