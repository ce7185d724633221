"use strict";
/* The small vocabulary of every chart on the page: elements, scales, axes, lines, marks, legends, and the numbers of a
 * chart as a table.  Colours come from style sheets by class (`series-0` … `series-6`); series differ by dash and by
 * marker as well, so that nothing is told by colour alone.
 */
const chart = (() => {
  const NAMESPACE = "http://www.w3.org/2000/svg";
  const MARKERS = ["circle", "triangle", "square", "diamond", "cross", "plus", "down"];
  const DASHES = ["", "7 4", "2 3", "9 3 2 3", "12 4", "4 2 1 2", "1 2"];
  let made = 0;

  function build(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
    }
    for (const child of children.flat()) {
      if (child !== null && child !== undefined) element.append(child);
    }
    return element;
  }

  /** An SVG element: svg("circle", {cx: 1, cy: 2}, child, "text", …). */
  function svg(name, attributes, ...children) {
    return build(document.createElementNS(NAMESPACE, name), attributes, children);
  }

  /** An HTML element, likewise. */
  function html(name, attributes, ...children) {
    return build(document.createElement(name), attributes, children);
  }

  /* -- numbers ----------------------------------------------------------------------------- */

  /** A number for people: `digits` significant ones, a true minus, "–" where there is none. */
  function say(value, digits = 4) {
    if (value === null || value === undefined || !Number.isFinite(value)) return "–";
    if (value === 0) return "0";
    const size = Math.abs(value);
    let text;
    if (size >= 1e7 || size < 1e-4) {
      const [mantissa, exponent] = value.toExponential(Math.min(digits, 3) - 1).split("e");
      text = `${mantissa} × 10${raised(Number(exponent))}`;
    } else {
      const places = Math.max(0, Math.min(10, digits - 1 - Math.floor(Math.log10(size))));
      text = value.toLocaleString("en-US", { minimumFractionDigits: 0, maximumFractionDigits: places });
    }
    return text.replaceAll("-", "−");
  }

  function raised(exponent) {
    const figures = "⁰¹²³⁴⁵⁶⁷⁸⁹";
    const digits = String(Math.abs(exponent)).split("").map((digit) => figures[Number(digit)]).join("");
    return (exponent < 0 ? "⁻" : "") + digits;
  }

  /** [smallest, largest] of the finite ones among numbers; null where there are none. */
  function extent(values) {
    let low = Infinity;
    let high = -Infinity;
    for (const value of values) {
      if (value === null || !Number.isFinite(value)) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
    return low <= high ? [low, high] : null;
  }

  /** An interval made wider by a share of its length at both ends; one without length gets some. */
  function widened([low, high], share = 0.05) {
    const more = high > low ? (high - low) * share : Math.max(Math.abs(high), 1) * share;
    return [low - more, high + more];
  }

  /* -- scales: functions from a domain to pixels, with `ticks`, `domain`, `range`, `invert`, `label` ------------- */

  function linear([a, b], [from, to]) {
    const scale = (value) => from + ((value - a) / (b - a)) * (to - from);
    scale.domain = [a, b];
    scale.range = [from, to];
    scale.invert = (pixel) => a + ((pixel - from) / (to - from)) * (b - a);
    scale.ticks = (count = 5) => steps(a, b, count);
    scale.label = (value, ticks) => inTens(value, ticks || steps(a, b, 5));
    return scale;
  }

  function steps(a, b, count) {
    const rough = (b - a) / Math.max(1, count);
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= rough * 0.999);
    const found = [];
    for (let i = Math.ceil(a / step - 1e-9); i * step <= b + 1e-9 * step; i += 1) found.push(i * step);
    return found;
  }

  function inTens(value, ticks) {
    const step = ticks.length > 1 ? Math.abs(ticks[1] - ticks[0]) : Math.abs(value) || 1;
    if (Math.abs(value) < step * 1e-9) return "0";
    if (Math.abs(value) >= 1e6 || step < 1e-4) return say(Number(value.toPrecision(8)), 3);
    const places = Math.max(0, Math.min(10, Math.ceil(-Math.log10(step) - 1e-9)));
    const options = { minimumFractionDigits: places, maximumFractionDigits: places };
    return value.toLocaleString("en-US", options).replaceAll("-", "−");
  }

  /** A scale of decades; the domain must be above 0. */
  function log([a, b], [from, to]) {
    const inner = linear([Math.log10(a), Math.log10(b)], [from, to]);
    const scale = (value) => inner(Math.log10(value));
    scale.domain = [a, b];
    scale.range = [from, to];
    scale.invert = (pixel) => 10 ** inner.invert(pixel);
    scale.ticks = (count = 5) => {
      const first = Math.ceil(Math.log10(a) - 1e-9);
      const last = Math.floor(Math.log10(b) + 1e-9);
      const every = Math.max(1, Math.ceil((last - first) / Math.max(1, count)));
      const found = [];
      for (let i = first; i <= last; i += every) found.push(10 ** i);
      return found;
    };
    scale.label = (value) => {
      const exponent = Math.round(Math.log10(value));
      return exponent >= -2 && exponent <= 3 ? say(value, 3) : `10${raised(exponent)}`;
    };
    return scale;
  }

  /* -- a figure ------------------------------------------------------------------------------- */

  /** A figure in a container: title, description, drawing, and its numbers as a table.
   *
   * Calling it again for the same container empties the drawing and keeps the rest, so that what is open stays open.
   * Gives {root, picture, width, height, inner: {left, right, top, bottom}, axes, add, legend, table, describe}.
   */
  function figure(container, options) {
    const frame = container.latentFrame || frameIn(container);
    const width = Math.max(280, Math.min(options.width || container.clientWidth || 680, options.most || 860));
    const height = options.height || Math.round(Math.max(230, Math.min(380, width * 0.5)));
    const margin = { left: 62, right: 18, top: 14, bottom: 46, ...(options.margin || {}) };
    frame.caption.textContent = options.title;
    frame.picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
    frame.picture.replaceChildren(frame.title, frame.description);
    frame.title.textContent = options.title;
    frame.description.textContent = options.description || "";
    const inner = { left: margin.left, right: width - margin.right, top: margin.top, bottom: height - margin.bottom };
    const add = (...nodes) => frame.picture.append(...nodes.flat());
    return {
      root: frame.root,
      picture: frame.picture,
      width,
      height,
      inner,
      add,
      describe: (text) => { frame.description.textContent = text; },
      axes: (x, y, labels = {}) => add(axes(inner, x, y, labels)),
      clip: () => clip(frame.picture, inner),
      legend: (items) => legend(frame.legend, items),
      table: (columns, rows, caption) => table(frame.numbers, columns, rows, caption || options.title),
    };
  }

  function frameIn(container) {
    made += 1;
    const title = svg("title", { id: `chart-${made}-title` });
    const description = svg("desc", { id: `chart-${made}-description` });
    const picture = svg("svg", {
      class: "picture",
      role: "img",
      "aria-labelledby": `chart-${made}-title`,
      "aria-describedby": `chart-${made}-description`,
      preserveAspectRatio: "xMidYMid meet",
    });
    const caption = html("figcaption", {});
    const keys = html("ul", { class: "legend" });
    const numbers = html("div", { class: "numbers" });
    const details = html("details", { class: "as-table" }, html("summary", {}, "The numbers of this chart"), numbers);
    const root = html("figure", { class: "chart" }, caption, keys, picture, details);
    container.replaceChildren(root);
    container.latentFrame = { root, caption, picture, title, description, legend: keys, numbers };
    return container.latentFrame;
  }

  /** Draw now, and again whenever the width of the container changes. */
  function watch(container, draw) {
    let width = container.clientWidth;
    draw();
    if (typeof ResizeObserver === "undefined") return;
    new ResizeObserver(() => {
      if (Math.abs(container.clientWidth - width) < 2 || container.clientWidth === 0) return;
      width = container.clientWidth;
      draw();
    }).observe(container);
  }

  function clip(picture, inner) {
    made += 1;
    const id = `clip-${made}`;
    const { left, right, top, bottom } = inner;
    const shape = svg("rect", { x: left, y: top, width: right - left, height: bottom - top });
    picture.append(svg("clipPath", { id }, shape));
    return `url(#${id})`;
  }

  function axes({ left, right, top, bottom }, x, y, labels) {
    const group = svg("g", { class: "axes", "aria-hidden": "true" });
    const down = Math.max(2, Math.round((bottom - top) / 52));
    const across = Math.max(2, Math.round((right - left) / (labels.wide ? 110 : 84)));
    const rows = y.ticks(labels.yTicks || down);
    for (const tick of rows) {
      const at = y(tick);
      group.append(svg("line", { class: "grid", x1: left, x2: right, y1: at, y2: at }));
      const text = (labels.yFormat || y.label)(tick, rows);
      group.append(svg("text", { class: "tick", x: left - 8, y: at, dy: "0.32em", "text-anchor": "end" }, text));
    }
    const columns = x.ticks(labels.xTicks || across).filter((tick) => !labels.whole || Number.isInteger(tick));
    for (const tick of columns) {
      const at = x(tick);
      group.append(svg("line", { class: "notch", x1: at, x2: at, y1: bottom, y2: bottom + 5 }));
      const text = (labels.xFormat || x.label)(tick, columns);
      group.append(svg("text", { class: "tick", x: at, y: bottom + 18, "text-anchor": "middle" }, text));
    }
    group.append(svg("line", { class: "axis", x1: left, x2: right, y1: bottom, y2: bottom }));
    if (labels.x) {
      const middle = (left + right) / 2;
      group.append(svg("text", { class: "label", x: middle, y: bottom + 38, "text-anchor": "middle" }, labels.x));
    }
    if (labels.y) {
      const where = { transform: `translate(14 ${(top + bottom) / 2}) rotate(-90)`, "text-anchor": "middle" };
      group.append(svg("text", { class: "label", ...where }, labels.y));
    }
    return group;
  }

  /* -- marks ------------------------------------------------------------------------------------ */

  /** The `d` of a path through points [[x, y], …]; null breaks it. */
  function path(points, x, y) {
    let pen = "M";
    let d = "";
    for (const point of points) {
      if (point === null || !Number.isFinite(y(point[1])) || !Number.isFinite(x(point[0]))) {
        pen = "M";
        continue;
      }
      d += `${pen}${x(point[0]).toFixed(1)} ${y(point[1]).toFixed(1)}`;
      pen = "L";
    }
    return d;
  }

  /** The path of series `k`: its colour by class, its dash by number. */
  function line(points, x, y, k = 0, more = {}) {
    const dash = more.dash === undefined ? DASHES[k % DASHES.length] : more.dash;
    const attributes = { class: `line series-${k % 7}`, d: path(points, x, y), "stroke-dasharray": dash || null };
    return svg("path", { ...attributes, ...omit(more, "dash") });
  }

  function omit(object, name) {
    const rest = { ...object };
    delete rest[name];
    return rest;
  }

  /** The marker of series `k` about (px, py) in pixels. */
  function mark(px, py, k = 0, size = 4, more = {}) {
    const shape = MARKERS[k % MARKERS.length];
    const attributes = { class: `mark series-${k % 7}`, ...more };
    if (shape === "circle") return svg("circle", { ...attributes, cx: px.toFixed(1), cy: py.toFixed(1), r: size });
    const at = (dx, dy) => `${(px + dx * size).toFixed(1)} ${(py + dy * size).toFixed(1)}`;
    const drawn = {
      triangle: `M${at(0, -1.2)}L${at(1.1, 0.9)}L${at(-1.1, 0.9)}Z`,
      down: `M${at(0, 1.2)}L${at(1.1, -0.9)}L${at(-1.1, -0.9)}Z`,
      square: `M${at(-0.9, -0.9)}L${at(0.9, -0.9)}L${at(0.9, 0.9)}L${at(-0.9, 0.9)}Z`,
      diamond: `M${at(0, -1.25)}L${at(1.25, 0)}L${at(0, 1.25)}L${at(-1.25, 0)}Z`,
      cross: `M${at(-0.9, -0.9)}L${at(0.9, 0.9)}M${at(0.9, -0.9)}L${at(-0.9, 0.9)}`,
      plus: `M${at(-1.1, 0)}L${at(1.1, 0)}M${at(0, -1.1)}L${at(0, 1.1)}`,
    };
    const open = shape === "cross" || shape === "plus";
    return svg("path", { ...attributes, class: `${attributes.class}${open ? " open" : ""}`, d: drawn[shape] });
  }

  /* -- keys and tables ----------------------------------------------------------------------------- */

  /** Keys of series: [{k, name, line: true, mark: true, kind: "area", "area pale" or "area hatched", dash}]. */
  function legend(list, items) {
    list.replaceChildren(...items.map((item) => html("li", {}, key(item), item.name)));
  }

  function key(item) {
    const picture = svg("svg", { class: "key", width: 30, height: 14, viewBox: "0 0 30 14", "aria-hidden": "true" });
    if (item.kind) {
      picture.append(svg("rect", { class: `${item.kind} series-${item.k % 7}`, x: 2, y: 1, width: 26, height: 12 }));
      if (item.kind.includes("hatched")) picture.append(svg("path", { class: "hatch", d: "M2 4h26M2 10h26" }));
    }
    if (item.line !== false && !item.kind) {
      const dash = item.dash === undefined ? DASHES[item.k % DASHES.length] : item.dash;
      const shape = { class: `line series-${item.k % 7}`, d: "M1 7L29 7", "stroke-dasharray": dash || null };
      picture.append(svg("path", shape));
    }
    if (item.mark) picture.append(mark(15, 7, item.k, 4));
    return picture;
  }

  /** A table in a container; numbers are said, null is a dash. */
  function table(container, columns, rows, caption) {
    const cell = (value) => (typeof value === "number" || value === null ? say(value, 6) : String(value));
    const head = html("tr", {}, columns.map((name) => html("th", { scope: "col" }, name)));
    const body = rows.map((row) => html("tr", {}, row.map((value, i) =>
      html(i ? "td" : "th", i ? {} : { scope: "row" }, cell(value)))));
    const grid = html("table", {}, html("caption", { class: "unseen" }, caption), html("thead", {}, head),
      html("tbody", {}, body));
    const box = { class: "scroll", tabindex: "0", role: "group", "aria-label": `${caption}: numbers` };
    container.replaceChildren(html("div", box, grid));
  }

  return {
    svg, html, say, extent, widened, linear, log, figure, watch, clip, path, line, mark, legend, table, DASHES, MARKERS,
  };
})();
