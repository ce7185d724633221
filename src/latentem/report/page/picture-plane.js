/* Two columns against each other with ellipses or directions, and responses against a covariate with lines. */
(() => {
  const { svg } = chart;
  const { assigned } = pictures;
  const HALF = 0;

  /** Rows as markers of their most probable component, the paler the less sure. */
  function markers(spec, step, xs, ys, x, y) {
    const size = xs.length > 300 ? 3 : 3.8;
    return assigned(spec.responsibilities, step).map(([k, share], n) => {
      const times = spec.sizes ? spec.sizes[n] : 1;
      if (xs[n] === null || ys[n] === null || times === 0) return null;
      return chart.mark(x(xs[n]), y(ys[n]), k, size * times, { opacity: (0.2 + 0.7 * share * share).toFixed(2) });
    });
  }

  /** Points of {v: vᵀ S⁻¹ v = r²} about a centre, for a 2 × 2 matrix S. */
  function ellipse([cx, cy], [[a, b], [, d]], squared) {
    const radius = Math.sqrt(squared);
    const first = Math.sqrt(Math.max(a, 0));
    const slope = first > 0 ? b / first : 0;
    const second = Math.sqrt(Math.max(d - slope * slope, 0));
    return Array.from({ length: 73 }, (_, i) => {
      const turn = (i / 72) * 2 * Math.PI;
      const [u, v] = [radius * Math.cos(turn), radius * Math.sin(turn)];
      return [cx + first * u, cy + slope * u + second * v];
    });
  }

  function label(frame, px, py, text) {
    const { left, right, top, bottom } = frame.inner;
    if (px < left || px > right || py < top || py > bottom) return;
    frame.add(svg("text", { class: "told", x: px + 8, y: py - 8 }, text));
  }

  function plane(spec, step, box, choice) {
    const [i, j] = [choice.across ?? 0, choice.up ?? 1];
    const frame = chart.figure(box, {
      title: `${spec.columns[j]} against ${spec.columns[i]}, with the ${spec.what}s`,
      description: spec.description,
      height: spec.circle ? 440 : Math.round(Math.max(280, Math.min(440, pictures.widthOf(box) * 0.6))),
    });
    const { inner } = frame;
    const [x, y] = spec.circle ? round(inner) : [
      chart.linear(chart.widened(chart.extent(spec.points[i]), 0.09), [inner.left, inner.right]),
      chart.linear(chart.widened(chart.extent(spec.points[j]), 0.09), [inner.bottom, inner.top]),
    ];
    frame.axes(x, y, { x: spec.columns[i], y: spec.circle ? null : spec.columns[j] });
    if (spec.circle) frame.add(svg("text", { class: "label", x: inner.left - 8, y: inner.top - 10, "text-anchor": "middle" }, spec.columns[j]));
    const within = svg("g", { "clip-path": frame.clip() });
    frame.add(within);
    if (spec.circle) within.append(svg("path", { class: "line thin faint ink", d: chart.path(ellipse([0, 0], [[1, 0], [0, 1]], 1), x, y) }));
    within.append(...markers(spec, step, spec.points[i], spec.points[j], x, y).filter(Boolean));
    const centres = spec.centres[step].map((centre) => [centre[i], centre[j]]);
    centres.forEach((centre, k) => {
      if (spec.circle) within.append(chart.line([[0, 0], centre], x, y, k));
      else outlines(spec, step, k, centre, i, j).forEach((line, which) => {
        within.append(chart.line(line, x, y, k, { class: `line ${which === HALF ? "" : "thin "}series-${k % 7}` }));
      });
      within.append(chart.mark(x(centre[0]), y(centre[1]), k, 7));
      label(frame, x(centre[0]), y(centre[1]), String(k));
    });
    frame.legend(pictures.keys(spec, step));
    const rows = centres.map((centre, k) => [`${spec.what} ${k}`, spec.weights[step][k], ...spec.centres[step][k], ...noted(spec, step, k)]);
    const places = spec.columns.map((name) => (spec.circle ? name : `mean of ${name}`));
    frame.table([spec.what, "weight", ...places, ...(spec.note_name ? [spec.note_name] : [])], rows);
  }

  function noted(spec, step, k) {
    return spec.notes ? [spec.notes[step][k]] : [];
  }

  /** Scales of one unit, so that a circle is round. */
  function round(inner) {
    const side = Math.min(inner.right - inner.left, inner.bottom - inner.top - 14);
    const middle = (inner.left + inner.right) / 2;
    Object.assign(inner, { left: middle - side / 2, right: middle + side / 2, top: inner.bottom - side });
    return [chart.linear([-1.12, 1.12], [inner.left, inner.right]), chart.linear([-1.12, 1.12], [inner.bottom, inner.top])];
  }

  function outlines(spec, step, k, centre, i, j) {
    const spread = spec.spreads[step][k];
    const matrix = [[spread[i][i], spread[i][j]], [spread[j][i], spread[j][j]]];
    return spec.squared_radii[step][k].map((squared) => ellipse(centre, matrix, squared));
  }

  function regression(spec, step, box, choice) {
    const j = choice.response ?? 0;
    const frame = chart.figure(box, {
      title: `${spec.columns[j]} against ${spec.x}, with the ${spec.what}s`,
      description: spec.description,
      height: Math.round(Math.max(280, Math.min(420, pictures.widthOf(box) * 0.56))),
    });
    const { inner } = frame;
    const x = chart.linear(chart.widened(chart.extent(spec.given), 0.05), [inner.left, inner.right]);
    const y = chart.linear(chart.widened(chart.extent(spec.points[j]), 0.09), [inner.bottom, inner.top]);
    frame.axes(x, y, { x: spec.x, y: spec.columns[j] });
    const within = svg("g", { "clip-path": frame.clip() });
    frame.add(within);
    within.append(...markers(spec, step, spec.given, spec.points[j], x, y).filter(Boolean));
    const lines = pictures.unpackRows(spec.lines[j], step);
    lines.forEach((line, k) => {
      within.append(chart.line(line.map((value, n) => [spec.grid[n], value]), x, y, k, { class: `line series-${k % 7}` }));
      const last = line.length - 1;
      label(frame, x(spec.grid[last]) - 22, Math.max(inner.top + 18, Math.min(inner.bottom - 4, y(line[last]))), String(k));
    });
    frame.legend(pictures.keys(spec, step));
    const rows = lines.map((line, k) => [
      `${spec.what} ${k}`, spec.weights[step][k], line[0], line[line.length - 1],
      ...(spec.deviations ? [spec.deviations[step][k][j]] : []),
    ]);
    const ends = [spec.grid[0], spec.grid[spec.grid.length - 1]].map((at) => `mean at ${spec.x} = ${chart.say(at)}`);
    frame.table([spec.what, "weight", ...ends, ...(spec.deviations ? ["standard deviation about it"] : [])], rows);
  }

  Object.assign(pictures.painters, { plane, regression });
})();
