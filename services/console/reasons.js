// Each reason with its meaning and its examples; the pictures of a reason are asked for when it is opened.
"use strict";

function example(reason, one) {
  const lines = [element("p", { textContent: one.text || "no text" })];
  if (one.distance !== null) lines.push(element("p", { className: "from", textContent: `${one.distance} bits from its original` }));
  if (one.host) lines.push(element("p", { className: "from", textContent: one.host }));
  return element("li", {}, [picture(`/examples/${reason}/${one.image_id}.jpg`, one.text), element("div", {}, lines)]);
}

async function load(reason, list) {
  if (list.dataset.loaded) return;
  list.dataset.loaded = "yes";
  try {
    const found = await json(`/api/reasons/${reason}`);
    list.replaceChildren(...found.examples.map((one) => example(reason, one)));
  } catch (error) {
    delete list.dataset.loaded;
    list.replaceChildren(element("li", { className: "away", textContent: error.message }));
  }
}

function section(one) {
  const list = element("ul", { className: "pictures" });
  const share = `${number.format(one.count)} candidates, ${number.format(one.examples)} examples`;
  const made = element("details", { id: one.reason, className: "reason" }, [
    element("summary", {}, [element("strong", { textContent: one.reason }), " ", element("span", { className: "quiet", textContent: share })]),
    element("p", { textContent: [one.meaning, one.cure].filter(Boolean).join(" ") }),
    list,
  ]);
  made.addEventListener("toggle", () => { if (made.open) load(one.reason, list); });
  return made;
}

async function show() {
  try {
    const { reasons } = await json("/api/reasons");
    $("reasons").replaceChildren(...reasons.map(section));
    $("state").textContent = reasons.length ? `${reasons.length} reasons` : "nothing was dropped so far";
    const wanted = reasons.find((one) => `#${one.reason}` === location.hash) || reasons.find((one) => one.examples > 0);
    if (wanted) $(wanted.reason).open = true;
    if (wanted && location.hash) $(wanted.reason).scrollIntoView();
  } catch (error) {
    $("state").textContent = error.message;
    $("state").className = "away";
  }
}

show();
