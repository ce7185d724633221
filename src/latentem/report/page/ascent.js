/* ℓ as bound + KL after every M-step, and the parts of each gain. */
const ascent = (() => {
  const { svg } = chart;

  function bars(inner, n) {
    const width = (inner.right - inner.left) / n;
    return { width, left: (i) => inner.left + i * width + width * 0.14, wide: width * 0.72 };
  }

  function block(x, wide, from, to, k) {
    const [top, bottom] = [Math.min(from, to), Math.max(from, to)];
    return svg("rect", { class: `area series-${k}`, x: x.toFixed(1), width: wide.toFixed(1), y: top.toFixed(1), height: Math.max(bottom - top, 0).toFixed(1) });
  }

  /** Hatching tells the KL from the bound without colour. */
  function hatched(x, wide, from, to) {
    const [top, bottom] = [Math.min(from, to), Math.max(from, to)];
    let d = "";
    for (let at = top + 4; at < bottom; at += 6) d += `M${x.toFixed(1)} ${at.toFixed(1)}h${wide.toFixed(1)}`;
    return svg("path", { class: "hatch", d });
  }

  function numbers(inner, data, slots) {
    const group = svg("g", { "aria-hidden": "true" });
    const every = Math.max(1, Math.ceil(data.t.length / Math.max(1, Math.floor((inner.right - inner.left) / 34))));
    data.t.forEach((t, i) => {
      if (i % every) return;
      const at = { x: slots.left(i) + slots.wide / 2, y: inner.bottom + 18, "text-anchor": "middle", class: "tick" };
      group.append(svg("text", at, String(t)));
    });
    const middle = { x: (inner.left + inner.right) / 2, y: inner.bottom + 38, "text-anchor": "middle", class: "label" };
    group.append(svg("text", middle, "EM steps made, t"));
    return group;
  }

  const nowhere = Object.assign(() => 0, { ticks: () => [] });

  function still(container) {
    const why = "The way began at its end: no step raised ℓ by more than rounding.";
    container.replaceChildren(chart.html("p", { class: "unavailable" }, why));
  }

  function drawBars(container, data) {
    if (data.still) return still(container);
    const whole = data.q.every((q) => q !== null);
    const frame = chart.figure(container, {
      title: "What ℓ has risen since the start, after each step",
      description: `Bars for ${data.t.length} steps. The last stands ${chart.say(data.l[data.l.length - 1] - data.start)} above the start.`,
    });
    const { inner } = frame;
    const rise = data.l.map((l) => l - data.start);
    const y = chart.linear([0, Math.max(...rise, 1e-12) * 1.06], [inner.bottom, inner.top]);
    frame.axes(nowhere, y, { y: "ℓ − ℓ(θ₀)" });
    const slots = bars(inner, data.t.length);
    data.t.forEach((_, i) => {
      const bound = whole ? rise[i] - (data.gain[i] - data.q[i]) : rise[i];
      frame.add(block(slots.left(i), slots.wide, y(0), y(Math.max(bound, 0)), 0));
      if (!whole) return;
      frame.add(block(slots.left(i), slots.wide, y(bound), y(rise[i]), 1), hatched(slots.left(i), slots.wide, y(bound), y(rise[i])));
    });
    frame.add(numbers(inner, data, slots));
    frame.legend(whole
      ? [{ k: 0, name: "bound that was climbed", kind: "area" }, { k: 1, name: "KL that opened (hatched)", kind: "area hatched" }]
      : [{ k: 0, name: "ℓ", kind: "area" }]);
    frame.table(["t", "ℓ", "gain", ...(whole ? ["of it in Q", "of it in KL"] : [])],
      data.t.map((t, i) => [t, data.l[i], data.gain[i], ...(whole ? [data.q[i], data.gain[i] - data.q[i]] : [])]));
  }

  function drawShares(container, data) {
    if (data.still) return;
    const frame = chart.figure(container, {
      title: "Each gain, divided: what the bound rose, and what the KL added",
      description: "One bar for each step, all of one height: the share of the bound below, that of the KL above.",
      height: 220,
    });
    const { inner } = frame;
    const y = chart.linear([0, 1], [inner.bottom, inner.top]);
    frame.axes(nowhere, y, { y: "share of the gain", yFormat: (value) => `${Math.round(100 * value)} %` });
    const slots = bars(inner, data.t.length);
    const share = data.t.map((_, i) => (data.gain[i] > data.least ? Math.min(1, Math.max(0, data.q[i] / data.gain[i])) : null));
    share.forEach((one, i) => {
      if (one === null) return;
      frame.add(block(slots.left(i), slots.wide, y(0), y(one), 0), block(slots.left(i), slots.wide, y(one), y(1), 1));
      frame.add(hatched(slots.left(i), slots.wide, y(one), y(1)));
    });
    frame.add(numbers(inner, data, slots));
    frame.legend([{ k: 0, name: "bound", kind: "area" }, { k: 1, name: "KL (hatched)", kind: "area hatched" }]);
    frame.table(["t", "gain", "share of the bound", "share of the KL"], data.t.map((t, i) => [t, data.gain[i], share[i], share[i] === null ? null : 1 - share[i]]));
  }

  return { drawBars, drawShares };
})();
