/* The distance to the limit against passes over the data, on a logarithmic scale. */
const limit = (() => {
  function points(passes, distances, least) {
    return passes.map((p, i) => (distances[i] === null || distances[i] <= least ? null : [p, distances[i]]));
  }

  function draw(container, data) {
    const fast = data.fastGap.map((gap) => (gap === null ? null : Math.sqrt(2 * Math.max(gap, 0))));
    const least = data.least;
    const shown = [...data.distance, ...fast].filter((d) => d !== null && d > least);
    if (shown.length === 0) {
      container.replaceChildren(chart.html("p", { class: "unavailable" }, "The way began at its limit."));
      return;
    }
    const frame = chart.figure(container, {
      title: "Distance to the limit, in standard errors",
      description: describe(data),
      margin: { left: 70 },
    });
    const { inner } = frame;
    const last = Math.max(...data.passes, ...data.fastPasses);
    const x = chart.linear([0, last * 1.03], [inner.left, inner.right]);
    const ends = chart.extent(shown);
    const y = chart.log([ends[0] / 2, ends[1] * 2], [inner.bottom, inner.top]);
    frame.axes(x, y, { x: "passes over the data", y: "distance, log scale", whole: true });
    const em = points(data.passes, data.distance, least);
    const quick = points(data.fastPasses, fast, least);
    frame.add(chart.line(em, x, y, 0, { dash: "" }), chart.line(quick, x, y, 2));
    for (const [series, k] of [[em, 0], [quick, 2]]) {
      const real = series.filter(Boolean);
      const every = Math.max(1, Math.ceil(real.length / 40));
      frame.add(real.filter((_, i) => i % every === 0).map(([p, d]) => chart.mark(x(p), y(d), k, 3.4)));
    }
    frame.legend([
      { k: 0, name: "plain EM", dash: "", mark: true },
      { k: 2, name: "accelerated, from the same start", mark: true },
      ...lines(frame, data, x, y),
    ]);
    const rows = data.passes.map((p, i) => ["plain EM", p, data.distance[i], data.gap[i]])
      .concat(data.fastPasses.map((p, i) => ["accelerated", p, fast[i], data.fastGap[i]]));
    frame.table(["run", "passes", "distance", "ℓ* − ℓ"], rows);
  }

  /** Straight lines of the fitted rate and of the missing information, through the last fitted point. */
  function lines(frame, data, x, y) {
    if (data.rate === null || data.fitted === null || !data.anchor) return [];
    const keys = [];
    const cut = frame.clip();
    for (const [rate, k, name] of [[data.rate, 1, "λ fitted"], [data.missing, 3, "missing information"]]) {
      if (rate === null || !(rate > 0 && rate < 1)) continue;
      const at = (passes) => data.anchor * rate ** ((passes - data.fitted[1]) / data.perStep);
      const ends = [data.fitted[0] - 2 * data.perStep, data.fitted[1] + 2 * data.perStep];
      frame.add(chart.line(ends.map((p) => [p, at(p)]), x, y, k, { class: `line thin series-${k}`, "clip-path": cut }));
      keys.push({ k, name: `${name}, ${chart.say(rate, 4)} a step` });
    }
    return keys;
  }

  function describe(data) {
    const text = `Plain EM took ${data.passes[data.passes.length - 1]} passes, the accelerated run ${data.fastPasses[data.fastPasses.length - 1]}.`;
    return data.rate === null ? text : `${text} Near the limit plain EM left ${chart.say(data.rate, 4)} of the distance in each step.`;
  }

  return { draw };
})();
