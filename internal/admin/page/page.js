"use strict";
// Draws /stats.json each second. Whatever comes from the server becomes text by
// textContent or an attribute by setAttribute, and never markup.
(() => {
  const POINTS = 60, EVERY = 1000, LATE = 4000;
  const $ = (id) => document.getElementById(id);
  const set = (id, text) => { const e = $(id); if (e.textContent !== text) e.textContent = text; };
  const make = (tag, cls, text) => {
    const e = document.createElement(tag);
    if (cls) e.className = cls;
    if (text !== undefined) e.textContent = text;
    return e;
  };
  const num = (n) => Math.round(n).toLocaleString("en-US");
  const rate = (n) => n > 0 && n < 10 ? n.toFixed(1) : n < 1e6 ? num(n) : (n / 1e6).toFixed(2) + " M";
  const share = (part, whole) => whole > 0 ? Math.min(1, part / whole) : 0;
  const percent = (x) => x > 0 && x < .0005 ? "< 0.1 %" : x > 0 && x < .1 ? (100 * x).toFixed(1) + " %" : Math.round(100 * x) + " %";
  const bytes = (n) => {
    for (const u of ["B", "KiB", "MiB", "GiB"]) {
      if (n < 1024) return (u === "B" || n >= 100 ? Math.round(n) : n.toFixed(1)) + " " + u;
      n /= 1024;
    }
    return n.toFixed(1) + " TiB";
  };
  const span = (s) => s >= 172800 ? Math.floor(s / 86400) + " d" : s >= 7200 ? Math.floor(s / 3600) + " h" : s >= 120 ? Math.floor(s / 60) + " min" : s < 10 ? s.toFixed(1) + " s" : Math.round(s) + " s";
  const ago = (when, now) => when ? span(Math.max(0, (now - Date.parse(when)) / 1000)) + " ago" : "never";
  const clock = (when) => when ? new Date(when).toLocaleTimeString("en-GB") : "";
  const plural = (n, word) => num(n) + " " + word + (n === 1 ? "" : "s");
  const place = (netns) => netns === "" ? "" : " in " + netns;
  const sum = (list, of) => list.reduce((n, x) => n + of(x), 0);
  const dropped = (b) => sum(b.dropped || [], (d) => d.count);

  // meter draws a share of one; its text is for those who do not see it.
  const meter = (id, part, limits, label) => {
    const e = $(id);
    if (!e.firstChild) e.append(make("i"));
    e.className = "meter" + (part >= limits[1] ? " bad" : part >= limits[0] ? " warn" : "");
    e.firstChild.style.setProperty("width", (100 * part).toFixed(1) + "%");
    e.setAttribute("role", "meter");
    e.setAttribute("aria-valuemin", "0");
    e.setAttribute("aria-valuemax", "100");
    e.setAttribute("aria-valuenow", String(Math.round(100 * part)));
    e.setAttribute("aria-label", label);
  };

  // lines keeps a row with a curve for each name; names come from the server's
  // few fixed ones.
  const history = {};
  const lines = (id, values) => {
    const box = $(id), kept = history[id] = history[id] || {};
    for (const [name, value] of values) (kept[name] = kept[name] || []).push(value);
    const shown = values.filter(([name]) => kept[name].some((v) => v > 0) || id === "by-event");
    const top = Math.max(1, ...shown.flatMap(([name]) => kept[name].slice(-POINTS)));
    for (const [name, value] of shown) {
      const points = kept[name] = kept[name].slice(-POINTS);
      let row = [...box.children].find((r) => r.dataset.name === name);
      if (!row) {
        row = make("div", "line");
        row.dataset.name = name;
        const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
        svg.setAttribute("viewBox", `0 0 ${POINTS - 1} 20`);
        svg.setAttribute("preserveAspectRatio", "none");
        svg.setAttribute("aria-hidden", "true");
        for (const cls of ["area", "stroke"]) {
          const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
          path.setAttribute("class", cls);
          svg.append(path);
        }
        row.append(make("span", "", name), svg, make("b"));
        box.append(row);
      }
      const from = POINTS - points.length;
      const at = points.map((v, i) => `${from + i},${(19 - 18 * v / top).toFixed(2)}`).join("L");
      const [area, stroke] = row.querySelectorAll("path");
      stroke.setAttribute("d", "M" + at);
      area.setAttribute("d", `M${from},20L${at}L${POINTS - 1},20Z`);
      row.lastChild.textContent = rate(value);
    }
    if (!shown.length) box.replaceChildren(make("p", "muted", "No events yet."));
    else for (const p of box.querySelectorAll("p")) p.remove();
  };

  // totals sums the rates of events over everything but one key.
  const totals = (s, key, names) => {
    const per = new Map(names.map((n) => [n, 0]));
    for (const e of s.rates ? s.rates.events : []) per.set(e[key], (per.get(e[key]) || 0) + e.per_second);
    return [...per];
  };

  const problem = [];  // of this second: [severity, text, when]
  const note = (severity, text, when) => problem.push([severity, text, when]);

  const glance = (s) => {
    const k = s.books.sockets, lost = sum(k, (b) => b.lost), received = sum(k, (b) => b.received);
    set("rate", s.rates ? rate(s.rates.received) : "–");
    set("received", num(received) + " received since the start");
    const losing = s.rates && s.rates.lost > 0;
    $("loss-tile").className = "tile" + (lost > 0 ? " bad" : "");
    set("lost", num(lost));
    set("lost-unit", lost === 1 ? "event" : "events");
    const reliable = k.some((b) => b.reliable);
    set("lost-note", lost === 0 ? "nothing lost by the kernel" : (losing ? "losing " + rate(s.rates.lost) + "/s now; " : "") + (reliable ? "at most " : "") + percent(share(lost, lost + received)) + " of what was offered");
    if (losing) note("bad", "The kernel drops events: raise source.buffer.max, or filter.");
    else if (lost > 0) note("warn", plural(lost, "event") + " lost since the start; gap records tell when.");
  };

  const buffer = (s) => {
    let worst = null;
    for (const b of s.buffers) if (!worst || share(b.queued_bytes, b.size_bytes) > share(worst.queued_bytes, worst.size_bytes)) worst = b;
    const room = s.buffers.filter((b) => b.headroom_seconds !== undefined).map((b) => b.headroom_seconds);
    const least = room.length ? Math.min(...room) : null;
    set("headroom", least === null ? "idle" : least > 3600 ? "> 1 h" : span(least));
    set("headroom-unit", least === null ? "" : "of headroom");
    if (!worst) return;
    const full = share(worst.queued_bytes, worst.size_bytes);
    meter("buffer", full, [.5, .8], "Receive buffer in use");
    set("buffer-note", percent(full) + " of " + bytes(worst.size_bytes) + place(worst.netns) + (worst.size_bytes < s.buffer_max_bytes ? ", may grow to " + bytes(s.buffer_max_bytes) : ", its largest"));
  };

  const table = (s) => {
    let worst = null;
    for (const t of s.tables || []) if (!worst || share(t.entries, t.max) > share(worst.entries, worst.max)) worst = t;
    if (!worst) return set("table-note", "not known");
    const full = share(worst.entries, worst.max);
    set("fill", percent(full));
    meter("table", full, [.8, .95], "Conntrack table in use");
    set("table-note", num(worst.entries) + " of " + num(worst.max) + " entries" + place(worst.netns));
  };

  const field = (name, value, bad) => {
    const dl = make("dl");
    dl.append(make("dt", "", name), make("dd", bad ? "bad" : "", value));
    return dl;
  };

  const sinks = (s, now) => {
    const rows = s.sinks.map((k) => {
      const b = s.books.sinks.find((x) => x.name === k.name) || { dropped: [], held: 0, delivered: 0 };
      const r = (s.rates ? s.rates.sinks : []).find((x) => x.name === k.name) || { delivered: 0, bytes: 0, dropped: 0 };
      const down = !b.up && b.last_error, lost = dropped(b) + b.dead_lettered;
      const row = make("div", "sink"), title = make("h3", "", k.name);
      title.append(make("small", "", k.type + ", " + k.encoding));
      row.append(title, make("span", "state" + (down ? " bad" : b.up ? "" : " warn"), down ? "down" : b.up ? "up" : k.writes ? "idle" : "waiting"));
      const lag = k.oldest_held ? num(b.held) + ", " + ago(k.oldest_held, now).replace(" ago", "") : num(b.held);
      row.append(field("records/s", rate(r.delivered)), field("bytes/s", bytes(r.bytes)), field("held", lag), field("not delivered", num(lost), lost > 0));
      if (down) row.append(make("p", "why", b.last_error + (k.last_success ? " (last success " + ago(k.last_success, now) + ")" : "")));
      const reasons = (b.dropped || []).filter((d) => d.count > 0).map((d) => d.reason + " " + num(d.count))
        .concat(b.dead_lettered > 0 ? ["dead_lettered " + num(b.dead_lettered)] : []).join(", ");
      if (r.dropped > 0) note("bad", "Sink " + k.name + " drops " + rate(r.dropped) + " records/s now; not delivered so far: " + reasons + ".");
      else if (lost > 0) note("warn", "Sink " + k.name + " did not deliver " + plural(lost, "record") + ": " + reasons + ".");
      return row;
    });
    $("sinks").replaceChildren(...rows);
  };

  const spool = (s) => {
    $("spool-card").hidden = !s.spool;
    if (!s.spool) return;
    const full = share(s.spool.bytes, s.spool.max_bytes);
    meter("spool", full, [.7, .9], "Spool in use");
    set("spool-note", percent(full) + " of " + bytes(s.spool.max_bytes) + " in " + plural(s.spool.segments, "segment") + ", " + bytes(s.spool.free_bytes) + " free on the disk");
  };

  const notes = (s, now) => {
    if (!s.reload.ok) note("bad", "The last reload failed: " + s.reload.error, s.reload.time);
    for (const e of s.errors) if (e.part !== "configuration") note("warn", e.part + ": " + e.text, e.time);
    for (const c of s.certificates) {
      if (c.error) note("warn", c.key + ": " + c.error);
      else if (Date.parse(c.not_after) - now < 14 * 864e5) note("bad", c.key + (Date.parse(c.not_after) < now ? " has expired." : " expires in " + span((Date.parse(c.not_after) - now) / 1000) + "."));
    }
    for (const w of s.warnings || []) note("", w);
    const list = problem.map(([severity, text, when]) => {
      const li = make("li", severity);
      if (when) { const t = make("time", "", clock(when)); t.setAttribute("datetime", when); li.append(t); }
      li.append(text);
      return li;
    });
    $("notes").replaceChildren(...(list.length ? list : [make("li", "", "Nothing: no loss, no errors.")]));
  };

  const verdict = (severity, text) => {
    const e = $("verdict");
    e.className = "pill" + (severity ? " " + severity : "");
    if (e.textContent !== text) e.textContent = text;
    document.title = (severity ? "! " : "") + $("node").textContent + " – ctferry";
  };

  const judge = (s) => {
    const down = s.sinks.filter((k) => { const b = s.books.sinks.find((x) => x.name === k.name); return b && !b.up && b.last_error; });
    if (s.standstill_seconds > 10) return verdict("bad", "The reader stands still, " + span(s.standstill_seconds));
    if (s.rates && s.rates.lost > 0) return verdict("bad", "Losing events");
    if (down.length) return verdict("bad", plural(down.length, "sink") + " down");
    if (!s.ready) return verdict("warn", "Stopping");
    if (!s.reload.ok) return verdict("warn", "Reload failed");
    if (sum(s.books.sockets, (b) => b.lost) > 0) return verdict("warn", "Events were lost");
    return verdict("", "All is well");
  };

  const draw = (s) => {
    const now = Date.parse(s.time);
    problem.length = 0;
    set("node", s.node);
    set("about", "ctferry " + s.version + (s.kernel ? ", Linux " + s.kernel : "") + ", up " + span(s.uptime_seconds));
    glance(s);
    buffer(s);
    table(s);
    lines("by-event", totals(s, "event", ["new", "update", "destroy"]));
    lines("by-proto", totals(s, "proto", ["tcp", "udp", "icmp", "icmpv6", "sctp", "dccp", "gre", "other"]));
    sinks(s, now);
    spool(s);
    notes(s, now);
    judge(s);
    set("foot", "run " + s.run.slice(0, 8) + ", " + new Date(s.time).toISOString().slice(11, 19) + " UTC");
  };

  let last = Date.now();
  const ask = async () => {
    let stats = null;
    try {
      const answer = await fetch("stats.json", { cache: "no-store", signal: AbortSignal.timeout(LATE) });
      if (!answer.ok) throw new Error("status " + answer.status);
      stats = await answer.json();
      last = Date.now();
    } catch (err) {
      if (Date.now() - last > LATE) verdict("bad", "No answer for " + span((Date.now() - last) / 1000) + ": figures are old");
    }
    setTimeout(ask, document.hidden ? 5 * EVERY : EVERY);
    if (stats) draw(stats);
  };
  ask();
})();
