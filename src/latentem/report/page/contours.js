/* ℓ and the bound over two parameters, as contours: grids made finer by cubic interpolation, then marching squares. */
const contours = (() => {
  const { svg } = chart;
  const FINER = 4;

  function cubic(a, b, c, d, s) {
    return b + 0.5 * s * (c - a + s * (2 * a - 5 * b + 4 * c - d + s * (3 * (b - c) + d - a)));
  }

  function finerRow(row) {
    const found = [];
    for (let i = 0; i < row.length - 1; i += 1) {
      const [a, b, c, d] = [row[Math.max(0, i - 1)], row[i], row[i + 1], row[Math.min(row.length - 1, i + 2)]];
      for (let s = 0; s < FINER; s += 1) {
        found.push(b === null || c === null ? null : cubic(a === null ? b : a, b, c, d === null ? c : d, s / FINER));
      }
    }
    found.push(row[row.length - 1]);
    return found;
  }

  function transposed(rows) {
    return rows[0].map((_, j) => rows.map((row) => row[j]));
  }

  function finer(flat, n) {
    const rows = [];
    for (let i = 0; i < flat.length; i += n) rows.push(flat.slice(i, i + n));
    return transposed(transposed(rows.map(finerRow)).map(finerRow));
  }

  function finerAxis(values) {
    return finerRow(values);
  }

  /** The `d` of the lines where the grid has one value. */
  function contour(grid, xs, ys, level, x, y) {
    let d = "";
    for (let i = 0; i < ys.length - 1; i += 1) {
      for (let j = 0; j < xs.length - 1; j += 1) {
        const corners = [grid[i][j], grid[i][j + 1], grid[i + 1][j + 1], grid[i + 1][j]];
        if (corners.includes(null)) continue;
        const points = crossings(corners, [xs[j], xs[j + 1]], [ys[i], ys[i + 1]], level);
        for (let k = 0; k + 1 < points.length; k += 2) {
          const [from, to] = [points[k], points[k + 1]];
          d += `M${x(from[0]).toFixed(1)} ${y(from[1]).toFixed(1)}L${x(to[0]).toFixed(1)} ${y(to[1]).toFixed(1)}`;
        }
      }
    }
    return d;
  }

  function crossings([a, b, c, d], [x0, x1], [y0, y1], level) {
    const found = [];
    const edge = (p, q, at) => {
      if (p > level !== q > level) found.push(at((level - p) / (q - p)));
    };
    edge(a, b, (s) => [x0 + s * (x1 - x0), y0]);
    edge(b, c, (s) => [x1, y0 + s * (y1 - y0)]);
    edge(d, c, (s) => [x0 + s * (x1 - x0), y1]);
    edge(a, d, (s) => [x0, y0 + s * (y1 - y0)]);
    return found;
  }

  /** Draw a plane: ℓ in whole lines, the bound in dashes, at the same levels. */
  function draw(container, plane, at, local) {
    const frame = chart.figure(container, {
      title: `ℓ and ${local ? "the quadratic of Q" : "its lower bound"} over two parameters, the others as at θ${explorer.lower(at.step.t)}`,
      description: `Contours of the log-likelihood (whole lines) and of ${local ? "Q to second order" : "the lower bound"} (dashes) over ${plane.names[0]} and ${plane.names[1]}, at the same heights. θ${explorer.lower(at.step.t)} is at ${plane.here.map((v) => chart.say(v)).join(", ")}; the M-step leads to ${plane.there.map((v) => chart.say(v)).join(", ")}.`,
      margin: { left: 74, bottom: 50 },
      height: Math.round(Math.max(300, Math.min(460, container.clientWidth * 0.7))),
    });
    const { inner } = frame;
    const n = plane.x.length;
    const x = chart.linear([plane.x[0], plane.x[n - 1]], [inner.left, inner.right]);
    const y = chart.linear([plane.y[0], plane.y[plane.y.length - 1]], [inner.bottom, inner.top]);
    frame.axes(x, y, { x: plane.names[0], y: plane.names[1] });
    const [xs, ys] = [finerAxis(plane.x), finerAxis(plane.y)];
    const bound = plane.rise.map((r, k) => (r === null || plane.gap[k] === null ? null : r - plane.gap[k]));
    const top = chart.extent(plane.rise)[1];
    const levels = heights(top, plane.rise);
    const surfaces = [[plane.rise, 0], [bound, 1]];
    for (const [values, k] of surfaces) {
      const grid = finer(values, n);
      levels.forEach((level) => {
        const d = contour(grid, xs, ys, level, x, y);
        if (d) frame.add(svg("path", { class: `line thin series-${k}`, d, "stroke-dasharray": k ? "5 3" : null }));
      });
    }
    const [px, py] = [x(plane.here[0]), y(plane.here[1])];
    const [tx, ty] = [x(plane.there[0]), y(plane.there[1])];
    frame.add(svg("line", { class: "rod", x1: px, y1: py, x2: tx, y2: ty }));
    frame.add(chart.mark(px, py, 0, 6), chart.mark(tx, ty, 1, 6));
    explorer.tell(frame, px, py, `θ${explorer.lower(at.step.t)}`, -12);
    if (Math.hypot(px - tx, py - ty) > 24) explorer.tell(frame, tx, ty, `θ${explorer.lower(at.step.t + 1)}`, 20);
    frame.legend([
      { k: 0, name: "log-likelihood ℓ", mark: true },
      { k: 1, name: local ? "Q to second order" : "lower bound", dash: "5 3", mark: true },
    ]);
    const rows = [];
    for (let i = 0; i < plane.y.length; i += 2) {
      for (let j = 0; j < n; j += 2) rows.push([plane.x[j], plane.y[i], plane.rise[i * n + j], plane.gap[i * n + j]]);
    }
    frame.table([plane.names[0], plane.names[1], "ℓ(θ) − ℓ(θₜ)", local ? "difference" : "KL"], rows);
  }

  /** Heights whose distances from the top grow: a quarter of the points lie above the third. */
  function heights(top, values) {
    const depths = values.filter((v) => v !== null).map((v) => top - v).sort((a, b) => a - b);
    const middle = depths[Math.floor(depths.length * 0.3)] || 1;
    return [0.03, 0.12, 0.3, 0.6, 1, 1.6, 2.5, 4].map((share) => top - share * middle);
  }

  return { draw };
})();
