/* The bound explorer: ℓ and its lower bound along a line or in a plane, at every half-step of EM. */
const explorer = (() => {
  const { svg, say } = chart;

  /** Half-step `place` as {i, half, step}: even ones are E-steps at θₜ, odd ones the M-steps from there. */
  function halfStep(steps, place) {
    const i = Math.floor(place / 2);
    return { i, half: place % 2 === 0 ? "E" : "M", step: steps[i] };
  }

  /** Decimals with which the smallest change of this step shows three digits. */
  function decimals(step) {
    const sizes = [step.lNext - step.l, step.kl, step.klOld].map((x) => Math.abs(x || 0)).filter((x) => x > 0);
    if (sizes.length === 0) return 6;
    const needed = 2 - Math.floor(Math.log10(Math.min(...sizes)));
    return Math.max(3, Math.min(needed, 15 - Math.ceil(Math.log10(Math.abs(step.l) + 1)), 9));
  }

  /** ℓ, Q, H and KL at the point that the half-step is at: exact numbers whose sum is ℓ. */
  function terms({ half, step }) {
    if (half === "E") return { l: step.l, q: step.q, h: step.h, kl: 0 };
    return { l: step.lNext, q: step.qNext, h: step.h, kl: step.kl };
  }

  function lower(number) {
    return String(number).split("").map((digit) => "₀₁₂₃₄₅₆₇₈₉"[Number(digit)]).join("");
  }

  /** The half-step in a sentence. */
  function sentence({ half, step }, local) {
    const here = `θ${lower(step.t)}`;
    const gain = step.lNext - step.l;
    if (half === "E") {
      if (local) return `E-step at ${here}: Q is found to second order about ${here}.`;
      if (step.klOld === null) return `E-step at ${here}, where the way begins: the bound is laid under ℓ and touches it there.`;
      return `E-step at ${here}: the bound of the step before lay ${say(Math.max(step.klOld, 0), 3)} below ℓ here; the new bound touches it. θ does not move.`;
    }
    const there = `θ${lower(step.t + 1)}`;
    const rise = step.qNext - step.q;
    if (local) return `M-step from ${here} to ${there}: the quadratic of Q rises by ${say(rise, 3)}, ℓ by ${say(gain, 3)}.`;
    return `M-step from ${here} to ${there}, up the bound, which is ${say(rise, 3)} higher there. ℓ rises by ${say(gain, 3)}: ${say(Math.max(step.kl, 0), 3)} more, the KL that opens.`;
  }

  /* -- a line ------------------------------------------------------------------------------------ */

  /** What is drawn of a line: points [x, change of ℓ], of the bound, and of the bound before. */
  function curves(line, xs) {
    const pair = (values) => xs.map((x, k) => (values[k] === null ? null : [x, values[k]]));
    const minus = (gap) => (gap ? line.rise.map((r, k) => (r === null || gap[k] === null ? null : r - gap[k])) : null);
    const bound = minus(line.gap);
    const old = minus(line.old);
    return { l: pair(line.rise), bound: pair(bound), old: old && pair(old), rise: line.rise, boundValues: bound };
  }

  function window(line, drawn) {
    const [low, high] = chart.extent(line.rise);
    const reach = Math.max(high - low, 1e-300);
    const [lowBound] = chart.extent(drawn.boundValues);
    return chart.widened([Math.max(low - 0.45 * reach, Math.min(low, lowBound)), high], 0.08);
  }

  function between(xs, values, x) {
    const k = Math.max(1, xs.findIndex((one) => one >= x));
    if (values[k] === null || values[k - 1] === null) return null;
    const share = (x - xs[k - 1]) / (xs[k] - xs[k - 1] || 1);
    return values[k - 1] + share * (values[k] - values[k - 1]);
  }

  /** Draw ℓ and the bound along one line. */
  function drawLine(container, line, xs, at, options) {
    const { half, step } = at;
    const local = options.local;
    const frame = chart.figure(container, {
      title: options.title,
      description: options.description,
      margin: { left: 74, bottom: 50 },
      height: Math.round(Math.max(270, Math.min(400, container.clientWidth * 0.55))),
    });
    const drawn = curves(line, xs);
    const { inner } = frame;
    const x = chart.linear([xs[0], xs[xs.length - 1]], [inner.left, inner.right]);
    const y = chart.linear(window(line, drawn), [inner.bottom, inner.top]);
    frame.axes(x, y, { x: options.x, y: "ℓ(θ) − ℓ(θₜ)", xFormat: options.xFormat, xTicks: options.xTicks });
    const cut = frame.clip();
    const curvesOf = svg("g", { "clip-path": cut });
    const oldShown = half === "E" && drawn.old && !local;
    if (half === "M" && !local) curvesOf.append(area(drawn, xs, x, y));
    if (oldShown) curvesOf.append(chart.line(drawn.old, x, y, 2, { class: "line series-2" }));
    curvesOf.append(chart.line(drawn.bound, x, y, 1), chart.line(drawn.l, x, y, 0));
    frame.add(curvesOf);
    const goal = options.goal;
    const hereY = y(0);
    if (half === "M" && goal !== null && goal >= xs[0] && goal <= xs[xs.length - 1]) rod(frame, x, y, xs, drawn, goal, step, local);
    frame.add(chart.mark(x(xs[line.touches]), hereY, 0, 5.5));
    tell(frame, x(xs[line.touches]), hereY, `θ${lower(step.t)}`, half === "E" ? -12 : 18);
    const keys = [
      { k: 0, name: "log-likelihood ℓ", mark: false },
      { k: 1, name: local ? "ℓ(θₜ) + what Q gains, to second order" : "lower bound Q(θ; θₜ) + H(q)" },
    ];
    if (oldShown) keys.push({ k: 2, name: "bound of the step before" });
    if (half === "M" && !local) keys.push({ k: 1, name: "KL between them", kind: "area pale" });
    frame.legend(keys);
    const rows = xs.map((one, k) => [Number(one.toPrecision(6)), line.rise[k], drawn.boundValues[k], line.gap[k]]);
    frame.table([options.x, "ℓ(θ) − ℓ(θₜ)", local ? "Q's gain" : "bound − ℓ(θₜ)", local ? "difference" : "KL"], rows);
  }

  function area(drawn, xs, x, y) {
    const whole = xs.map((_, k) => k).filter((k) => drawn.l[k] && drawn.bound[k]);
    const up = whole.map((k) => `${x(xs[k]).toFixed(1)} ${y(drawn.l[k][1]).toFixed(1)}`);
    const down = whole.reverse().map((k) => `${x(xs[k]).toFixed(1)} ${y(drawn.bound[k][1]).toFixed(1)}`);
    return svg("path", { class: "area pale series-1", d: `M${up.concat(down).join("L")}Z` });
  }

  function rod(frame, x, y, xs, drawn, goal, step, local) {
    const top = between(xs, drawn.rise, goal);
    const foot = between(xs, drawn.boundValues, goal);
    if (top === null || foot === null) return;
    const px = x(goal);
    frame.add(svg("line", { class: "rod", x1: px, x2: px, y1: y(top), y2: y(foot) }));
    frame.add(chart.mark(px, y(foot), 1, 5), chart.mark(px, y(top), 0, 5));
    tell(frame, px, y(top), `θ${lower(step.t + 1)}`, -12);
    if (!local && y(foot) - y(top) > 16) tell(frame, px + 22, (y(foot) + y(top)) / 2 + 4, "KL", 0);
  }

  function tell(frame, px, py, text, shift) {
    const { left, right, top, bottom } = frame.inner;
    const at = { x: Math.min(Math.max(px, left + 14), right - 14), y: Math.min(Math.max(py + shift, top + 12), bottom - 6) };
    frame.add(svg("text", { class: "told", "text-anchor": "middle", ...at }, text));
  }

  return { halfStep, decimals, terms, sentence, drawLine, lower, tell };
})();
