-- Quarter hours of many metering points, shared among transactions: the rules of the core as one
-- expression. Integers only. Tables (columns are integers but for grp):
--   point(point, from_ms, quarters, linear, longest_ms, last_number, rest, delta)
--   direction(point, direction)           quarter(n): 0, 1, 2, ... up to the most quarters
--   reading(point, direction, due_ms, at_ms, raw, ptb)
--   event(point, seq, t_ms, kind, tx, ptb)   kind 1 begin, 2 end, 0 neutral
--   event_value(point, direction, seq, raw)
--   opened(point, tx)                     open at the start
--   transaction_group(point, tx, grp)
-- Result: a row for each part of a quarter hour, or one with tx NULL where it has none:
--   point, direction, start_ms, state (0 missing, 1 settled, 2 faulty),
--   quality (0 none, 1 measured, 2 substitute), total, tx (-1 rest, -2 delta), grp, energy
WITH
record AS (  -- records with their neighbours by number
  SELECT e.point, e.seq, e.t_ms, e.kind, e.tx, e.ptb,
    COALESCE(LAG(e.seq) OVER (PARTITION BY e.point ORDER BY e.seq), p.last_number) AS seq_before,
    LAG(e.t_ms) OVER (PARTITION BY e.point ORDER BY e.seq) AS t_before,
    LEAD(e.seq) OVER (PARTITION BY e.point ORDER BY e.seq) AS seq_behind,
    MAX(CASE WHEN e.kind <> 0 THEN e.t_ms END) OVER (PARTITION BY e.point ORDER BY e.seq
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS switched_before
  FROM event e JOIN point p ON p.point = e.point
),
gap AS (  -- numbers are missing (R6)
  SELECT point, COALESCE(t_before, EARLIEST) AS low, t_ms AS high
  FROM record WHERE seq > seq_before + 1
),
side AS (  -- begins and ends; stop_ms: where what never ends is doubtful no longer
  SELECT point, tx, kind, t_ms, switched_before,
    MIN(CASE WHEN seq_behind > seq + 1 THEN t_ms END) OVER (PARTITION BY point
      ORDER BY seq DESC ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS stop_ms
  FROM record
  UNION ALL
  SELECT o.point, o.tx, 1, EARLIEST, NULL, MIN(g.low)
  FROM opened o LEFT JOIN gap g ON g.point = o.point GROUP BY o.point, o.tx
),
pair AS (
  SELECT point, tx,
    MAX(CASE WHEN kind = 1 THEN t_ms END) AS from_ms,
    MAX(CASE WHEN kind = 2 THEN t_ms END) AS to_ms,
    MAX(CASE WHEN kind = 1 THEN stop_ms END) AS stop_ms,
    MAX(CASE WHEN kind = 2 THEN COALESCE(switched_before, EARLIEST) END) AS since_ms
  FROM side WHERE kind <> 0 GROUP BY point, tx
),
stretch AS (  -- one transaction open, or nobody knows
  SELECT point, from_ms AS low, to_ms AS high, 1 AS opened, tx, 0 AS unknown
  FROM pair WHERE from_ms < to_ms
  UNION ALL
  SELECT point, from_ms, COALESCE(stop_ms, LATEST), 0, 0, 1 FROM pair WHERE to_ms IS NULL
  UNION ALL
  SELECT point, since_ms, to_ms, 0, 0, 1 FROM pair WHERE from_ms IS NULL
  UNION ALL
  SELECT point, low, high, 0, 0, 1 FROM gap
),
edge AS (  -- changes of the state, one row an instant; marks: records without a usable value (R8)
  SELECT point, at_ms, SUM(opened) AS opened, SUM(tx) AS tx, SUM(unknown) AS unknown,
    SUM(mark) AS mark
  FROM (
    SELECT point, low AS at_ms, opened, tx, unknown, 0 AS mark FROM stretch WHERE low < high
    UNION ALL
    SELECT point, high, -opened, -tx, -unknown, 0 FROM stretch WHERE low < high
    UNION ALL
    SELECT point, t_ms, 0, 0, 0, 1 FROM record WHERE kind <> 0 AND ptb > 2
  ) change_of_state GROUP BY point, at_ms
),
known AS (  -- place 1: the grid, known or not; 2: events, of which some only anchor lines (R11)
  SELECT p.point, d.direction, q.n, 1 AS place, 1 AS cuts,
    COALESCE(r.at_ms, p.from_ms + q.n * 900000) AS at_ms, r.raw,
    CASE WHEN r.ptb < 2 THEN 0 ELSE 1 END AS substitute
  FROM point p
  JOIN direction d ON d.point = p.point
  JOIN quarter q ON q.n <= p.quarters
  LEFT JOIN reading r ON r.point = p.point AND r.direction = d.direction
    AND r.due_ms = p.from_ms + q.n * 900000 AND r.ptb <= 2
  UNION ALL
  SELECT e.point, v.direction, NULL, 2,
    CASE WHEN e.kind <> 0 OR e.seq > e.seq_before + 1 OR e.seq_behind > e.seq + 1 THEN 1 ELSE 0 END,
    e.t_ms, v.raw, 0
  FROM record e JOIN event_value v ON v.point = e.point AND v.seq = e.seq
  WHERE e.ptb <= 2
),
beside AS (  -- the nearest registers known at or before, at or behind
  SELECT point, direction, n, place, cuts, at_ms, raw, substitute,
    MAX(CASE WHEN raw IS NOT NULL THEN at_ms END) OVER earlier AS at_before,
    MAX(raw) OVER earlier AS raw_before,
    MIN(CASE WHEN raw IS NOT NULL THEN at_ms END) OVER later AS at_behind,
    MIN(raw) OVER later AS raw_behind
  FROM known
  WINDOW
    earlier AS (PARTITION BY point, direction ORDER BY at_ms, place
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW),
    later AS (PARTITION BY point, direction ORDER BY at_ms DESC, place DESC
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
),
register AS (
  SELECT b.point, b.direction, b.n, b.place, b.at_ms, b.substitute,
    CASE
      WHEN b.raw IS NOT NULL OR p.linear = 0 THEN b.raw
      WHEN b.at_behind = b.at_ms THEN b.raw_behind
      WHEN b.at_behind - b.at_before <= p.longest_ms THEN b.raw_before +
        ((b.raw_behind - b.raw_before) * (b.at_ms - b.at_before)) // (b.at_behind - b.at_before)
    END AS raw
  FROM beside b JOIN point p ON p.point = b.point
  WHERE b.cuts = 1
),
course AS (  -- registers and changes of the state in one row of time
  SELECT point, direction, n, place, at_ms, raw, substitute,
    SUM(edges) OVER passed AS edges_passed,
    SUM(opened) OVER passed AS opened,
    SUM(tx) OVER passed AS tx,
    SUM(unknown) OVER passed AS unknown,
    MAX(n) OVER passed AS slot,
    CASE WHEN LAG(place) OVER line = 0 AND LAG(at_ms) OVER line = at_ms THEN 1 ELSE 0 END
      AS edge_here,
    CASE WHEN LAG(place) OVER line = 0 AND LAG(at_ms) OVER line = at_ms
      THEN LAG(mark) OVER line ELSE 0 END AS mark_here
  FROM (
    SELECT point, direction, n, place, at_ms, raw, substitute,
      0 AS edges, 0 AS opened, 0 AS tx, 0 AS unknown, 0 AS mark
    FROM register
    UNION ALL
    SELECT e.point, d.direction, NULL, 0, e.at_ms, NULL, 0, 1, e.opened, e.tx, e.unknown, e.mark
    FROM edge e JOIN direction d ON d.point = e.point
  ) both_kinds
  WINDOW
    line AS (PARTITION BY point, direction ORDER BY at_ms, place),
    passed AS (PARTITION BY point, direction ORDER BY at_ms, place
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
),
section AS (  -- from each register to the next
  SELECT point, direction, slot,
    (LEAD(raw) OVER line) - raw AS energy,
    CASE
      WHEN unknown > 0 OR opened > 1 THEN -2
      WHEN (LEAD(edges_passed) OVER line) - (LEAD(edge_here) OVER line) > edges_passed
        AND LEAD(at_ms) OVER line > at_ms THEN -2
      WHEN mark_here > 0 AND LEAD(at_ms) OVER line > at_ms THEN -2
      WHEN opened = 1 THEN tx
      ELSE -1
    END AS tx,
    CASE WHEN (place = 1 AND substitute = 1)
      OR (LEAD(place) OVER line = 1 AND LEAD(substitute) OVER line = 1) THEN 2 ELSE 1 END AS quality
  FROM course WHERE place > 0
  WINDOW line AS (PARTITION BY point, direction ORDER BY at_ms, place)
),
part AS (
  SELECT point, direction, slot, tx, SUM(energy) AS energy, MAX(quality) AS quality,
    COUNT(*) - COUNT(energy) AS lacking
  FROM section WHERE slot IS NOT NULL GROUP BY point, direction, slot, tx
),
shared AS (
  SELECT point, direction, slot, tx, energy,
    SUM(lacking) OVER whole AS lacking,
    SUM(energy) OVER whole AS total,
    MAX(quality) OVER whole AS quality,
    MAX(CASE WHEN tx = -2 AND energy > 0 THEN 1 ELSE 0 END) OVER whole AS doubtful,
    ROW_NUMBER() OVER (PARTITION BY point, direction, slot ORDER BY energy DESC, tx) AS place
  FROM part
  WINDOW whole AS (PARTITION BY point, direction, slot)
),
told AS (
  SELECT s.point, s.direction, s.slot, s.place,
    CASE WHEN s.lacking > 0 THEN 0 ELSE 1 + s.doubtful END AS state,
    CASE WHEN s.lacking > 0 THEN 0 ELSE s.quality END AS quality,
    CASE WHEN s.lacking = 0 THEN s.total END AS total,
    CASE WHEN s.lacking = 0 AND s.energy > 0 THEN s.tx END AS tx,
    CASE WHEN s.lacking = 0 AND s.energy > 0 THEN s.energy END AS energy
  FROM shared s
)
SELECT t.point, t.direction, p.from_ms + t.slot * 900000 AS start_ms, t.state, t.quality,
  CAST(t.total AS BIGINT) AS total,
  CAST(t.tx AS BIGINT) AS tx,
  CASE WHEN t.tx = -1 THEN p.rest WHEN t.tx IS NULL THEN NULL ELSE COALESCE(g.grp, p.delta) END
    AS grp,
  CAST(t.energy AS BIGINT) AS energy
FROM told t
JOIN point p ON p.point = t.point AND t.slot < p.quarters
LEFT JOIN transaction_group g ON g.point = t.point AND g.tx = t.tx
WHERE t.energy IS NOT NULL OR t.place = 1
