-- Staff page through stores by their ids, also through those that are closed, or those of an area
-- that are. Few of many may be in the state asked for, so each state is a range of its own.
-- Only writes of stores wait while these are built; batches of orders take locks of rows alone.
CREATE INDEX stores_of_state ON stores (is_closed, store_id);
CREATE INDEX stores_of_state_and_area ON stores (is_closed, area, store_id);
