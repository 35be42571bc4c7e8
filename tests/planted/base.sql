-- What every planted case starts from: a small library, with one of each thing that can be lost.

DO $$ BEGIN CREATE ROLE planted_reader;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;

CREATE SCHEMA lib;

CREATE TYPE lib.state AS ENUM ('new', 'ready');

CREATE FUNCTION lib.trimmed() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    NEW.name := btrim(NEW.name);
    RETURN NEW;
END
$$;

CREATE FUNCTION lib.size(pages integer) RETURNS text
LANGUAGE sql RETURN CASE WHEN pages > 400 THEN 'large' ELSE 'small' END;

CREATE TABLE lib.shelf (
    id   bigint GENERATED ALWAYS AS IDENTITY,
    name text   NOT NULL,

    CONSTRAINT shelf_pkey PRIMARY KEY (id)
);

CREATE TABLE lib.book (
    id       bigint        GENERATED ALWAYS AS IDENTITY,
    shelf_id bigint,
    name     text          NOT NULL,
    pages    integer       NOT NULL DEFAULT 1,
    price    numeric(8, 2),
    state    lib.state     NOT NULL DEFAULT 'new',

    CONSTRAINT book_pkey PRIMARY KEY (id),
    CONSTRAINT book_shelf_id_fkey FOREIGN KEY (shelf_id) REFERENCES lib.shelf ON DELETE CASCADE,
    CONSTRAINT book_pages_positive_check CHECK (pages > 0)
);

CREATE INDEX book_name_idx ON lib.book (name);
CREATE TRIGGER book_trimmed BEFORE INSERT ON lib.book
    FOR EACH ROW EXECUTE FUNCTION lib.trimmed();
COMMENT ON COLUMN lib.book.price IS 'What was paid, in euros.';

-- Without a key: two notes may be the same.
CREATE TABLE lib.note (
    book_id bigint,
    text    text
);
ALTER TABLE lib.note ENABLE ROW LEVEL SECURITY;
CREATE POLICY note_policy ON lib.note USING (text <> 'secret');

CREATE TABLE lib.loan (
    book_id bigint NOT NULL,
    day     date   NOT NULL
) PARTITION BY RANGE (day);
CREATE TABLE lib.loan_2026 PARTITION OF lib.loan FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE INDEX loan_day_idx ON lib.loan (day);

CREATE VIEW lib.title AS SELECT id, name FROM lib.book;
COMMENT ON VIEW lib.title IS 'What stands on the spine.';
GRANT SELECT ON lib.title TO planted_reader;

CREATE SEQUENCE lib.ticket START 100;

INSERT INTO lib.shelf (name) VALUES ('top'), ('bottom');
INSERT INTO lib.book (shelf_id, name, pages, price, state) VALUES
    (1, 'Emma', 474, 12.50, 'ready'),
    (2, 'Persuasion', 249, NULL, 'new'),
    (NULL, 'Lady Susan', 80, 3.99, 'ready');
INSERT INTO lib.note VALUES (1, 'read'), (2, 'read'), (2, NULL);
INSERT INTO lib.loan VALUES (1, '2026-03-01');
SELECT nextval('lib.ticket'), nextval('lib.ticket');
