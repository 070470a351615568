  // What the pages share on which somebody decides about one picture after another; included in each page's script.
  const at = (id) => document.getElementById(id);
  const say = (text) => { at("status").textContent = text; };
  const element = (name, text, className) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  };
  // The list item of a picture; of a mark where there is none.
  const itemOf = (id, src, act) => {
    const item = element("li");
    item.id = id;
    item.setAttribute("role", "option");
    const picture = src ? element("img") : element("div", "–", "none");
    if (src) Object.assign(picture, { loading: "lazy", src, alt: "" });
    item.append(picture, element("span"));
    item.addEventListener("click", act);
    return item;
  };
  // Things with list items, of which one (or none) is chosen.
  const choose = (things, chosen) => {
    for (const thing of things) thing.item.setAttribute("aria-selected", String(thing === chosen));
    if (chosen) at("faces").setAttribute("aria-activedescendant", chosen.item.id);
  };
  // Keys that go on, back and to the ends; `go` takes a place beyond the ends for the end.
  const movesOf = (here, go) => {
    const on = () => go(here() + 1), back = () => go(here() - 1);
    return { ArrowRight: on, j: on, ArrowLeft: back, k: back, Home: () => go(0), End: () => go(Infinity) };
  };
  const help = () => at("keys").showModal();
  // action: from the name of a key to what it does; undefined where it does nothing. "?" is the help of every page.
  const onKeys = (action) => addEventListener("keydown", (event) => {
    if (event.key === "?" && at("keys").open) return at("keys").close();
    if (event.ctrlKey || event.metaKey || event.altKey || at("keys").open || event.target.closest?.("select")) return;
    // Caps lock changes nothing.
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const act = key === "?" ? help : action(key);
    // A key that is held down moves on; it decides once.
    if (typeof act !== "function" || (event.repeat && !/^(Arrow|[jk]$)/.test(key))) return;
    event.preventDefault();
    act();
  });
  const warnUnless = (saved) => addEventListener("beforeunload", (event) => { if (!saved()) event.preventDefault(); });
  at("help").addEventListener("click", help);
