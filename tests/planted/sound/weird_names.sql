-- Names that must be quoted: in the header, too.
-- Proof: identical, ok, lost

---- forward
-- Locks: lib.note ACCESS EXCLUSIVE
-- Rollback: lossy: lib.note."Wer wann?", lib."a.b %s"
ALTER TABLE lib.note ADD COLUMN "Wer wann?" text;
CREATE TABLE lib."a.b %s" ("select" text, "pgproof_row" text, "100%" text);

---- rollback
DROP TABLE lib."a.b %s";
ALTER TABLE lib.note DROP COLUMN "Wer wann?";

---- rows
UPDATE lib.note SET "Wer wann?" = 'Ada';
INSERT INTO lib."a.b %s" VALUES ('a', 'b', 'c');
