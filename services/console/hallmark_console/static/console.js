// Keeps a page current: a server-sent event means that something changed, and the page's regions are fetched anew.
// All HTML comes from the server's templates, so escaping has one place.
"use strict";

document.documentElement.classList.add("scripted");

const UNITS = [["year", 31536000], ["month", 2592000], ["day", 86400], ["hour", 3600], ["minute", 60]];

function relative(milliseconds) {
  const seconds = (milliseconds - Date.now()) / 1000;
  for (const [unit, length] of UNITS) {
    const count = Math.floor(Math.abs(seconds) / length);
    if (count) {
      const text = `${count} ${unit}${count === 1 ? "" : "s"}`;
      return seconds > 0 ? `in ${text}` : `${text} ago`;
    }
  }
  return seconds > 0 ? "in a moment" : "just now";
}

function showTimes() {
  for (const time of document.querySelectorAll("time[datetime]")) {
    const at = Date.parse(time.dateTime);
    const text = relative(at);
    if (!Number.isNaN(at) && time.textContent !== text) time.textContent = text;
  }
}

function offerCopying() {
  if (!navigator.clipboard) return;
  for (const button of document.querySelectorAll("button[data-copy]")) button.hidden = false;
}

async function copy(button) {
  await navigator.clipboard.writeText(button.dataset.copy);
  const label = button.firstChild;
  label.textContent = "Copied";
  setTimeout(() => { label.textContent = "Copy"; }, 1500);
}

function rowsOf(root) {
  return new Map([...root.querySelectorAll("[data-row]")].map((row) => [row.dataset.row, row.dataset.logIndex]));
}

function keepOpen(from, to) {
  const open = new Set([...from.querySelectorAll("details[open][data-key]")].map((item) => item.dataset.key));
  for (const item of to.querySelectorAll("details[data-key]")) item.open = open.has(item.dataset.key);
}

function focusAgain(old, region) {
  if (!old.contains(document.activeElement)) return;
  const everything = [...old.querySelectorAll("a, button, summary, [tabindex]")];
  const place = everything.indexOf(document.activeElement);
  return () => region.querySelectorAll("a, button, summary, [tabindex]")[place]?.focus({ preventScroll: true });
}

function swap(old, region) {
  if (old.innerHTML === region.innerHTML) return;
  const before = rowsOf(old);
  keepOpen(old, region);
  for (const row of region.querySelectorAll("[data-row]")) {
    if (before.size && before.get(row.dataset.row) !== row.dataset.logIndex) row.classList.add("changed");
  }
  const focus = focusAgain(old, region);
  const scrolled = [...old.querySelectorAll(".attention, .scroll, pre")].map((item) => item.scrollTop);
  old.replaceWith(region);
  region.querySelectorAll(".attention, .scroll, pre").forEach((item, place) => { item.scrollTop = scrolled[place] ?? 0; });
  focus?.();
}

let wanted = 0;  // counts fetches, so that a slow answer does not replace a newer one

async function refresh(atLeast) {
  const mine = ++wanted;
  const url = new URL(location.href);
  if (atLeast) url.searchParams.set("at_least", atLeast);
  const answer = await fetch(url, { headers: { Accept: "text/html" } });
  if (new URL(answer.url).pathname === "/login") return location.reload();
  if (!answer.ok || mine !== wanted) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (mine !== wanted) return;
  for (const old of document.querySelectorAll("[data-region]")) {
    const region = page.querySelector(`[data-region="${old.dataset.region}"]`);
    if (region) swap(old, document.adoptNode(region));
  }
  offerCopying();
  showTimes();
}

// Calls that come in quick succession become one, with the newest arguments: soon after the first, then not again
// before `pause` milliseconds have passed, so that a busy log neither floods the server nor starves the page.
function collected(action, soon, pause) {
  let timer, newest, last = 0;
  return (...args) => {
    newest = args;
    timer ??= setTimeout(() => {
      [timer, last] = [undefined, Date.now()];
      action(...newest).catch(() => {});
    }, Math.max(soon, last + pause - Date.now()));
  };
}

function follow(url) {
  const status = document.getElementById("live");
  const tell = (text, state) => {
    if (status.textContent === text) return;
    Object.assign(status, { textContent: text, className: `live ${state}`, hidden: false });
  };
  const changed = collected(refresh, 60, 1000);
  const source = new EventSource(url);
  source.onopen = () => tell("Live", "on");
  source.onmessage = (event) => changed(JSON.parse(event.data).log_index);
  source.onerror = () => {
    const closed = source.readyState === EventSource.CLOSED;
    tell(closed ? "Not live: reload the page" : "Reconnecting", "off");
  };
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
}

function filterAsTyped(form) {
  const narrow = collected(async () => {
    const query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
    history.replaceState(null, "", query.size ? `/?${query}` : "/");
    await refresh();
  }, 200, 200);
  form.addEventListener("input", narrow);
  form.addEventListener("submit", (event) => { event.preventDefault(); narrow(); });
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-copy]");
  if (button) copy(button).catch(() => {});
});
document.querySelectorAll("form[data-filter]").forEach(filterAsTyped);
if (document.body.dataset.live) follow(document.body.dataset.live);
offerCopying();
setInterval(showTimes, 30000);
