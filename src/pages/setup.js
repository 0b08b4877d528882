// The owner's set-up page. The code comes in the link's fragment, which browsers never send; it leaves the address bar
// before anything else happens. Everything from outside is shown as text only.

const part = (id) => document.getElementById(id);
const form = part("owner");

const code = new URLSearchParams(location.hash.slice(1)).get("code") ?? "";
history.replaceState(null, "", location.pathname);

const show = (text) => {
  part("status").textContent = text;
};
const complain = (text, field) => {
  part("problem").textContent = text;
  for (const input of form.elements) input.removeAttribute("aria-invalid");
  field?.setAttribute("aria-invalid", "true");
  field?.focus();
};

/** Unicode's full case folding, as src/auth/case-folding.ts has it. */
const caseFolded = (text) =>
  text
    .split("ı")
    .map((piece) => piece.toLowerCase().toUpperCase().toLowerCase())
    .join("ı")
    .replaceAll("ς", "σ");

/** As the server wants it: NFKC, case folded, without blanks around it. */
const loginName = () => caseFolded(form.elements.username.value.normalize("NFKC")).normalize("NFKC").trim();

async function begin() {
  const answer = await fetch("api/onboarding");
  if (!answer.ok) throw new Error(`answer ${answer.status}`);
  const steps = await answer.json();
  if (steps.every((step) => step.done)) {
    show("This gateway has an owner already. There is nothing to set up.");
    return;
  }
  show("This gateway has no owner yet.");
  part("code-row").hidden = code !== "";
  form.hidden = false;
  form.elements.name.focus();
}

function firstProblem() {
  const { name, username, password, repeat, code: typed } = form.elements;
  if (name.value.trim() === "") return ["Enter a name.", name];
  if (username.value.trim() === "") return ["Enter a username.", username];
  if (password.value === "") return ["Enter a password.", password];
  if (password.value !== repeat.value) return ["The two passwords differ.", repeat];
  if (code === "" && typed.value.trim() === "") return ["Enter the set-up code.", typed];
  return undefined;
}

async function create() {
  const { name, username, password, code: typed } = form.elements;
  const answer = await fetch("api/onboarding/users", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      setup_code: typed.value.trim() || code,
      name: name.value.trim(),
      username: loginName(),
      password: password.value,
      client_id: `${location.origin}/`,
    }),
  });
  if (answer.ok) return finish();
  const { message, code: reason } = await answer.json().catch(() => ({}));
  if (reason === "invalid_setup_code") part("code-row").hidden = false;
  const fields = {
    invalid_username: username,
    invalid_password: password,
    username_not_normalized: username,
  };
  complain(message ?? `The gateway answered ${answer.status}.`, fields[reason]);
}

function finish() {
  const { name } = form.elements;
  const login = loginName();
  const quoted = `'${login.replaceAll("'", `'\\''`)}'`;
  part("done-name").textContent = name.value.trim();
  part("login-command").textContent = `gatehouse login ${location.origin} --username ${quoted}`;
  part("socket-address").textContent = `${location.origin.replace(/^http/, "ws")}/api/websocket`;
  part("token-command").textContent = `gatehouse tokens issue --user ${quoted} --name dashboard --days 365`;
  form.reset();
  form.hidden = true;
  show("");
  part("done").hidden = false;
  part("done").focus();
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const problem = firstProblem();
  if (problem !== undefined) return complain(...problem);
  complain("");
  const button = form.querySelector("button");
  button.disabled = true;
  try {
    await create();
  } catch {
    complain("The gateway could not be reached. Try again.");
  } finally {
    button.disabled = false;
  }
});

begin().catch(() => show("The gateway cannot be reached now. Reload the page to try again."));
