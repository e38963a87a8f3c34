-- Which tokens' rows staging_select_names.sql means: of a page. Parameters: page, of `pages`.
-- (The lower 8 bits of a token are its segment.)
abs(instrument_token // 256) % $pages = $page
