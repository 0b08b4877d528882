// The owner's set-up page. The code comes in the link's fragment, which browsers never send; it leaves the address bar
// before anything else happens. Everything from outside is shown as text only.

const setupCode = new URLSearchParams(location.hash.slice(1)).get("code") ?? "";
history.replaceState(null, "", location.pathname);

const part = (id) => document.getElementById(id);
const gateway = new URL(".", location.href).href.replace(/\/$/, "");

const login = document.createElement("gatehouse-login");
login.setupCode = setupCode;
for (const [name, value] of [
  ["url", gateway],
  ["for", "setup"],
  ["client-id", `${gateway}/`],
  ["autofocus", ""],
])
  login.setAttribute(name, value);

/** For a POSIX shell. */
const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

login.addEventListener("gatehouse-authenticated", async ({ detail: { client } }) => {
  const { id } = await client.call("auth/current_user");
  const { name, username } = (await client.call("config/auth/list")).find((user) => user.id === id);
  part("done-name").textContent = name;
  part("login-command").textContent = `gatehouse login ${gateway} --username ${quoted(username)}`;
  part("socket-address").textContent = `${gateway.replace(/^http/, "ws")}/api/websocket`;
  part("token-command").textContent =
    `gatehouse tokens issue --user ${quoted(username)} --name dashboard --days 365`;
  login.hidden = true;
  part("intro").hidden = true;
  part("done").hidden = false;
  part("done").focus();
});
login.addEventListener("gatehouse-ended", () => {
  part("intro").hidden = true;
});

part("place").replaceWith(login);
