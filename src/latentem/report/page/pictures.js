/* The data with the components: one picture for each class of models, drawn anew at every step.
 *
 * `drawPicture(spec, step, container)` draws what `latentem.report.pictures` has put into numbers.  A kind of picture
 * is a function (spec, step, box, choice) in `pictures.painters`; files picture-*.js add theirs.
 */
const pictures = (() => {
  const { svg, html } = chart;
  const FIGURES = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";
  const VALUE = Object.fromEntries([...FIGURES].map((figure, i) => [figure, i]));
  const painters = {};

  /* -- numbers ------------------------------------------------------------------------------------- */

  /** The numbers of one step of a packed table, in a row; null where one is missing. */
  function unpack(table, step) {
    const { low, high, figures } = table;
    const text = table.steps[step];
    const top = 64 ** figures - 1;
    const found = new Array(text.length / figures);
    for (let i = 0; i < found.length; i += 1) {
      let code = 0;
      for (let j = 0; j < figures; j += 1) code = code * 64 + VALUE[text[i * figures + j]];
      found[i] = Number.isNaN(code) ? null : low + (code / top) * (high - low);
    }
    return found;
  }

  /** The same as rows, by all but the last axis of the table. */
  function unpackRows(table, step) {
    const values = unpack(table, step);
    const length = table.shape[table.shape.length - 1];
    return Array.from({ length: values.length / length }, (_, i) => values.slice(i * length, (i + 1) * length));
  }

  /** Of each row the most probable component, and how probable it is: [[k, share], …]. */
  function assigned(responsibilities, step) {
    const rows = unpackRows(responsibilities, step);
    return rows[0].map((_, n) => rows.reduce((best, row, k) => (row[n] > best[1] ? [k, row[n]] : best), [0, -1]));
  }

  const percent = (share) => `${chart.say(100 * share, 3)} %`;

  /* -- sheets of panels ------------------------------------------------------------------------------ */

  function widthOf(box) {
    return Math.max(280, Math.min(box.clientWidth || 680, 860));
  }

  /** A figure cut into n panels: gives {frame, panel}, where panel(i, draw) draws within panel i. */
  function sheet(box, n, options) {
    const width = widthOf(box);
    const most = width < 520 ? 1 : width < 780 || n === 4 ? 2 : 3;
    const across = Math.min(n, options.across || most);
    const single = Math.round(Math.max(250, Math.min(390, width * 0.52)));
    const each = options.each || (n === 1 ? single : 210);
    const frame = chart.figure(box, { ...options, width, height: Math.ceil(n / across) * each + 6 });
    const margin = { left: 60, right: 16, top: options.titled === false ? 16 : 34, bottom: 32, ...options.panelMargin };
    const panel = (i, draw, title) => {
      const [column, row] = [i % across, Math.floor(i / across)];
      const left = (column * width) / across + margin.left;
      Object.assign(frame.inner, {
        left,
        right: ((column + 1) * width) / across - margin.right,
        top: row * each + margin.top,
        bottom: (row + 1) * each - margin.bottom,
      });
      if (title) frame.add(svg("text", { class: "panel-title", x: left, y: frame.inner.top - 12 }, cut(title, (width / across - 70) / 7)));
      draw(frame.inner);
    };
    return { frame, panel };
  }

  /** A text with at most so many signs. */
  function cut(text, most) {
    return text.length <= most ? text : `${text.slice(0, Math.max(1, Math.floor(most) - 1))}…`;
  }

  function rect(x0, x1, y0, y1, attributes) {
    const place = { x: Math.min(x0, x1), y: Math.min(y0, y1), width: Math.abs(x1 - x0), height: Math.abs(y1 - y0) };
    return svg("rect", { ...place, ...attributes });
  }

  /** Keys of components with their weights. */
  function keys(spec, step, more = {}) {
    return spec.weights[step].map((weight, k) => ({ k, name: `${spec.what} ${k} (${percent(weight)})`, mark: true, ...more }));
  }

  /** Keys, of which those with `bar` stand for the bars of data and those with `sum` for a sum of curves. */
  function legend(frame, items) {
    frame.legend(items.filter((item) => !item.bar && !item.sum));
    const list = frame.root.querySelector(".legend");
    for (const { name, bar } of items.filter((item) => item.bar || item.sum)) {
      const shape = bar ? svg("rect", { class: "bar", x: 2, y: 1, width: 26, height: 12 }) : svg("path", { class: "line sum", d: "M1 7L29 7" });
      const key = svg("svg", { class: "key", width: 30, height: 14, viewBox: "0 0 30 14", "aria-hidden": "true" }, shape);
      list.append(html("li", {}, key, name));
    }
  }

  /* -- choices ---------------------------------------------------------------------------------------- */

  /** A select for each of `names`, whose options are the columns of the picture. */
  function choices(spec, choice, again) {
    return Object.keys(choice).map((name) => {
      const id = `picture-${name}-${Math.random().toString(36).slice(2)}`;
      const select = html("select", { id }, spec.columns.map((column, i) => html("option", { value: i }, column)));
      select.value = String(choice[name]);
      select.addEventListener("change", () => {
        const other = Object.keys(choice).find((one) => one !== name && choice[one] === Number(select.value));
        if (other) choice[other] = choice[name];
        choice[name] = Number(select.value);
        again();
      });
      return html("div", {}, html("label", { for: id }, name), select);
    });
  }

  const CHOICES = { plane: ["across", "up"], regression: ["response"], states: ["column"] };

  function chosen(spec) {
    const names = CHOICES[spec.kind] || [];
    return names.length && spec.columns.length > names.length ? Object.fromEntries(names.map((name, i) => [name, i])) : {};
  }

  /* -- pictures and their parts --------------------------------------------------------------------------- */

  function prepare(spec, step, container) {
    const box = html("div", {});
    const state = { spec, step, choice: chosen(spec), box, parts: [] };
    container.latentPicture = state;
    const selects = html("div", { class: "choices" });
    const remark = html("p", { class: "remark" }, spec.description);
    const paint = () => {
      painters[spec.kind](spec, state.step, box, state.choice);
      const selected = choices(spec, state.choice, paint);
      if (selected.length && !selects.contains(document.activeElement)) selects.replaceChildren(...selected);
      else selects.querySelectorAll("select").forEach((select, i) => { select.value = String(Object.values(state.choice)[i]); });
    };
    state.paint = paint;
    state.parts = (spec.parts || []).map(() => html("div", {}));
    container.replaceChildren(...(Object.keys(state.choice).length ? [selects] : []), box, remark, ...state.parts);
    chart.watch(box, paint);
  }

  /** Draw a picture and its parts at a step, or bring them to it. */
  function draw(spec, step, container) {
    const state = container.latentPicture;
    if (!state || state.spec !== spec) {
      prepare(spec, step, container);
    } else {
      state.step = step;
      state.paint();
    }
    (spec.parts || []).forEach((part, i) => draw(part, step, container.latentPicture.parts[i]));
  }

  return { painters, unpack, unpackRows, assigned, percent, widthOf, sheet, cut, rect, keys, legend, draw };
})();

/** Draw the picture of a fit at a step into a container, or move it there. */
function drawPicture(spec, step, container) {
  pictures.draw(spec, step, container);
}
