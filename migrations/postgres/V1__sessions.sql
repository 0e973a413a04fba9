-- All times are milliseconds since the Unix epoch, within ±2^53 = 9007199254740992; NULL
-- is never. Tables are found by search_path, so that several stores can share a database,
-- each in a schema of its own.

CREATE TABLE tenure_namespace (
    ns             int      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind           smallint NOT NULL CHECK (kind BETWEEN 1 AND 255),
    application    text     COLLATE "C" NOT NULL CHECK (octet_length(application) BETWEEN 1 AND 64),
    epoch          bigint   NOT NULL DEFAULT 0 CHECK (epoch >= 0),
    hooks_expected boolean  NOT NULL,
    UNIQUE (kind, application)
);
COMMENT ON TABLE tenure_namespace IS 'The sessions, or the visitors, of one application.';
COMMENT ON COLUMN tenure_namespace.ns IS 'What stands for kind and application in other tables.';
COMMENT ON COLUMN tenure_namespace.kind IS '1: sessions, 2: visitors.';
COMMENT ON COLUMN tenure_namespace.epoch IS 'A reset is one more here: every session of another epoch is dead at once.';
COMMENT ON COLUMN tenure_namespace.hooks_expected IS 'Whether ended sessions are kept for an end hook.';

CREATE TABLE tenure_reset (
    ns    int    NOT NULL,
    epoch bigint NOT NULL,
    at    bigint NOT NULL CHECK (at BETWEEN -9007199254740992 AND 9007199254740992),
    PRIMARY KEY (ns, epoch)
);
COMMENT ON TABLE tenure_reset IS 'When an epoch ended. Reapers compare it with each session''s own times, because the earliest cause gives the reason. Kept until no session of that epoch is left; the latest is always kept.';
COMMENT ON COLUMN tenure_reset.epoch IS 'The epoch that was ended.';
COMMENT ON COLUMN tenure_reset.at IS 'The instant of the reset.';

-- When a session runs out by its own times: the one definition, for the column that every
-- statement asks and for the updates that may lower due_at. NULL: never; least passes over
-- NULLs.
CREATE FUNCTION tenure_expires_at(last_access bigint, idle_timeout bigint, created bigint, lifetime bigint, leaves_at bigint)
RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN least(
    CASE WHEN idle_timeout IS NOT NULL THEN least(last_access + idle_timeout, 9007199254740992) END,
    CASE WHEN lifetime IS NOT NULL THEN least(created + lifetime, 9007199254740992) END,
    leaves_at);

-- ns has no foreign key: namespaces are never removed, and the check would lock one row for
-- every session that is created.
CREATE TABLE tenure_session (
    ns             int    NOT NULL,
    id             uuid   NOT NULL,
    queue          bigint NOT NULL CHECK (queue >= -3),
    due_at         bigint CHECK (due_at BETWEEN -9007199254740992 AND 9007199254740992),

    created        bigint NOT NULL CHECK (created BETWEEN -9007199254740992 AND 9007199254740992),
    last_access    bigint NOT NULL CHECK (last_access BETWEEN -9007199254740992 AND 9007199254740992),
    accesses       bigint NOT NULL CHECK (accesses >= 0),
    idle_timeout   bigint CHECK (idle_timeout BETWEEN 1 AND 9007199254740992),
    lifetime       bigint CHECK (lifetime BETWEEN 1 AND 9007199254740992),
    leaves_at      bigint CHECK (leaves_at BETWEEN -9007199254740992 AND 9007199254740992),
    expires_at     bigint GENERATED ALWAYS AS
        (tenure_expires_at(last_access, idle_timeout, created, lifetime, leaves_at)) STORED,
    version        bigint NOT NULL,
    previous_until bigint CHECK (previous_until BETWEEN -9007199254740992 AND 9007199254740992),
    rotation       int    NOT NULL CHECK (rotation BETWEEN 0 AND 16777215),

    end_reason     smallint CHECK (end_reason BETWEEN 1 AND 255),
    end_at         bigint CHECK (end_at BETWEEN -9007199254740992 AND 9007199254740992),
    claims         int NOT NULL DEFAULT 0 CHECK (claims >= 0),
    failures       int NOT NULL DEFAULT 0 CHECK (failures >= 0),
    unsettled      int NOT NULL DEFAULT 0 CHECK (unsettled >= 0),

    principal      text COLLATE "C" CHECK (octet_length(principal) BETWEEN 1 AND 256),
    last_failure   text,
    payload        bytea NOT NULL,

    PRIMARY KEY (id, ns),
    CHECK ((queue < 0) = (end_at IS NOT NULL)),
    CHECK ((end_at IS NULL) = (end_reason IS NULL))
) WITH (fillfactor = 80); -- Room on each page for the next version of a row: then no index learns of a touch.

-- Payloads are encrypted, and encrypted bytes do not compress.
ALTER TABLE tenure_session ALTER COLUMN payload SET STORAGE EXTERNAL;

COMMENT ON TABLE tenure_session IS 'Sessions, and what is kept of them until their end hook has succeeded.';
COMMENT ON COLUMN tenure_session.id IS 'A hash of the session''s secret. Nobody can make a token of it.';
COMMENT ON COLUMN tenure_session.queue IS 'Where it stands: the epoch of its birth as long as nobody ended it; then -1 for a tombstone that waits, -3 for one that is held, -2 for a dead letter.';
COMMENT ON COLUMN tenure_session.due_at IS 'Reapers need not look before. Until the end a LOWER BOUND of expires_at: a touch does not write it, so that a touch changes no index; the reaper that finds the session used meanwhile moves it on. Of a tombstone that waits: from when it may be claimed; of one that is held: until when.';
COMMENT ON COLUMN tenure_session.accesses IS 'How many accesses there were, the start included.';
COMMENT ON COLUMN tenure_session.idle_timeout IS 'How long it lives without an access, in milliseconds; NULL for ever.';
COMMENT ON COLUMN tenure_session.lifetime IS 'How long it lives at all, in milliseconds; NULL for ever.';
COMMENT ON COLUMN tenure_session.leaves_at IS 'When it ends because its browser went away, unless an access comes first.';
COMMENT ON COLUMN tenure_session.expires_at IS 'From when it is not live by its own times; NULL if it never runs out.';
COMMENT ON COLUMN tenure_session.version IS '64 opaque bits that compare-and-set compares.';
COMMENT ON COLUMN tenure_session.rotation IS 'The number that the good token carries.';
COMMENT ON COLUMN tenure_session.previous_until IS 'Until when the token with the previous number still reads.';
COMMENT ON COLUMN tenure_session.end_reason IS '1 logout, 2 idle time-out, 3 lifetime, 4 left, 5 application reset, 6 principal revoked, 7 administrator, 8 moved, 9 displaced.';
COMMENT ON COLUMN tenure_session.end_at IS 'When it ended.';
COMMENT ON COLUMN tenure_session.claims IS 'The number of the latest attempt at its end hook.';
COMMENT ON COLUMN tenure_session.failures IS 'How many attempts failed since the end or the last requeue.';
COMMENT ON COLUMN tenure_session.unsettled IS 'How many claims nobody settled since then.';
COMMENT ON COLUMN tenure_session.principal IS 'Who logged in.';
COMMENT ON COLUMN tenure_session.last_failure IS 'What the latest failed attempt said.';
COMMENT ON COLUMN tenure_session.payload IS 'The attributes, opaque and as a rule encrypted.';

-- What reapers follow.
CREATE INDEX tenure_session_queue ON tenure_session (ns, queue, due_at, id);
-- What lists follow, so that a page costs as much at the end as at the start.
CREATE INDEX tenure_session_created ON tenure_session (ns, created, id);
-- Most sessions of most applications have no principal, and need no entry here.
CREATE INDEX tenure_session_principal ON tenure_session (ns, principal, created, id) WHERE principal IS NOT NULL;
