// What all pages share. Texts come from strangers: they are only ever set as text.
"use strict";

const $ = (id) => document.getElementById(id);
const number = new Intl.NumberFormat("en");

function element(name, properties = {}, children = []) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function picture(address, alt) {
  return element("a", { href: address }, [element("img", { src: address, alt: alt || "no text", loading: "lazy" })]);
}

async function json(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}
