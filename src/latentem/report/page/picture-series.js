/* Sequences: with the states of a chain beneath, with what is smoothed out of them, and where states lead. */
(() => {
  const { svg } = chart;
  const { rect, unpackRows } = pictures;
  const VALUE = Object.fromEntries([..."0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"].map((f, i) => [f, i]));

  function states(spec, step, box, choice) {
    const j = choice.column ?? 0;
    const n = spec.weights[0].length;
    const strip = n > 5 ? 26 : 34;
    const upper = 250;
    const height = upper + n * strip + 62;
    const frame = chart.figure(box, {
      title: `The states along ${spec.columns[j]}`, description: spec.description, height, width: pictures.widthOf(box),
      margin: { left: 74 },
    });
    const { left, right, top } = frame.inner;
    const series = spec.series[j];
    const x = chart.linear([-0.5, series.length - 0.5], [left, right]);
    const bottoms = { last: height - 46 };
    Object.assign(frame.inner, { bottom: upper - 8 });
    const y = chart.linear(chart.widened(chart.extent(series) || [0, 1], 0.07), [frame.inner.bottom, top]);
    frame.axes(nowhere(x), y, { y: spec.columns[j] });
    drawSeries(frame, spec, step, series, x, y);
    drawStrips(frame, spec, step, x, upper + 6, strip);
    Object.assign(frame.inner, { top: upper, bottom: bottoms.last });
    frame.axes(x, nowhere(y), { x: "row of the sequence" });
    frame.legend(pictures.keys(spec, step, { line: false, mark: true }));
    const rows = spec.weights[step].map((weight, k) => [`state ${k}`, weight, [...spec.paths[step]].filter((f) => VALUE[f] === k).length]);
    frame.table(["state", "share of the rows", "rows of the decoded path shown"], rows);
  }

  /** A scale without ticks. */
  function nowhere(scale) {
    const copy = (value) => scale(value);
    return Object.assign(copy, { ticks: () => [], label: () => "" });
  }

  function drawSeries(frame, spec, step, series, x, y) {
    const size = series.length > 200 ? 2.6 : 3.6;
    const line = chart.path(series.map((value, t) => (value === null ? null : [t, value])), x, y);
    frame.add(svg("path", { class: "line thin faint ink", d: line, "stroke-width": 1 }));
    frame.add([...spec.paths[step]].map((figure, t) => (series[t] === null ? null : chart.mark(x(t), y(series[t]), VALUE[figure], size))).filter(Boolean));
  }

  /** A row for each state: how probable it is, as a band between 0 and 1. */
  function drawStrips(frame, spec, step, x, top, strip) {
    unpackRows(spec.responsibilities, step).forEach((row, k) => {
      const foot = top + (k + 1) * strip - 5;
      const high = strip - 9;
      const { left, right } = frame.inner;
      frame.add(svg("line", { class: "grid", x1: left, x2: right, y1: foot, y2: foot }));
      const up = row.map((p, t) => `${x(t - 0.5).toFixed(1)} ${(foot - p * high).toFixed(1)}L${x(t + 0.5).toFixed(1)} ${(foot - p * high).toFixed(1)}`);
      const d = `M${x(-0.5).toFixed(1)} ${foot}L${up.join("L")}L${x(row.length - 0.5).toFixed(1)} ${foot}Z`;
      frame.add(svg("path", { class: `area series-${k % 7}`, d }));
      frame.add(svg("text", { class: "tick", x: left - 22, y: foot - high / 2, dy: "0.32em", "text-anchor": "end" }, `state ${k}`));
      frame.add(chart.mark(left - 11, foot - high / 2, k, 4));
    });
  }

  /** A table of probabilities, the darker the larger. */
  function transitions(spec, step, box) {
    const table = unpackRows(spec.table, step);
    const n = table.length;
    const width = pictures.widthOf(box);
    const [wide, high] = [Math.min(92, (width - 130) / n), 34];
    const frame = chart.figure(box, { title: spec.title, description: spec.description, width, height: n * high + 56, margin: { left: 92 } });
    const left = frame.inner.left;
    frame.add(svg("text", { class: "tick", x: left - 10, y: 32, "text-anchor": "end" }, "from \\ to"));
    table.forEach((row, i) => {
      const middle = 44 + (i + 0.5) * high;
      frame.add(chart.mark(left - 70, middle, i, 4.4));
      frame.add(svg("text", { class: "tick", x: left - 10, y: middle, dy: "0.32em", "text-anchor": "end" }, `state ${i}`));
      frame.add(svg("text", { class: "tick", x: left + (i + 0.5) * wide, y: 32, "text-anchor": "middle" }, wide > 56 ? `state ${i}` : String(i)));
      row.forEach((p, k) => {
        const x0 = left + k * wide;
        frame.add(rect(x0 + 1, x0 + wide - 1, middle - high / 2 + 1, middle + high / 2 - 1, { class: "cell", "fill-opacity": (0.05 + 0.8 * p).toFixed(3) }));
        const light = p > 0.6 ? " light" : "";
        frame.add(svg("text", { class: `inside${light}`, x: x0 + wide / 2, y: middle, dy: "0.34em", "text-anchor": "middle" }, said(p)));
      });
    });
    frame.legend([]);
    frame.table(["from", ...table.map((_, k) => `to state ${k}`)], table.map((row, i) => [`state ${i}`, ...row]));
  }

  const said = (p) => (p > 0 && p < 0.0005 ? "<0.001" : p.toFixed(3));

  function smoothed(spec, step, box) {
    const n = spec.panels.length;
    const { frame, panel } = pictures.sheet(box, n, { title: spec.title, description: spec.description, across: 1, each: n === 1 ? 300 : 220 });
    spec.panels.forEach((one, i) => panel(i, (inner) => drawBand(one, step, frame, inner), one.name));
    frame.legend([
      { k: 0, line: false, mark: true, name: "data" },
      { k: 1, dash: "", name: "mean given all rows" },
      { k: 1, kind: "area pale", name: "95 % of the posterior" },
    ].filter((key, i) => i || spec.panels[0].series));
    const rows = spec.panels[0].bands.mean.shape[0];
    const means = spec.panels.map((one) => pictures.unpack(one.bands.mean, step));
    const halves = spec.panels.map((one) => pictures.unpack(one.bands.half, step));
    frame.table(["row", ...spec.panels.flatMap((one) => [one.name, "±"])],
      Array.from({ length: rows }, (_, t) => [String(t), ...means.flatMap((mean, i) => [mean[t], halves[i][t]])]));
  }

  function drawBand(one, step, frame, inner) {
    const mean = pictures.unpack(one.bands.mean, step);
    const half = pictures.unpack(one.bands.half, step);
    const ends = chart.extent([...(one.series || []), one.bands.mean.low, one.bands.mean.high]);
    const x = chart.linear([0, mean.length - 1], [inner.left, inner.right]);
    const y = chart.linear(chart.widened(ends, 0.12), [inner.bottom, inner.top]);
    frame.axes(x, y, { wide: true });
    const within = svg("g", { "clip-path": frame.clip() });
    frame.add(within);
    const up = mean.map((m, t) => `${x(t).toFixed(1)} ${y(m + half[t]).toFixed(1)}`);
    const down = mean.map((m, t) => `${x(t).toFixed(1)} ${y(m - half[t]).toFixed(1)}`).reverse();
    within.append(svg("path", { class: "area pale series-1", d: `M${up.concat(down).join("L")}Z` }));
    const size = mean.length > 200 ? 2 : 2.8;
    if (one.series) within.append(...one.series.map((v, t) => (v === null ? null : chart.mark(x(t), y(v), 0, size))).filter(Boolean));
    within.append(chart.line(mean.map((m, t) => [t, m]), x, y, 1, { dash: "" }));
  }

  Object.assign(pictures.painters, { states, transitions, smoothed });
})();
