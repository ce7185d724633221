/* The gap to the best log-likelihood against passes, for some of the methods; the table has all. */
const methods = (() => {
  const MOST = 6;

  /** EM, its acceleration by itself, and the direct methods; then others, as long as there are signs for them. */
  function chosen(all) {
    const first = all.filter((one) => one.name === "em" || one.name === "auto" || one.direct);
    return [...first, ...all.filter((one) => !first.includes(one))].slice(0, MOST);
  }

  function draw(container, all) {
    const shown = chosen(all);
    const least = 1e-9;
    const gaps = shown.flatMap((one) => one.gap).filter((gap) => gap !== null && gap > least);
    if (gaps.length === 0) return;
    const frame = chart.figure(container, {
      title: "What was still to be gained in log-likelihood, against passes over the data",
      description: `Courses of ${shown.map((one) => one.name).join(", ")} from the same start; logarithmic scales.`,
      margin: { left: 70 },
    });
    const { inner } = frame;
    const [low, high] = chart.extent(gaps);
    const last = Math.max(...shown.flatMap((one) => one.passes));
    const x = chart.log([1, Math.max(last, 10) * 1.1], [inner.left, inner.right]);
    const y = chart.log([Math.max(low / 2, least), high * 2], [inner.bottom, inner.top]);
    frame.axes(x, y, { x: "passes, log scale", y: "ℓ(best) − ℓ, log scale" });
    shown.forEach((one, k) => {
      const points = one.passes.map((p, i) => (one.gap[i] > least && p >= 1 ? [p, one.gap[i]] : null));
      frame.add(chart.line(points, x, y, k));
      const real = points.filter(Boolean);
      const every = Math.max(1, Math.ceil(real.length / 9));
      frame.add(real.filter((_, i) => i % every === 0 || i === real.length - 1).map(([p, g]) => chart.mark(x(p), y(g), k, 4)));
    });
    frame.legend(shown.map((one, k) => ({ k, name: one.name, mark: true })));
    frame.table(["method", "passes", "gap"], shown.flatMap((one) => one.passes.map((p, i) => [one.name, p, one.gap[i]])));
  }

  return { draw };
})();
