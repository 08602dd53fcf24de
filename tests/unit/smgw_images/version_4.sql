BEGIN TRANSACTION;
CREATE TABLE administered (       -- profiles put or removed by the administrator
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    content TEXT,                 -- JSON of its section; none: removed
    taken_ms INTEGER NOT NULL,
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;
INSERT INTO "administered" VALUES('emt','passive','{"name":"passive","channel_port":1,"delivery_port":2}',1780000200000);
INSERT INTO "administered" VALUES('taf','old',NULL,1780000200000);
CREATE TABLE commands (
    id TEXT PRIMARY KEY,
    command TEXT NOT NULL,        -- JSON, as received
    state TEXT NOT NULL CHECK (state IN ('open', 'answered', 'expired')),
    answer TEXT,                  -- JSON
    received_ms INTEGER NOT NULL,
    answered_ms INTEGER
) STRICT, WITHOUT ROWID;
INSERT INTO "commands" VALUES('c1','{"id":"c1"}','answered','{"code":0,"seq":1,"text":""}',1780000200000,1780000200500);
CREATE TABLE deliveries (         -- which market participant gets which gateway record
    record_id INTEGER NOT NULL REFERENCES gateway_records (id),
    emt TEXT NOT NULL,
    delivered_ms INTEGER,
    PRIMARY KEY (record_id, emt)
) STRICT, WITHOUT ROWID;
INSERT INTO "deliveries" VALUES(1,'flexmarkt',1780000201000);
INSERT INTO "deliveries" VALUES(2,'flexmarkt',NULL);
INSERT INTO "deliveries" VALUES(3,'flexmarkt',NULL);
CREATE TABLE derived (            -- what evaluation profiles made of them
    profile_id TEXT NOT NULL,
    obis TEXT NOT NULL,
    start_ms INTEGER NOT NULL,
    end_ms INTEGER NOT NULL,
    raw INTEGER,
    scaler INTEGER NOT NULL,
    unit INTEGER NOT NULL,
    status TEXT NOT NULL,
    ptb INTEGER NOT NULL,
    closed INTEGER NOT NULL,
    PRIMARY KEY (profile_id, obis, end_ms)
) STRICT, WITHOUT ROWID;
INSERT INTO "derived" VALUES('taf6','1-0:1.8.0*255',1780000000000,1780086400000,1000,-1,30,'A000000020803800',0,1);
CREATE TABLE device_deliveries (
    emt TEXT NOT NULL,
    cls_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    delivered_ms INTEGER NOT NULL,
    PRIMARY KEY (emt, cls_id, seq)
) STRICT, WITHOUT ROWID;
INSERT INTO "device_deliveries" VALUES('flexmarkt','ETST0020000017',1,1780000202000);
CREATE TABLE device_records (     -- sealed by the control box, passed on unopened
    cls_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    received_ms INTEGER NOT NULL,
    PRIMARY KEY (cls_id, seq)
) STRICT, WITHOUT ROWID;
INSERT INTO "device_records" VALUES('ETST0020000017',1,X'D18443',1780000201000);
CREATE TABLE events (             -- announced and recorded
    uuid TEXT NOT NULL,
    event TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    source TEXT NOT NULL,
    announced_ms INTEGER NOT NULL,
    PRIMARY KEY (uuid, event)
) STRICT, WITHOUT ROWID;
INSERT INTO "events" VALUES('0f3c1a52-7b1e-4a6a-9d53-2a54b1a7c001','begin','["x"]','han',1780000200000);
CREATE TABLE facts (              -- single values the gateway remembers
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "facts" VALUES('profiles-digest','abc');
CREATE TABLE gateway_records (
    id INTEGER PRIMARY KEY,
    profile_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    uuid TEXT,
    event TEXT,
    due_ms INTEGER,
    captured_ms INTEGER,
    content BLOB NOT NULL,
    cms BLOB NOT NULL,
    UNIQUE (profile_id, seq),
    UNIQUE (profile_id, uuid, event),
    UNIQUE (profile_id, due_ms)
) STRICT;
INSERT INTO "gateway_records" VALUES(1,'taf16',1,'0f3c1a52-7b1e-4a6a-9d53-2a54b1a7c001','begin',NULL,1780000200123,X'7B7D',X'30');
INSERT INTO "gateway_records" VALUES(2,'taf16',2,'0f3c1a52-7b1e-4a6a-9d53-2a54b1a7c001','end',NULL,1780000300123,X'7B7D',X'30');
INSERT INTO "gateway_records" VALUES(3,'taf7',1,NULL,NULL,1780000200000,1780000200123,X'7B7D',X'30');
CREATE TABLE logs (
    log TEXT NOT NULL,            -- system, calibration, or consumer/<final consumer>
    number INTEGER NOT NULL,
    t_ms INTEGER NOT NULL,
    level TEXT NOT NULL,
    event TEXT NOT NULL,
    outcome TEXT NOT NULL,
    subject TEXT NOT NULL,
    message TEXT NOT NULL, user TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (log, number)
) STRICT, WITHOUT ROWID;
INSERT INTO "logs" VALUES('system',1,1780000200000,'INFO','start','SUCCESS','s','gateway started','');
INSERT INTO "logs" VALUES('system',2,1780000201000,'WARNING','wan.refused','FAILURE','x','no','');
CREATE TABLE original_readings (
    id INTEGER PRIMARY KEY,
    meter TEXT NOT NULL,          -- as the meter profile names it
    meter_id TEXT NOT NULL,
    captured_ms INTEGER NOT NULL,
    meter_word INTEGER NOT NULL,
    reading TEXT NOT NULL,        -- JSON list of values
    telegram BLOB NOT NULL
) STRICT;
INSERT INTO "original_readings" VALUES(1,'1EMH0098765432','1EMH0098765432',1780000200123,1835268,'[{"obis":"1-0:1.8.0*255","raw":1000,"scaler":-1,"unit":30}]',X'1B1B');
CREATE TABLE originals (          -- registers at due times and events: what tariffs count with
    id INTEGER PRIMARY KEY,
    meter TEXT NOT NULL,          -- as the meter profile names it
    meter_id TEXT NOT NULL,
    obis TEXT NOT NULL,
    raw INTEGER,                  -- no value: a gap
    scaler INTEGER NOT NULL,
    unit INTEGER NOT NULL,
    captured_ms INTEGER,
    due_ms INTEGER,               -- none: read for an event
    at_ms INTEGER NOT NULL,       -- its place in the list: due, else captured
    status TEXT NOT NULL,         -- 16 hex digits, bit 0 first
    ptb INTEGER NOT NULL,
    time_state TEXT NOT NULL,
    bound_ms INTEGER
) STRICT;
INSERT INTO "originals" VALUES(1,'1EMH0098765432','1EMH0098765432','1-0:1.8.0*255',1000,-1,30,1780000200123,1780000200000,1780000200000,'A000000020803800',0,'synchronised',0);
CREATE TABLE profile_versions (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    content TEXT NOT NULL,        -- JSON, without secrets
    applied_ms INTEGER NOT NULL,
    archived_ms INTEGER,
    PRIMARY KEY (kind, name, version)
) STRICT, WITHOUT ROWID;
INSERT INTO "profile_versions" VALUES('meter','1EMH0098765432',1,'{"meter_id":"1EMH0098765432"}',1780000000000,NULL);
CREATE TABLE sequences (          -- the last number given out; never goes back
    name TEXT PRIMARY KEY,
    last INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "sequences" VALUES('log/system',2);
INSERT INTO "sequences" VALUES('record/taf16',2);
INSERT INTO "sequences" VALUES('record/taf7',1);
CREATE INDEX original_readings_by_time ON original_readings (meter, captured_ms);
CREATE INDEX deliveries_open ON deliveries (emt, record_id) WHERE delivered_ms IS NULL;
CREATE UNIQUE INDEX originals_due ON originals (meter, obis, due_ms) WHERE due_ms IS NOT NULL;
CREATE INDEX originals_at ON originals (meter, obis, at_ms);
CREATE INDEX originals_fine ON originals (at_ms) WHERE due_ms % 900000 != 0;
CREATE INDEX logs_by_time ON logs (log, t_ms);
CREATE INDEX originals_by_time ON originals (meter, at_ms, id);
COMMIT;
PRAGMA user_version = 4;
