-- In a flood every slot of a page is booked anew by each batch. With room for three versions beside
-- each row all of them stay in its page, and the key gets no new entries.
ALTER TABLE store_slots SET (fillfactor = 25);
