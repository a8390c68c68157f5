// Looks through search.json, which is fetched when somebody begins to type.
(() => {
  "use strict";
  const root = document.currentScript.dataset.root;
  const field = document.getElementById("search");
  const list = document.getElementById("found");
  let pages;
  const load = () => (pages ??= fetch(`${root}search.json`).then((answer) => answer.json()));
  const entry = (href, title, detail) => {
    const item = document.createElement("li");
    const link = document.createElement("a");
    link.href = root + href;
    link.textContent = title;
    item.append(link);
    if (detail) {
      const text = document.createElement("small");
      text.textContent = detail;
      item.append(text);
    }
    return item;
  };
  const around = (text, at) => `…${text.slice(Math.max(0, at - 40), at + 60)}…`;
  field.addEventListener("input", async () => {
    const wanted = field.value.trim().toLowerCase();
    const found = [];
    if (wanted.length > 1) {
      for (const page of await load()) {
        const heading = page.headings.find((one) => one.text.toLowerCase().includes(wanted));
        const at = page.text.toLowerCase().indexOf(wanted);
        if (page.title.toLowerCase().includes(wanted)) found.push([0, entry(page.place, page.title, "")]);
        else if (heading) found.push([1, entry(`${page.place}#${heading.id}`, heading.text, page.title)]);
        else if (at >= 0) found.push([2, entry(page.place, page.title, around(page.text, at))]);
      }
    }
    found.sort((one, other) => one[0] - other[0]);
    list.replaceChildren(...found.slice(0, 20).map((one) => one[1]));
    list.hidden = found.length === 0;
  });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      field.value = "";
      list.hidden = true;
    }
  });
})();
