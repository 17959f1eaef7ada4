-- The clothes of the same log: each attribute is the one that a model's clicks show most often.
-- format: csv
-- option sep: ;
-- option header: true
SELECT
  `page 2 (clothing model)` AS item_id,
  try_element_at(
    array('trousers', 'skirts', 'blouses', 'sale'),
    try_cast(mode(`page 1 (main category)`, true) AS INT)
  ) AS category,
  try_element_at(
    array('beige', 'black', 'blue', 'brown', 'burgundy', 'grey', 'green', 'navy', 'many colours', 'olive', 'pink', 'red',
      'violet', 'white'),
    try_cast(mode(colour, true) AS INT)
  ) AS colour,
  try_cast(mode(price, true) AS DOUBLE) AS price,
  if(mode(`price 2`, true) = '1', 'dearer than its category', 'cheaper than its category') AS price_level,
  if(mode(`model photography`, true) = '1', 'en face', 'profile') AS photograph,
  concat('place ', mode(location, true)) AS place_on_page,
  concat('page ', mode(page, true)) AS shop_page
FROM raw
GROUP BY `page 2 (clothing model)`
