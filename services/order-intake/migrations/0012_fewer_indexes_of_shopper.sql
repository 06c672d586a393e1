-- no-transaction
-- What a shopper has to come is counted among the shopper's latest orders, which orders_of_shopper
-- holds in that order. One index less for every order to keep.
DROP INDEX CONCURRENTLY IF EXISTS orders_to_come_of_shopper;
