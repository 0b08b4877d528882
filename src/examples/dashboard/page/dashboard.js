// A dashboard. Each panel is a subscription of its own: if its user may not read the topic any more, the gateway ends the
// subscription, and the panel goes.

const panels = [
  { title: "Kitchen", topic: "home/kitchen/temperature", unit: "°C" },
  { title: "Bedroom", topic: "home/bedroom/temperature", unit: "°C" },
  { title: "Solar", topic: "home/energy/solar", unit: "kW" },
  { title: "Power", topic: "home/energy/power", unit: "kW" },
];
/** What the owner gives and takes, by the pattern in the group's policy. */
const areas = [
  { title: "Kitchen", pattern: "home/kitchen/#" },
  { title: "Bedroom", pattern: "home/bedroom/#" },
  { title: "Energy", pattern: "home/energy/#" },
];
const shown = 60;
/** A panel that was taken away is asked for again after this, ms: the right may be back. */
const askAgainMs = 2_000;

/** Titles of the panels that are taken away now. */
const missing = new Set();

function tellMissing() {
  const titles = panels.map(({ title }) => title).filter((title) => missing.has(title));
  part("news").textContent = titles.length === 0 ? "" : `You may not see this now: ${titles.join(", ")}`;
}

const part = (id) => document.getElementById(id);
const svg = (name) => document.createElementNS("http://www.w3.org/2000/svg", name);

/** One panel on the page, with the newest values as a line. */
function openPanel({ title, unit }) {
  const section = document.createElement("section");
  section.className = "panel";
  const heading = document.createElement("h2");
  const value = document.createElement("output");
  heading.append(title, value);
  const chart = svg("svg");
  chart.setAttribute("preserveAspectRatio", "none");
  chart.setAttribute("viewBox", `0 0 ${shown - 1} 100`);
  chart.setAttribute("role", "img");
  chart.setAttribute("aria-label", `${title}, the last values`);
  const line = svg("polyline");
  chart.append(line);
  section.append(heading, chart);
  const values = [];
  return {
    section,
    add(next) {
      values.push(next);
      if (values.length > shown) values.shift();
      value.value = `${next.toFixed(1)} ${unit}`;
      const [low, high] = [Math.min(...values), Math.max(...values)];
      const height = (each) => (high === low ? 50 : 95 - ((each - low) / (high - low)) * 90);
      line.setAttribute(
        "points",
        values.map((each, place) => `${place},${height(each).toFixed(1)}`).join(" "),
      );
    },
  };
}

async function show(client, about) {
  const panel = openPanel(about);
  const again = () => setTimeout(() => show(client, about), askAgainMs);
  const onEnd = ({ code }) => {
    panel.section.remove();
    if (code !== "permission_lost") return;
    missing.add(about.title);
    tellMissing();
    again();
  };
  try {
    await client.subscribe(about.topic, ({ data }) => panel.add(data.value), { conflate: true, onEnd });
  } catch (error) {
    if (error.code === "unauthorized") again();
    return;
  }
  missing.delete(about.title);
  tellMissing();
  // In the order of the list, whenever it comes.
  const later = panels.slice(panels.indexOf(about) + 1).map(({ title }) => title);
  const next = [...part("panels").children].find((each) => later.includes(each.dataset.title));
  panel.section.dataset.title = about.title;
  part("panels").insertBefore(panel.section, next ?? null);
}

/** For administrators: a box for each area. A change by somebody else meanwhile is a conflict, so the boxes are read again. */
async function showRights(client) {
  const form = part("rights");
  const boxes = areas.map(({ title, pattern }) => {
    const label = document.createElement("label");
    label.className = "check";
    const box = document.createElement("input");
    box.type = "checkbox";
    box.name = pattern;
    label.append(box, title);
    form.append(label);
    return box;
  });
  let group;
  const read = async () => {
    const { groups } = await client.call("gatehouse/groups/list");
    const { group_id } = groups.find(({ name }) => name === "Guests");
    group = await client.call("gatehouse/groups/get", { group_id });
    for (const box of boxes) box.checked = group.policy.topics?.patterns?.[box.name]?.read === true;
  };
  form.addEventListener("change", async () => {
    const patterns = Object.fromEntries(
      boxes.filter((box) => box.checked).map((box) => [box.name, { read: true }]),
    );
    const { group_id, version } = group;
    try {
      await client.call("gatehouse/groups/update", { group_id, version, policy: { topics: { patterns } } });
    } catch (error) {
      part("news").textContent = `Not changed: ${error.message}`;
    }
    await read();
  });
  await read();
  form.hidden = false;
}

/** Changes of rights need a recent login. The change goes on once the person has logged in again. */
function logInAgain(request) {
  const login = document.createElement("gatehouse-login");
  login.setAttribute("for", "step-up");
  login.stepUp = request;
  for (const name of ["gatehouse-stepped-up", "gatehouse-ended"])
    login.addEventListener(name, () => login.remove());
  part("news").after(login);
}

const login = document.createElement("gatehouse-login");
login.onStepUp = logInAgain;
part("who").before(login);

document.addEventListener("gatehouse-authenticated", async ({ target, detail: { client } }) => {
  target.remove();
  const { name, is_admin } = await client.call("auth/current_user");
  part("who").textContent = `You are ${name}.`;
  part("who").hidden = false;
  for (const panel of panels) await show(client, panel);
  if (is_admin) await showRights(client);
});
