
"use strict";
(function () {
  const root = document.documentElement;
  const byId = (id) => document.getElementById(id);
  root.classList.add("js");

  // tooltips instead of the browser's slow ones
  const tooltip = byId("tooltip");
  for (const element of document.querySelectorAll(".tip")) {
    const title = element.querySelector("title");
    if (!title) continue;
    element.dataset.tip = title.textContent;
    element.setAttribute("aria-label", title.textContent);
    title.remove();
  }
  for (const drawing of document.querySelectorAll("svg > title")) {
    drawing.parentNode.setAttribute("aria-label", drawing.textContent);
    drawing.remove();
  }
  document.addEventListener("pointermove", (event) => {
    const over = event.target.closest ? event.target.closest("[data-tip]") : null;
    tooltip.hidden = !over;
    if (!over) return;
    tooltip.textContent = over.dataset.tip;
    const left = Math.min(event.clientX + 14, window.innerWidth - tooltip.offsetWidth - 8);
    const below = event.clientY + 18;
    const fits = below + tooltip.offsetHeight < window.innerHeight;
    tooltip.style.left = Math.max(left, 8) + "px";
    tooltip.style.top = (fits ? below : event.clientY - tooltip.offsetHeight - 10) + "px";
  });

  // the instant under the pointer, across all panels of the chart
  const chart = byId("chart");
  const hair = byId("hair");
  if (chart && hair) {
    const number = (name) => Number(chart.dataset[name]);
    chart.addEventListener("pointermove", (event) => {
      const box = chart.getBoundingClientRect();
      const x = (event.clientX - box.left) * chart.viewBox.baseVal.width / box.width;
      const share = (x - number("left")) / number("width");
      hair.style.display = share >= 0 && share <= 1 ? "block" : "none";
      if (share < 0 || share > 1) return;
      const at = number("from") + share * (number("to") - number("from"));
      const line = hair.querySelector("line");
      line.setAttribute("x1", x);
      line.setAttribute("x2", x);
      line.setAttribute("y1", number("top"));
      line.setAttribute("y2", number("bottom"));
      const words = hair.querySelector("text");
      words.textContent = new Date(at).toISOString().slice(11, 19) + " UTC";
      words.setAttribute("x", x + (share > 0.9 ? -8 : 8));
      words.setAttribute("text-anchor", share > 0.9 ? "end" : "start");
      words.setAttribute("y", number("bottom") - 8);
    });
    chart.addEventListener("pointerleave", () => { hair.style.display = "none"; });
  }

  // one transaction at a time
  const diagrams = [...document.querySelectorAll(".diagram")];
  const choosers = [...document.querySelectorAll("[data-choose]")];
  function choose(label) {
    if (!diagrams.some((diagram) => diagram.dataset.label === label)) return false;
    for (const diagram of diagrams) diagram.hidden = diagram.dataset.label !== label;
    for (const chooser of choosers) {
      chooser.classList.toggle("chosen", chooser.dataset.choose === label);
    }
    root.dataset.chosen = label;
    return true;
  }
  for (const chooser of choosers) {
    chooser.addEventListener("click", (event) => {
      if (!choose(chooser.dataset.choose)) return;
      if (chooser.classList.contains("choice")) event.preventDefault();
    });
  }
  if (diagrams.length) choose(diagrams[0].dataset.label);
  const wanted = /^#lanes-(.+)$/.exec(window.location.hash);
  if (wanted) choose(wanted[1]);

  // details of an event of a diagram
  const drawer = byId("drawer");
  const content = byId("drawer-content");
  const rows = () => [...document.querySelectorAll(".diagram:not([hidden]) .row")];
  function show(row) {
    const event = byId("e" + row.dataset.e);
    if (!event) return;
    const heading = document.createElement("h4");
    heading.textContent = (row.dataset.tip || "").split("\n").slice(0, 3).join("  |  ");
    content.replaceChildren(heading);
    for (const part of event.querySelectorAll("details > :not(summary)")) {
      content.append(part.cloneNode(true));
    }
    for (const other of document.querySelectorAll(".row.open")) other.classList.remove("open");
    row.classList.add("open");
    drawer.hidden = false;
    drawer.scrollTop = 0;
  }
  function close() {
    drawer.hidden = true;
    for (const other of document.querySelectorAll(".row.open")) other.classList.remove("open");
  }
  document.addEventListener("click", (event) => {
    const row = event.target.closest ? event.target.closest(".row") : null;
    if (!row || !byId("e" + row.dataset.e)) return;
    event.preventDefault();
    show(row);
  });
  byId("drawer-close").addEventListener("click", close);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (drawer.hidden || !step) return;
    const all = rows();
    const next = all[all.findIndex((row) => row.classList.contains("open")) + step];
    if (!next) return;
    event.preventDefault();
    show(next);
    next.scrollIntoView({ block: "center" });
  });

  // the table of events
  const events = [...document.querySelectorAll(".events tbody tr")];
  const count = byId("events-count");
  const said = count ? count.textContent : "";
  function filter() {
    const words = byId("filter-text").value.trim().toLowerCase();
    const kind = byId("filter-kind").value;
    const onlyBad = byId("filter-bad").checked;
    const polls = byId("filter-polls").checked;
    let shown = 0;
    for (const row of events) {
      const fits = (polls || row.dataset.poll === undefined)
        && (!kind || row.dataset.kind === kind)
        && (!onlyBad || row.classList.contains("bad"))
        && (!words || row.textContent.toLowerCase().includes(words)
          || row.innerHTML.toLowerCase().includes('title="' + words));
      row.hidden = !fits;
      shown += fits;
    }
    if (count) count.textContent = said + ", " + shown + " shown";
  }
  for (const id of ["filter-text", "filter-kind", "filter-bad", "filter-polls"]) {
    byId(id).addEventListener("input", filter);
  }
  filter();
  root.dataset.ready = String(events.length);
}());
