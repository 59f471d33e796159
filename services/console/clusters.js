// One row a cluster: the accepted picture, then its copies with their distances.
"use strict";

function card(id, label, alt) {
  return element("li", {}, [picture(`/pictures/${id}.jpg`, alt), element("div", {}, [element("p", { className: "from", textContent: label })])]);
}

function bits(distance) {
  return distance === 1 ? "1 bit" : `${distance} bits`;
}

function withoutPicture(item) {
  item.classList.add("gone");
  item.querySelector(".from").textContent += ", picture not kept";
}

function row(cluster) {
  const copies = cluster.copies.map((copy) => card(copy.image_id, bits(copy.distance), "a copy"));
  const times = cluster.merged === 1 ? "once" : `${number.format(cluster.merged)} times`;
  return element("section", { className: "cluster" }, [
    element("ul", { className: "pictures" }, [card(cluster.image_id, `accepted, merged ${times}`, cluster.texts[0]), ...copies]),
    element("p", { className: "quiet", textContent: cluster.texts.join(" · ") }),
  ]);
}

async function show() {
  try {
    const { clusters } = await json("/api/clusters");
    $("clusters").replaceChildren(...clusters.map(row));
    $("state").textContent = clusters.length ? `${clusters.length} newest clusters` : "nothing was merged so far";
    for (const image of document.querySelectorAll("img")) {
      image.addEventListener("error", () => { withoutPicture(image.closest("li")); });
    }
  } catch (error) {
    $("state").textContent = error.message;
    $("state").className = "away";
  }
}

show();
