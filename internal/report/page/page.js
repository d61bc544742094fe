// What needs script: the theme, the contents that follow, sorting and filters of
// tables, and the map of directories. Without it the page shows all the rest.
"use strict";
(() => {
  const $ = (selector, at = document) => at.querySelector(selector);
  const $$ = (selector, at = document) => [...at.querySelectorAll(selector)];
  const make = (tag, className = "", text = "") => {
    const el = document.createElement(tag);
    if (className) el.className = className;
    if (text) el.textContent = text;
    return el;
  };
  for (const el of $$(".script")) el.hidden = false;
  for (const el of $$(".no-script")) el.hidden = true;

  theme();
  contents();
  $$("main table").forEach(table);
  scrollers();
  if ($("#tree")) map();

  function theme() {
    const root = document.documentElement, button = $(".theme"), dark = matchMedia("(prefers-color-scheme: dark)");
    const other = () => (root.dataset.theme || (dark.matches ? "dark" : "light")) === "dark" ? "light" : "dark";
    const show = () => { $("span", button).textContent = other() === "dark" ? "Dark" : "Light"; };
    button.addEventListener("click", () => { root.dataset.theme = other(); show(); });
    dark.addEventListener("change", show);
    show();
  }

  // The contents mark the section that is read.
  function contents() {
    const menu = $(".menu"), parts = $$("header[id], section[id]");
    menu.addEventListener("click", (e) => { if (e.target.closest("a")) menu.open = false; });
    document.addEventListener("click", (e) => { if (!menu.contains(e.target)) menu.open = false; });
    document.addEventListener("keydown", (e) => { if (e.key === "Escape") menu.open = false; });
    let due = false;
    const mark = () => {
      due = false;
      let read = parts[0];
      for (const p of parts) if (p.getBoundingClientRect().top < innerHeight / 3) read = p;
      const end = scrollY > 0 && scrollY + innerHeight >= document.documentElement.scrollHeight - 2;
      if (end) read = parts[parts.length - 1];
      for (const a of $$(".side a, .menu a")) {
        if (a.hash === "#" + read.id) a.setAttribute("aria-current", "true"); else a.removeAttribute("aria-current");
      }
    };
    addEventListener("scroll", () => { if (!due) { due = true; requestAnimationFrame(mark); } }, { passive: true });
    mark();
  }

  // What scrolls sideways can be reached by keyboard.
  function scrollers() {
    const check = () => {
      for (const el of $$(".scroll")) {
        if (el.scrollWidth > el.clientWidth) el.tabIndex = 0; else el.removeAttribute("tabindex");
      }
    };
    addEventListener("resize", check);
    check();
  }

  function table(el) {
    const few = 20, body = el.tBodies[0], rows = [...body.rows], heads = [...el.tHead.rows[0].cells];
    const card = el.closest("section"), input = $("input", card), found = $(".found", card), more = $(".more", card);
    let order = rows, all = !more;

    const show = () => {
      const wanted = input ? input.value.trim().toLowerCase() : "";
      let n = 0;
      for (const row of order) {
        const out = wanted !== "" && !row.textContent.toLowerCase().includes(wanted);
        row.classList.toggle("out", out);
        row.classList.toggle("later", !out && !all && wanted === "" && n >= few);
        if (!out) n++;
      }
      if (found) found.textContent = wanted === "" ? "" : n + " of " + rows.length + (n === 1 ? " row" : " rows");
      if (more) {
        more.hidden = wanted !== "";
        $("button", more).textContent = all ? "Show only " + few + " rows" : "Show all " + rows.length + " rows";
      }
    };
    if (input) input.addEventListener("input", show);
    if (more) $("button", more).addEventListener("click", () => { all = !all; show(); });

    const value = (row, column) => {
      const cell = row.cells[column], raw = cell.dataset.v;
      if (cell.textContent === "") return null;
      return raw === undefined || isNaN(raw) ? cell.textContent : Number(raw);
    };
    const compare = (a, b) => {
      if (typeof a === "number" && typeof b === "number") return a - b;
      if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
      return a.localeCompare(b, "en", { numeric: true });
    };
    // A first click sorts numbers from the largest and text from A; the second
    // turns that around; the third restores the order of the report.
    heads.forEach((head, column) => {
      const button = make("button", "", head.textContent);
      button.type = "button";
      head.replaceChildren(button);
      head.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => {
        const number = rows.some((r) => typeof value(r, column) === "number");
        const steps = number ? ["descending", "ascending", "none"] : ["ascending", "descending", "none"];
        const next = steps[(steps.indexOf(head.getAttribute("aria-sort")) + 1) % 3];
        for (const h of heads) h.setAttribute("aria-sort", "none");
        head.setAttribute("aria-sort", next);
        const sign = next === "descending" ? -1 : 1;
        order = next === "none" ? rows : rows.map((row) => ({ row, v: value(row, column) })).sort((a, b) => {
          // What is empty comes last either way.
          if (a.v === null || b.v === null) return (a.v === null) - (b.v === null);
          return sign * compare(a.v, b.v);
        }).map((x) => x.row);
        body.append(...order);
        show();
      });
    });
    show();
  }

  function map() {
    const data = JSON.parse($("#tree").textContent);
    const figure = $(".map"), cells = $(".cells"), crumbs = $(".crumbs ol"), detail = $(".detail"), tip = $(".tip");
    const measures = ["bytes", "allocated", "files"];
    const nodes = data.nodes.map(([parent, name, quoted, files, dirs, bytes, allocated, newest], i) => (
      { i, name, quoted, files, dirs, bytes, allocated, newest, parent, children: [] }));
    for (const n of nodes) {
      n.parent = n.parent < 0 ? null : nodes[n.parent];
      if (n.parent) n.parent.children.push(n);
    }
    const root = nodes[0];
    // What the children of a node do not account for is a cell of its own.
    for (const n of nodes.slice()) {
      if (!n.children.length) continue;
      const rest = { parent: n, rest: true, name: "files here and below", children: [], newest: undefined };
      for (const m of [...measures, "dirs"]) rest[m] = Math.max(0, n.children.reduce((left, c) => left - c[m], m === "dirs" ? n[m] - 1 : n[m]));
      n.left = rest;
    }
    let at = root, measure = "bytes", byAge = false, size = [0, 0], shown = [];

    const count = (n) => n.toLocaleString("en-US");
    const bytes = (n) => {
      let unit = 0;
      while (unit < 6 && n >= 1023.5) { n /= 1024; unit++; }
      return n.toFixed(unit === 0 || n >= 99.95 ? 0 : 1) + " " + ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"][unit];
    };
    const amount = (n) => measure === "files" ? count(n.files) + (n.files === 1 ? " file" : " files") : bytes(n[measure]);
    const day = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 16).replace("T", " ");
    const label = (n) => n.name === "" ? "all" : n.name;

    // A path in which a name is in quotes is in quotes as a whole.
    const path = (n) => {
      const parts = [];
      for (let p = n.rest ? n.parent : n; p; p = p.parent) {
        if (p.name !== "") parts.unshift(p);
        if (/\/|^[A-Za-z]:\\/.test(p.name)) break; // the whole path of a root
      }
      const whole = parts.some((p) => p.quoted);
      const text = parts.map((p) => p.quoted ? p.name.slice(1, -1) : whole ? p.name.replace(/["\\]/g, "\\$&") : p.name);
      const separator = parts.length && /^[A-Za-z]:|^\\\\/.test(parts[0].name) ? "\\" : "/";
      const joined = text.reduce((a, b) => a.endsWith(separator) ? a + b : a + separator + b, text.shift() || "");
      return whole ? '"' + joined + '"' : joined || label(n);
    };
    const describe = (el, n) => {
      el.replaceChildren(make("code", "", path(n) + (n.rest ? " — files here and below, in directories that are not shown" : "")));
      const facts = make("div", "facts");
      const fact = (name, value) => {
        const f = make("span", "", name + " ");
        f.append(make("b", "", value));
        facts.append(f);
      };
      fact("Size", bytes(n.bytes));
      fact("Allocated", bytes(n.allocated));
      fact("Files", count(n.files));
      if (!n.rest || n.dirs > 0) fact("Directories", count(n.dirs));
      if (n.newest) fact("Newest file", day(n.newest));
      el.append(facts);
    };
    const age = (n) => {
      if (n.rest) n = n.parent;
      if (n.newest === null) return 5;
      const days = (data.now - n.newest) / 86400;
      const i = [30, 182, 365, 1096].findIndex((most) => days <= most);
      return i < 0 ? 4 : i;
    };

    // Three levels are drawn, more where one directory has nearly all. A level
    // needs room to be seen.
    const nearlyAll = 0.6;
    const depth = () => {
      let levels = 3;
      for (let n = at; ; levels++) {
        n = n.children.find((c) => c.children.length && c[measure] > nearlyAll * at[measure]);
        if (!n) return levels;
      }
    };
    const grow = (n, levels) => {
      const kids = levels && n.children.length ? [...n.children, n.left].filter((c) => c[measure] > 0) : [];
      return { n, children: kids.length ? kids.map((c) => grow(c, levels - 1)) : undefined };
    };
    // Each directory has a colour with all below it; one that has nearly all is
    // grey, and those in it have colours.
    const paint = (tree) => {
      const colours = new Map([[tree, 7]]);
      let next = 0;
      const below = (d) => {
        for (const c of d.children || []) {
          const most = c.children && c.value > nearlyAll * tree.value;
          colours.set(c, most || c.data.n.rest ? 7 : next++ % 7);
          if (most) below(c);
        }
      };
      below(tree);
      return (d) => {
        while (!colours.has(d)) d = d.parent;
        return colours.get(d);
      };
    };
    const titled = (d) => d.depth > 0 && d.x1 - d.x0 > 46 && d.y1 - d.y0 > 34;

    function draw() {
      size = [cells.clientWidth, cells.clientHeight];
      const [w, h] = size;
      shown = [];
      cells.replaceChildren();
      drawCrumbs();
      describe(detail, at);
      if (!w || !h) return;
      const tree = d3.hierarchy(grow(at, depth())).sum((d) => d.children ? 0 : d.n[measure]).sort((a, b) => b.value - a.value);
      if (!tree.value || !tree.children && at.children.length) {
        cells.append(make("p", "empty", "Nothing here has " + (measure === "files" ? "files." : "a size.")));
        return;
      }
      d3.treemap().size(size).tile(d3.treemapSquarify.ratio(1.4)).paddingInner(2)
        .paddingOuter((d) => d.depth ? 2 : 0).paddingTop((d) => !d.depth ? 0 : titled(d) ? 21 : 2)(tree);
      const colour = paint(tree);
      const list = document.createDocumentFragment();
      tree.eachBefore((d) => {
        if (!d.depth && d.children) return;
        const x = d.x1 - d.x0, y = d.y1 - d.y0;
        if (x < 2 || y < 2) return;
        list.append(cell(d, x, y, colour(d)));
      });
      cells.append(list);
      const first = shown[0];
      if (first) first.tabIndex = 0;
    }

    function cell(d, x, y, colour) {
      const n = d.data.n, top = d.depth < 2;
      const el = make(top ? "button" : "div", "cell");
      el.classList.add(byAge ? "a" + age(n) : "n" + colour);
      if (d.children) el.classList.add("group");
      if (d.children && d.depth > 1) el.classList.add("deep");
      if (n.rest) el.classList.add("rest");
      if (n.children.length && n !== at) el.classList.add("into");
      // In percent, so that it fits paper too.
      el.style.left = 100 * d.x0 / size[0] + "%";
      el.style.top = 100 * d.y0 / size[1] + "%";
      el.style.width = 100 * x / size[0] + "%";
      el.style.height = 100 * y / size[1] + "%";
      const text = label(n), wide = (s) => 14 + 6.6 * s.length;
      if (d.children ? titled(d) : y >= 20 && x >= Math.min(wide(text), 64)) {
        el.append(make("b", "", text));
        if (!d.children && y >= 40 && x >= wide(amount(n))) {
          el.classList.add("two");
          el.append(make("i", "", amount(n)));
        } else if (x >= wide(text + amount(n)) + 12) {
          el.append(make("i", "", amount(n)));
        }
      }
      if (top) {
        el.type = "button";
        el.tabIndex = -1;
        el.setAttribute("aria-label", text + ", " + amount(n) + (n.children.length && n !== at ? ", opens" : ""));
        shown.push(el);
      } else {
        el.setAttribute("aria-hidden", "true");
      }
      el.node = n;
      return el;
    }

    function drawCrumbs() {
      const way = [];
      for (let n = at; n; n = n.parent) way.unshift(n);
      crumbs.replaceChildren(...way.map((n) => {
        const li = make("li");
        if (n === at) {
          const here = make("span", "", label(n));
          here.setAttribute("aria-current", "true");
          li.append(here);
        } else {
          const button = make("button", "", label(n));
          button.type = "button";
          button.addEventListener("click", (e) => go(n, e.detail === 0));
          li.append(button);
        }
        return li;
      }));
    }

    // Into n; the focus stays in the map, at where one came from.
    function go(n, focus) {
      const from = at;
      at = n;
      tip.hidden = true;
      draw();
      if (!focus) return;
      let target = shown[0];
      for (const el of shown) for (let p = from; p; p = p.parent) if (el.node === p) target = el;
      if (target) choose(target);
    }
    const choose = (el) => {
      for (const other of shown) other.tabIndex = other === el ? 0 : -1;
      el.focus();
    };

    cells.addEventListener("click", (e) => {
      const el = e.target.closest(".cell");
      if (!el) return;
      let n = el.node;
      while (n !== at && !n.children.length) n = n.parent;
      if (n !== at) go(n, e.detail === 0); else describe(detail, el.node);
    });
    cells.addEventListener("focusin", (e) => { if (e.target.node) describe(detail, e.target.node); });
    cells.addEventListener("keydown", (e) => {
      const i = shown.indexOf(document.activeElement);
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[e.key];
      if (step && shown.length) choose(shown[(i + step + shown.length) % shown.length]);
      else if ((e.key === "Escape" || e.key === "Backspace") && at.parent) go(at.parent, true);
      else return;
      e.preventDefault();
    });
    cells.addEventListener("pointermove", (e) => {
      const el = e.pointerType === "mouse" && e.target.closest(".cell");
      tip.hidden = !el;
      if (!el) return;
      if (tip.node !== el.node) describe(tip, tip.node = el.node);
      const box = tip.getBoundingClientRect(), gap = 14;
      const x = e.clientX + gap + box.width > innerWidth ? e.clientX - gap - box.width : e.clientX + gap;
      const y = e.clientY + gap + box.height > innerHeight ? e.clientY - gap - box.height : e.clientY + gap;
      tip.style.transform = "translate(" + Math.max(4, x) + "px," + Math.max(4, y) + "px)";
    });
    cells.addEventListener("pointerleave", () => { tip.hidden = true; });
    const choice = (name, set) => {
      const buttons = $$("[data-" + name + "]", figure);
      for (const b of buttons) b.addEventListener("click", () => {
        for (const other of buttons) other.setAttribute("aria-pressed", String(other === b));
        set(b.dataset[name]);
        draw();
      });
    };
    choice("measure", (m) => { measure = m; });
    choice("colour", (c) => {
      byAge = c === "age";
      figure.classList.toggle("by-age", byAge);
      $(".ages").hidden = !byAge;
    });
    new ResizeObserver(() => { if (cells.clientWidth !== size[0] && !matchMedia("print").matches) draw(); }).observe(cells);
    draw();
  }
})();
