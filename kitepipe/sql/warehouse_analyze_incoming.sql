-- Tells the planner how many names wait: without it, 80,000 of them are taken for a thousand.
-- Reads kite_incoming, kite_newest. Writes their statistics.
analyze kite_incoming, kite_newest
