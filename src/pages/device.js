// Connects a device: the person types its code, logs in, looks at what asks, and decides.

const $ = (id) => document.getElementById(id);
const words = $("words").content;
const word = (name) => words.querySelector(`[data-word="${CSS.escape(name)}"]`)?.textContent;

let client;

function show(id) {
  for (const part of ["code", "login", "decision"]) $(part).hidden = part !== id;
}

function say(code) {
  $("problem").textContent = code === undefined ? "" : (word(code) ?? word("failed"));
}

/** What asks, in the person's words. */
function fill(device) {
  const scopes =
    device.scope === null
      ? [word("everything")]
      : device.scope.split(" ").map((scope) => word(`scope:${scope}`) ?? scope);
  const shown = {
    app: device.client_name,
    code: $("user-code").value.toUpperCase(),
    address: device.address,
    scopes: scopes.join("\n"),
    resource: device.resource,
  };
  for (const [name, text] of Object.entries(shown)) {
    const place = document.querySelector(`[data-shown="${name}"]`);
    place.textContent = text ?? place.dataset.unknown ?? "";
    place.closest("[data-optional]")?.toggleAttribute("hidden", text === null);
  }
}

async function look() {
  try {
    fill(await client.call("gatehouse/device/show", { user_code: $("user-code").value }));
    show("decision");
    $("asks").focus();
  } catch (error) {
    show("code");
    say(error.code);
    $("user-code").focus();
  }
}

$("code").addEventListener("submit", (event) => {
  event.preventDefault();
  say();
  if ($("user-code").value.trim() === "") {
    say("not_found");
    $("user-code").focus();
  } else if (client !== undefined) void look();
  else {
    show("login");
    // A second try has the element already.
    if ($("login").querySelector("gatehouse-login") === null)
      $("login").append($("login").querySelector("template").content.cloneNode(true));
  }
});

document.addEventListener("gatehouse-authenticated", ({ detail }) => {
  client = detail.client;
  void look();
});

async function decide(answer, outcome) {
  for (const button of ["approve", "refuse"]) $(button).disabled = true;
  say();
  try {
    await client.call(`gatehouse/device/${answer}`, { user_code: $("user-code").value });
    show();
    $("outcome").textContent = word(outcome);
    $("outcome").focus();
    // This page has done what the person logged in for.
    await client.logout();
  } catch (error) {
    if ($("outcome").textContent !== "") return;
    say(error.code);
    if (error.code === "not_found") show("code");
  } finally {
    for (const button of ["approve", "refuse"]) $(button).disabled = false;
  }
}

$("approve").addEventListener("click", () => decide("approve", "approved"));
$("refuse").addEventListener("click", () => decide("refuse", "refused"));
