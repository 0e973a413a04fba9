-- All times are milliseconds since the Unix epoch, within ±2^53 = 9007199254740992.
-- 9007199254740993, one more than there is, stands for "never" where never has to sort
-- behind everything else.

CREATE TABLE namespace (
    ns             INTEGER PRIMARY KEY,
    kind           INTEGER NOT NULL CHECK (kind BETWEEN 1 AND 255),
    application    TEXT    NOT NULL CHECK (length(application) BETWEEN 1 AND 64),
    -- A reset is one more here: every session of another epoch is dead at once.
    epoch          INTEGER NOT NULL DEFAULT 0 CHECK (epoch >= 0),
    hooks_expected INTEGER NOT NULL CHECK (hooks_expected IN (0, 1)),
    UNIQUE (kind, application)
) STRICT;

-- When an epoch ended. The reaper compares it with each session's own times, because
-- the earliest cause gives the reason. Kept until no session of that epoch is left.
CREATE TABLE reset (
    ns    INTEGER NOT NULL REFERENCES namespace,
    epoch INTEGER NOT NULL,
    at    INTEGER NOT NULL CHECK (at BETWEEN -9007199254740992 AND 9007199254740992),
    PRIMARY KEY (ns, epoch)
) STRICT, WITHOUT ROWID;

CREATE TABLE session (
    number         INTEGER PRIMARY KEY,
    ns             INTEGER NOT NULL REFERENCES namespace,
    id             BLOB    NOT NULL CHECK (length(id) = 16),

    -- Where it stands: the epoch it was born in, as long as nobody ended it; then
    -- -1 for a tombstone that waits, -3 for one that is held, -2 for a dead letter.
    -- So reapers find each kind of work in one index, oldest first.
    queue          INTEGER NOT NULL CHECK (queue >= -3),
    -- The reaper need not look before. For a session that nobody ended it is a LOWER
    -- BOUND of expires_at: a touch does not write it, so that a touch changes no index;
    -- the reaper that finds the session used meanwhile moves it on. Only what makes a
    -- session end sooner has to lower it. For a tombstone: from when it may be claimed.
    due_at         INTEGER NOT NULL CHECK (due_at BETWEEN -9007199254740992 AND 9007199254740993),

    created        INTEGER NOT NULL CHECK (created BETWEEN -9007199254740992 AND 9007199254740992),
    last_access    INTEGER NOT NULL CHECK (last_access BETWEEN -9007199254740992 AND 9007199254740992),
    accesses       INTEGER NOT NULL CHECK (accesses >= 0),
    idle_timeout   INTEGER CHECK (idle_timeout BETWEEN 1 AND 9007199254740992),
    lifetime       INTEGER CHECK (lifetime BETWEEN 1 AND 9007199254740992),
    leaves_at      INTEGER CHECK (leaves_at BETWEEN -9007199254740992 AND 9007199254740992),
    principal      TEXT    CHECK (octet_length(principal) BETWEEN 1 AND 256),
    rotation       INTEGER NOT NULL CHECK (rotation BETWEEN 0 AND 16777215),
    previous_until INTEGER CHECK (previous_until BETWEEN -9007199254740992 AND 9007199254740992),
    -- 64 opaque bits, kept as a signed number because SQLite has no other.
    version        INTEGER NOT NULL,

    -- The tombstone: all of it absent or zero until the session has ended.
    end_reason     INTEGER CHECK (end_reason BETWEEN 1 AND 255),
    end_at         INTEGER CHECK (end_at BETWEEN -9007199254740992 AND 9007199254740992),
    claims         INTEGER NOT NULL DEFAULT 0 CHECK (claims >= 0),
    failures       INTEGER NOT NULL DEFAULT 0 CHECK (failures >= 0),
    unsettled      INTEGER NOT NULL DEFAULT 0 CHECK (unsettled >= 0),
    last_failure   TEXT,

    -- The payload, if it is small: a page of the file then has all of the session.
    bytes          BLOB,

    -- From when it is not live by its own times; absent if it never runs out. Computed,
    -- never stored: one definition, and nothing for a touch to keep up to date.
    expires_at     INTEGER GENERATED ALWAYS AS (nullif(min(
        ifnull(min(last_access + idle_timeout, 9007199254740992), 9007199254740993),
        ifnull(min(created + lifetime, 9007199254740992), 9007199254740993),
        ifnull(leaves_at, 9007199254740993)
    ), 9007199254740993)) VIRTUAL,

    UNIQUE (ns, id),
    CHECK ((queue < 0) = (end_at IS NOT NULL)),
    CHECK ((end_at IS NULL) = (end_reason IS NULL))
) STRICT;

-- What reapers follow.
CREATE INDEX session_queue ON session (ns, queue, due_at);
-- What lists follow, so that a page costs as much at the end as at the start.
CREATE INDEX session_created ON session (ns, created, id);
-- Most sessions of most applications have no principal, and need no entry here.
CREATE INDEX session_principal ON session (ns, principal, created, id) WHERE principal IS NOT NULL;

-- Large payloads, apart from their sessions, because SQLite rewrites a whole row: a touch
-- would copy them.
CREATE TABLE payload (
    number INTEGER PRIMARY KEY REFERENCES session ON DELETE CASCADE,
    bytes  BLOB    NOT NULL
) STRICT;
