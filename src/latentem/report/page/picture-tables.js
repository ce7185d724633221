/* Loadings as signed bars with numbers, and any estimates as small lines over the iterations. */
(() => {
  const { svg } = chart;
  const { rect } = pictures;

  function loadings(spec, step, box) {
    const width = pictures.widthOf(box);
    const high = 26;
    const left = Math.min(150, 24 + 7 * Math.max(...spec.rows.map((name) => name.length)));
    const n = spec.factors + 1;
    const wide = (width - left - 16) / n;
    const frame = chart.figure(box, {
      title: spec.title, description: spec.description, width, height: spec.rows.length * high + 46, margin: { left },
    });
    for (let f = 0; f < n; f += 1) head(frame, left + (f + 0.5) * wide, f < spec.factors ? `factor ${f}` : "noise", wide);
    spec.rows.forEach((name, i) => {
      const middle = 36 + (i + 0.5) * high;
      frame.add(svg("text", { class: "tick", x: left - 10, y: middle, dy: "0.32em", "text-anchor": "end" }, pictures.cut(name, 19)));
      spec.table[step][i].forEach((value, f) => signed(frame, left + f * wide, wide, middle, high, value));
      share(frame, left + spec.factors * wide, wide, middle, high, spec.noise[step][i]);
    });
    for (let f = 0; f < spec.factors; f += 1) {
      const at = left + (f + 0.5) * wide;
      frame.add(svg("line", { class: "axis", x1: at, x2: at, y1: 36, y2: 36 + spec.rows.length * high }));
    }
    pictures.legend(frame, [
      { k: 0, kind: "area", name: "positive, to the right" }, { k: 1, kind: "area", name: "negative, to the left" },
      { bar: true, name: "share of noise" },
    ]);
    frame.table(["column", ...Array.from({ length: spec.factors }, (_, f) => `factor ${f}`), "noise"],
      spec.rows.map((name, i) => [name, ...spec.table[step][i], spec.noise[step][i]]));
  }

  function head(frame, px, text, wide) {
    frame.add(svg("text", { class: "tick", x: px, y: 22, "text-anchor": "middle" }, wide > 52 ? text : text.replace("factor ", "")));
  }

  function signed(frame, x0, wide, middle, high, value) {
    const half = wide / 2 - 6;
    const centre = x0 + wide / 2;
    const reach = Math.max(-1, Math.min(1, value)) * half;
    frame.add(rect(centre, centre + reach, middle - high / 2 + 4, middle + high / 2 - 4, { class: `area series-${value < 0 ? 1 : 0}` }));
    if (wide >= 58) number(frame, value < 0 ? centre + 6 : centre - 6, middle, value, value < 0 ? "start" : "end", wide < 92);
  }

  function share(frame, x0, wide, middle, high, value) {
    const full = wide - 12;
    frame.add(rect(x0 + 6, x0 + 6 + full * Math.max(0, Math.min(1, value)), middle - high / 2 + 4, middle + high / 2 - 4, { class: "bar" }));
    if (wide >= 44) number(frame, x0 + 10, middle, value, "start", wide < 92);
  }

  /** Two decimals; where there is little room without the zero before them. */
  function number(frame, px, py, value, anchor, short) {
    const text = short ? value.toFixed(2).replace(/^(-?)0\./, "$1.") : value.toFixed(2);
    frame.add(svg("text", { class: short ? "told small" : "told", x: px, y: py, dy: "0.34em", "text-anchor": anchor }, text.replace("-", "−")));
  }

  /* -- estimates ------------------------------------------------------------------------------------------- */

  function parameters(spec, step, box) {
    const n = spec.names.length;
    const width = pictures.widthOf(box);
    const long = Math.max(...spec.names.map((name) => name.length)) > 11;
    const across = Math.min(n, width < 570 ? (long ? 1 : 2) : Math.floor(width / 190));
    const { frame, panel } = pictures.sheet(box, n, {
      title: spec.title, description: spec.description, across, each: across === 1 && n > 1 ? 92 : 112, panelMargin: { left: 64, right: 14, top: 34, bottom: 20 },
    });
    spec.names.forEach((name, i) => panel(i, (inner) => small(frame, inner, spec, i, step, width / across)));
    frame.legend([]);
    const now = `after ${spec.numbers[step]} iterations`;
    frame.table(["estimate", "at the start", now, "at the end"],
      spec.names.map((name, i) => [name, spec.values[i][0], spec.values[i][step], spec.values[i].at(-1)]));
  }

  function small(frame, inner, spec, i, step, wide) {
    const values = spec.values[i];
    const ends = chart.extent(values);
    const x = chart.linear([0, Math.max(1, values.length - 1)], [inner.left, inner.right]);
    const y = chart.linear(chart.widened(ends, 0.12), [inner.bottom, inner.top]);
    const title = shortened(spec.names[i], (wide - 100) / 7.4);
    frame.add(svg("text", { class: "panel-title", x: inner.left - 46, y: inner.top - 14 }, title));
    frame.add(svg("text", { class: "label", x: inner.right, y: inner.top - 14, "text-anchor": "end" }, chart.say(values[step])));
    for (const end of ends[0] === ends[1] ? [ends[0]] : ends) {
      frame.add(svg("text", { class: "tick", x: inner.left - 6, y: y(end), dy: "0.32em", "text-anchor": "end" }, chart.say(end, 3)));
      frame.add(svg("line", { class: "grid", x1: inner.left, x2: inner.right, y1: y(end), y2: y(end) }));
    }
    frame.add(chart.line(values.map((value, t) => [t, value]), x, y, 0));
    if (values[step] !== null) frame.add(chart.mark(x(step), y(values[step]), 1, 4.6));
  }

  /** A name with at most so many signs, its index kept. */
  function shortened(name, most) {
    const at = name.indexOf("[");
    if (at < 0 || name.length <= most) return pictures.cut(name, most);
    return pictures.cut(name.slice(0, at), Math.max(3, most - (name.length - at))) + name.slice(at);
  }

  Object.assign(pictures.painters, { loadings, parameters });
})();
