(function () {
  "use strict";
  var root = document.documentElement;
  root.classList.add("js");

  // Light and dark: the reader's choice, else that of the system.
  var button = document.querySelector("button.theme");
  var system = window.matchMedia("(prefers-color-scheme: dark)");
  function remembered() {
    try { return localStorage.getItem("zoo-theme"); } catch (refused) { return null; }
  }
  function dark() {
    return root.dataset.theme ? root.dataset.theme === "dark" : system.matches;
  }
  function label() { button.textContent = dark() ? "Light" : "Dark"; }
  if (remembered() === "dark" || remembered() === "light") root.dataset.theme = remembered();
  button.addEventListener("click", function () {
    root.dataset.theme = dark() ? "light" : "dark";
    try { localStorage.setItem("zoo-theme", root.dataset.theme); } catch (refused) { /* a file may have no storage */ }
    label();
  });
  system.addEventListener("change", label);
  label();

  // Tables sort by any column; what is missing or has failed stays at the end.
  function key(row, i) {
    var cell = row.cells[i];
    if (!cell) return "";
    return cell.dataset.value === undefined ? cell.textContent.trim() : cell.dataset.value;
  }
  function sort(table, head, i) {
    var ascending = head.getAttribute("aria-sort") !== "ascending";
    Array.prototype.forEach.call(table.tHead.rows[0].cells, function (other) { other.removeAttribute("aria-sort"); });
    head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    var body = table.tBodies[0];
    var rows = Array.prototype.slice.call(body.rows);
    var numeric = rows.every(function (row) { var v = key(row, i); return v === "" || !isNaN(Number(v)); });
    rows.map(function (row, place) {
      var v = row.classList.contains("failed") ? "" : key(row, i);
      return { row: row, place: place, missing: v === "", v: numeric ? Number(v) : v };
    }).sort(function (a, b) {
      if (a.missing !== b.missing) return a.missing ? 1 : -1;
      if (a.missing) return a.place - b.place;
      var order = numeric ? a.v - b.v : String(a.v).localeCompare(String(b.v), undefined, { numeric: true });
      return (ascending ? order : -order) || a.place - b.place;
    }).forEach(function (entry) { body.appendChild(entry.row); });
  }
  Array.prototype.forEach.call(document.querySelectorAll("table.sortable"), function (table) {
    Array.prototype.forEach.call(table.tHead.rows[0].cells, function (head, i) {
      if (head.hasAttribute("data-fixed")) return;
      var press = document.createElement("button");
      press.type = "button";
      while (head.firstChild) press.appendChild(head.firstChild);
      head.appendChild(press);
      press.addEventListener("click", function () { sort(table, head, i); });
    });
  });

  // What a <title> in a chart says, at once and where the pointer is.
  Array.prototype.forEach.call(document.querySelectorAll("svg.chart"), function (chart) {
    var title = chart.querySelector(":scope > title");
    if (title) { chart.setAttribute("aria-label", title.textContent); title.remove(); }
  });
  var tip = document.createElement("div");
  tip.id = "tip";
  tip.hidden = true;
  document.body.appendChild(tip);
  document.addEventListener("pointerover", function (event) {
    var mark = event.target.closest ? event.target.closest("svg.chart *") : null;
    while (mark && mark.localName !== "svg") {
      var title = mark.querySelector(":scope > title");
      if (title) { mark.dataset.tip = title.textContent; title.remove(); }
      if (mark.dataset.tip) break;
      mark = mark.parentElement;
    }
    tip.hidden = !(mark && mark.dataset && mark.dataset.tip);
    if (tip.hidden) return;
    tip.textContent = mark.dataset.tip;
    var box = tip.getBoundingClientRect();
    var left = Math.min(Math.max(event.clientX - box.width / 2, 8), root.clientWidth - box.width - 8);
    var top = event.clientY - box.height - 14;
    tip.style.left = left + "px";
    tip.style.top = (top < 8 ? event.clientY + 18 : top) + "px";
  });
  document.addEventListener("scroll", function () { tip.hidden = true; }, { passive: true, capture: true });
})();
