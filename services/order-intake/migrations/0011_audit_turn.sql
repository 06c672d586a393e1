-- Which replica audits orders, and until when it may be taken for alive. By the database's clock alone.
CREATE TABLE audit_turn (
    is_turn boolean NOT NULL CONSTRAINT audit_turn_is_one_row PRIMARY KEY CONSTRAINT audit_turn_is_true CHECK (is_turn),
    auditor text NOT NULL,
    ends_at timestamptz NOT NULL
);
