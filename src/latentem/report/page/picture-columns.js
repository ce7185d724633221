/* Columns one by one: histograms with densities, frequencies with masses, profiles of categories, shares of states. */
(() => {
  const { svg } = chart;
  const { rect, sheet, unpackRows } = pictures;

  /* -- histograms and frequencies -------------------------------------------------------------------- */

  function bars(panel, x, y) {
    const gap = panel.discrete ? 0.12 * (panel.edges[1] - panel.edges[0]) : 0;
    return panel.heights.map((height, i) =>
      rect(x(panel.edges[i] + gap), x(panel.edges[i + 1] - gap) - 0.6, y(0), y(Math.max(height, 0)), { class: "bar" }));
  }

  /** Of a column: bars, the curve of each component, and their sum. */
  function drawColumn(spec, panel, step, frame, inner) {
    const curves = unpackRows(panel.curves, step);
    const sum = panel.grid.map((_, n) => curves.reduce((total, curve) => total + (curve[n] ?? 0), 0));
    const ends = chart.extent([...panel.edges, ...panel.grid]);
    const x = (panel.log ? chart.log : chart.linear)(ends[0] < ends[1] ? ends : chart.widened(ends), [inner.left, inner.right]);
    const y = chart.linear([0, 1.08 * Math.max(...panel.heights, panel.top)], [inner.bottom, inner.top]);
    const few = panel.levels || (panel.discrete && panel.grid.length <= 12);
    frame.axes(x, y, few ? { xFormat: (value) => named(panel, value), xTicks: panel.grid.length } : {});
    const within = svg("g", { "clip-path": frame.clip() });
    frame.add(within);
    within.append(...bars(panel, x, y));
    within.append(svg("path", { class: "line sum", d: chart.path(pairs(panel.grid, sum), x, y) }));
    curves.forEach((curve, k) => within.append(...curveOf(panel, curve, x, y, k)));
  }

  function named(panel, value) {
    if (Math.abs(value - Math.round(value)) > 1e-6) return "";
    return panel.levels ? pictures.cut(panel.levels[Math.round(value)] ?? "", 10) : chart.say(value);
  }

  const pairs = (xs, ys) => xs.map((one, n) => (ys[n] === null ? null : [one, ys[n]]));

  function curveOf(panel, curve, x, y, k) {
    const line = chart.line(pairs(panel.grid, curve), x, y, k, { class: `line series-${k % 7}` });
    const every = panel.discrete && panel.grid.length <= 40 ? 1 : Math.max(4, Math.round(panel.grid.length / 9));
    const shift = every === 1 ? 0 : (k * 3) % every;
    const marks = panel.grid
      .map((at, n) => (n % every === shift && curve[n] !== null ? chart.mark(x(at), y(curve[n]), k, 3.4) : null))
      .filter(Boolean);
    return [line, ...marks];
  }

  function columns(spec, step, box) {
    const n = spec.panels.length;
    const { frame, panel } = sheet(box, n, { title: spec.title, description: spec.description });
    for (const one of spec.panels) one.top ??= highest(one);
    spec.panels.forEach((one, i) => panel(i, (inner) => drawColumn(spec, one, step, frame, inner),
      `${one.name}: ${one.discrete ? "share of rows" : one.log ? "density of the logarithm" : "density"}`));
    pictures.legend(frame, [...pictures.keys(spec, step), { sum: true, name: "their sum" }, { bar: true, name: "data" }]);
    const rows = spec.panels.flatMap((one) => spec.weights[step].map((weight, k) => [
      `${one.name}, ${spec.what} ${k}`, weight, peak(one, unpackRows(one.curves, step)[k]),
    ]));
    frame.table([spec.what, "weight", "where it is highest"], rows);
  }

  /** The highest point of all sums, so that the axis stays when the step changes; peaks above all bars are cut. */
  function highest(panel) {
    let top = 0;
    for (let step = 0; step < panel.curves.steps.length; step += 1) {
      const curves = unpackRows(panel.curves, step);
      panel.grid.forEach((_, n) => { top = Math.max(top, curves.reduce((total, curve) => total + (curve[n] ?? 0), 0)); });
    }
    return Math.min(top, 1.5 * Math.max(...panel.heights));
  }

  function peak(panel, curve) {
    return panel.grid[curve.reduce((best, value, n) => (value > curve[best] ? n : best), 0)];
  }

  /* -- profiles --------------------------------------------------------------------------------------- */

  function profile(spec, step, box) {
    const n = spec.panels.length;
    const crowded = spec.panels.some((one) => one.categories.some((name) => name.length > 4) && one.categories.length > 6);
    const { frame, panel } = sheet(box, n, {
      title: spec.title,
      description: spec.description,
      panelMargin: crowded ? { bottom: 74 } : {},
      each: n === 1 ? undefined : crowded ? 250 : 200,
    });
    spec.panels.forEach((one, i) => panel(i, (inner) => drawProfile(one, step, frame, inner, crowded), one.name));
    pictures.legend(frame, [...pictures.keys(spec, step), { bar: true, name: "frequency in the data" }]);
    const rows = spec.panels.flatMap((one) => {
      const table = unpackRows(one.probabilities, step);
      return one.categories.map((name, c) => [n === 1 ? name : `${one.name}: ${name}`, one.seen[c], ...table.map((row) => row[c])]);
    });
    frame.table(["category", "data", ...spec.weights[step].map((_, k) => `${spec.what} ${k}`)], rows);
  }

  function drawProfile(one, step, frame, inner, crowded) {
    const count = one.categories.length;
    const x = chart.linear([-0.5, count - 0.5], [inner.left, inner.right]);
    one.top ??= ceiling(one);
    const y = chart.linear([0, one.top], [inner.bottom, inner.top]);
    x.ticks = () => one.categories.map((_, c) => c);
    const wide = (inner.right - inner.left) / count;
    const every = crowded ? 1 : Math.ceil(28 / wide);
    frame.axes(x, y, { yTicks: 4, xFormat: (c) => (crowded || c % every ? "" : pictures.cut(one.categories[c], wide / 6.5 + 1)) });
    if (crowded) frame.add(one.categories.map((name, c) => slanted(x(c), inner.bottom + 14, pictures.cut(name, 13))));
    frame.add(one.seen.map((share, c) => rect(x(c - 0.36), x(c + 0.36), y(0), y(Math.min(share, 1)), { class: "bar" })));
    unpackRows(one.probabilities, step).forEach((row, k) => {
      frame.add(chart.line(row.map((p, c) => [c, p]), x, y, k, { class: `line thin series-${k % 7}` }));
      frame.add(row.map((p, c) => chart.mark(x(c), y(p), k, 4.4)));
    });
  }

  /** Where the axis of probabilities ends, at every step: 1, or less where all are small. */
  function ceiling(one) {
    const all = one.probabilities.steps.flatMap((_, step) => pictures.unpack(one.probabilities, step));
    const most = Math.max(...all, ...one.seen);
    return most > 0.6 ? 1 : 1.15 * most || 1;
  }

  function slanted(px, py, text) {
    return svg("text", { class: "tick", transform: `translate(${px.toFixed(1)} ${py}) rotate(-38)`, "text-anchor": "end" }, text);
  }

  /* -- shares of states ---------------------------------------------------------------------------------- */

  function shares(spec, step, box) {
    const parts = unpackRows(spec.heights, step);
    const total = parts[0].map((_, b) => parts.reduce((sum, part) => sum + part[b], 0));
    const { frame, panel } = sheet(box, parts.length, {
      title: spec.title, description: spec.description, each: parts.length === 1 ? undefined : 190,
    });
    const top = 1.06 * Math.max(...total);
    parts.forEach((part, k) => panel(k, (inner) => {
      const x = chart.linear([spec.edges[0], spec.edges[spec.edges.length - 1]], [inner.left, inner.right]);
      const y = chart.linear([0, top], [inner.bottom, inner.top]);
      frame.axes(x, y, { yTicks: 4 });
      frame.add(total.map((height, b) => rect(x(spec.edges[b]), x(spec.edges[b + 1]) - 0.6, y(0), y(height), { class: "bar" })));
      frame.add(part.map((height, b) =>
        rect(x(spec.edges[b]), x(spec.edges[b + 1]) - 0.6, y(0), y(height), { class: `area series-${k % 7}` })));
    }, `${spec.name} where z = ${spec.states[k]}: ${pictures.percent(sum(part) / sum(total))}`));
    pictures.legend(frame, [{ bar: true, name: "all rows" }, ...parts.map((_, k) => ({ kind: "area", k, name: `z = ${spec.states[k]}` }))]);
    const rows = total.map((all, b) => [`${chart.say(spec.edges[b])} to ${chart.say(spec.edges[b + 1])}`, all, ...parts.map((part) => part[b])]);
    frame.table([spec.name, "rows", ...spec.states.map((name) => `z = ${name}`)], rows);
  }

  const sum = (values) => values.reduce((a, b) => a + b, 0);

  Object.assign(pictures.painters, { columns, profile, shares });
})();
