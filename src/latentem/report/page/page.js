/* What moves on the page: the slider over half-steps, the view, and all that follows them. */
(() => {
  const numbers = JSON.parse(document.getElementById("numbers").textContent);
  const find = (id) => document.getElementById(id);
  const steps = numbers.steps;
  if (!steps.length) return;
  const slider = find("half-step");
  const view = find("view");

  /* -- what can be shown ------------------------------------------------------------------------- */

  function views() {
    const { across, planes } = numbers.explorer;
    const pairs = [...new Map(planes.map((plane) => [plane.names.join(" × "), plane])).keys()];
    const option = (value, text) => chart.html("option", { value }, text);
    view.append(option("along", "the EM step, θₜ to θₜ₊₁"));
    const one = chart.html("optgroup", { label: "one parameter" });
    across.forEach((each, i) => one.append(option(`across ${i}`, each.name)));
    const two = chart.html("optgroup", { label: "two parameters, as contours" });
    pairs.forEach((pair) => two.append(option(`plane ${pair}`, pair)));
    if (across.length) view.append(one);
    if (pairs.length) view.append(two);
  }

  function place() {
    return explorer.halfStep(steps, Number(slider.value));
  }

  /* -- drawing ---------------------------------------------------------------------------------------- */

  function drawExplorer() {
    const at = place();
    const [kind, ...rest] = view.value.split(" ");
    const container = find("explorer-chart");
    if (kind === "plane") drawPlane(container, rest.join(" "), at);
    else if (kind === "across") drawAcross(container, numbers.explorer.across[Number(rest[0])], at);
    else drawAlong(container, at);
  }

  function lacking(container, still) {
    container.latentFrame = null;
    const why = still
      ? "On this line ℓ changes by no more than its rounding error: there is nothing to be seen."
      : "There was no time to measure this line; give the report more seconds.";
    container.replaceChildren(chart.html("p", { class: "unavailable" }, why));
  }

  function drawAlong(container, at) {
    const line = numbers.explorer.along[at.i];
    if (!line || line.still) return lacking(container, line);
    const here = explorer.lower(at.step.t);
    const there = explorer.lower(at.step.t + 1);
    explorer.drawLine(container, line, numbers.explorer.share, at, {
      local: numbers.explorer.local,
      title: `Along the EM step from θ${here} to θ${there}, after the ${at.half}-step`,
      description: explorer.sentence(at, numbers.explorer.local),
      x: "share of the EM step",
      xTicks: 5,
      goal: 1,
    });
  }

  function drawAcross(container, across, at) {
    const line = across.lines[at.i];
    if (!line || line.still) return lacking(container, line);
    explorer.drawLine(container, line, line.at, at, {
      local: numbers.explorer.local,
      title: `Along ${across.name}, the other parameters as at θ${explorer.lower(at.step.t)}`,
      description: `${explorer.sentence(at, numbers.explorer.local)} Here only ${across.name} is changed.`,
      x: across.name,
      goal: null,
    });
  }

  function drawPlane(container, pair, at) {
    const planes = numbers.explorer.planes.filter((plane) => plane.names.join(" × ") === pair);
    const nearest = planes.reduce((a, b) => (Math.abs(b.step - at.i) < Math.abs(a.step - at.i) ? b : a));
    contours.draw(container, nearest, { ...at, step: steps[nearest.step] }, numbers.explorer.local);
    if (nearest.step !== at.i) find("telling").textContent += ` Contours were measured at fewer iterations: these are those of θ${explorer.lower(steps[nearest.step].t)}.`;
  }

  function drawPicturePart(i) {
    const container = find("picture");
    if (!container) return;
    const label = find("picture-step");
    if (label) label.textContent = `after ${counted(steps[i].t)} of EM`;
    if (numbers.picture && typeof drawPicture === "function") drawPicture(numbers.picture, i, container);
    else components(container, i);
  }

  function counted(t) {
    return t === 1 ? "1 step" : `${t} steps`;
  }

  function components(container, i) {
    const last = steps.length - 1;
    const heads = ["parameter", `after ${counted(steps[i].t)}`, `at the end, after ${steps[last].t}`];
    chart.table(container, heads, numbers.table.map(([name, values]) => [name, values[i], values[last]]), "Parameters");
  }

  /* -- telling ------------------------------------------------------------------------------------------ */

  function fixed(value, places) {
    const shown = Math.abs(value) < 0.5 * 10 ** -places ? 0 : value;
    return shown.toLocaleString("en-US", { minimumFractionDigits: places, maximumFractionDigits: places }).replaceAll("-", "−");
  }

  function tell() {
    const at = place();
    const sentence = explorer.sentence(at, numbers.explorer.local);
    slider.setAttribute("aria-valuetext", sentence);
    find("telling").textContent = sentence;
    const terms = explorer.terms(at);
    const places = explorer.decimals(at.step);
    for (const name of ["l", "q", "h", "kl"]) find(`read-${name}`).textContent = fixed(terms[name], places);
    find("step-back").disabled = Number(slider.value) === 0;
    find("step-on").disabled = Number(slider.value) === 2 * steps.length - 1;
  }

  function move() {
    const at = place();
    tell();
    drawExplorer();
    drawPicturePart(at.half === "E" ? at.i : Math.min(at.i + 1, steps.length - 1));
  }

  function jump(by) {
    slider.value = String(Number(slider.value) + by);
    move();
  }

  slider.max = String(2 * steps.length - 1);
  slider.value = "1";
  views();
  slider.addEventListener("input", move);
  view.addEventListener("change", () => { tell(); drawExplorer(); });
  find("step-back").addEventListener("click", () => jump(-1));
  find("step-on").addEventListener("click", () => jump(1));
  find("explorer-controls").addEventListener("submit", (event) => event.preventDefault());
  move();
  chart.watch(find("explorer-chart"), drawExplorer);
  const parts = [
    ["ascent-chart", (box) => numbers.ascent.t.length && ascent.drawBars(box, numbers.ascent)],
    ["share-chart", (box) => numbers.ascent.t.length && ascent.drawShares(box, numbers.ascent)],
    ["limit-chart", (box) => limit.draw(box, numbers.limit)],
    ["methods-chart", (box) => methods.draw(box, numbers.methods)],
  ];
  for (const [id, draw] of parts) {
    const box = find(id);
    if (box) chart.watch(box, () => draw(box));
  }
})();
