// Asks for the figures every two seconds and shows them. Texts come from strangers: they are only ever set as text.
"use strict";

const REFRESH_MS = 2000;
const shown = new Map();
const last = new Map();

function figure(name, value, note) {
  const shownValue = typeof value === "number" ? number.format(value) : value;
  const definition = element("dd", { textContent: shownValue });
  if (note) definition.append(element("small", { textContent: note }));
  return element("div", {}, [element("dt", { textContent: name }), definition]);
}

// A list that is read aloud when it changes must not be replaced by the same list.
function replaceChanged(place, children) {
  const text = children.map((child) => child.outerHTML).join("");
  if (last.get(place) !== text) {
    last.set(place, text);
    place.replaceChildren(...children);
  }
}

function showFunnel(now) {
  const model = now.model;
  const share = (value) => `${(100 * value).toFixed(1)} %`;
  const accuracy = model && model.metrics.accuracy !== undefined
    ? figure("accuracy", share(model.metrics.accuracy), `chance ${share(model.metrics.chance)}, ${model.promoted ? "promoted" : "not promoted"}`)
    : figure("model", model ? model.version : "none yet");
  const ended = Object.values(now.outcomes).reduce((sum, count) => sum + count, 0);
  replaceChanged($("funnel"), [
    figure("entities", now.entities),
    figure("candidates ended", ended),
    figure("pairs", now.accepted),
    figure("merged", now.merged),
    figure("samples in shards", now.shards.samples, `${number.format(now.shards.heldout)} held out, ${now.shards.count} shards`),
    accuracy,
  ]);
}

function row(cells) {
  return element("tr", {}, cells.map(([text, className, href]) => {
    const cell = element("td", { className: className || "" });
    cell.append(href ? element("a", { href, textContent: text }) : text);
    return cell;
  }));
}

function showTopics(topics) {
  replaceChanged($("topics"), topics.map(({ topic, records, left }) => {
    const waiting = Object.entries(left).map(([group, count]) => `${group} ${number.format(count)}`).join(", ");
    const quiet = Object.values(left).every((count) => count === 0);
    return row([[topic], [number.format(records), "number"], [waiting, quiet ? "quiet" : ""]]);
  }));
}

function showDropped(dropped) {
  const entries = Object.entries(dropped);
  const all = entries.reduce((sum, [, count]) => sum + count, 0);
  const rows = entries.map(([reason, count]) =>
    row([[reason, "", `/reasons#${reason}`], [number.format(count), "number"], [`${Math.round((100 * count) / all)} %`, "number"]]));
  replaceChanged($("dropped"), rows.length ? rows : [row([["nothing so far", "quiet"], [""], [""]])]);
}

function card(pair) {
  const text = pair.texts.map((one) => one.text).join(" · ");
  const size = `${pair.width} × ${pair.height}${pair.heldout ? ", held out" : ""}`;
  const link = element("a", { href: `/pictures/${pair.image_id}.jpg` }, [
    element("img", { src: `/pictures/${pair.image_id}.jpg`, alt: pair.texts.length ? pair.texts[0].text : "no text", loading: "lazy" }),
  ]);
  let host = "";
  try { host = new URL(pair.sources[0].url).host; } catch { host = ""; }
  return element("li", { className: "fresh" }, [
    link,
    element("div", {}, [
      element("strong", { textContent: pair.names.join(", ") || "no entity" }),
      element("p", { textContent: text }),
      element("p", { className: "from", textContent: [host, size].filter(Boolean).join(", ") }),
    ]),
  ]);
}

function showPictures(pairs) {
  const wanted = new Set(pairs.map((pair) => pair.image_id));
  for (const [id, item] of shown) {
    if (!wanted.has(id)) { item.remove(); shown.delete(id); }
  }
  const list = $("pictures");
  pairs.slice().reverse().forEach((pair) => {
    if (!shown.has(pair.image_id)) {
      shown.set(pair.image_id, card(pair));
      list.prepend(shown.get(pair.image_id));
    }
  });
  $("none").hidden = pairs.length > 0;
}

async function refresh() {
  const state = $("state");
  try {
    const answer = await fetch("/api");
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const now = await answer.json();
    showFunnel(now);
    showTopics(now.topics);
    showDropped(now.dropped);
    showPictures(now.pictures);
    if (state.textContent !== "live") state.textContent = "live";
    state.className = "";
  } catch (error) {
    state.textContent = "the console does not answer; trying again";
    state.className = "away";
  }
  setTimeout(refresh, REFRESH_MS);
}

refresh();
