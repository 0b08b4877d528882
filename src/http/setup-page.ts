import type { HttpResponse } from "./endpoint.ts";
import { type Html, html, htmlPage, type PageContext } from "./html-page.ts";
import type { Language } from "./languages.ts";
import { elementPagePolicy } from "./pages.ts";

const english = {
  title: "Set up Gatehouse",
  intro: "Create the owner: the person who may do everything here. This can be done once.",
  needsScript: html`This page needs JavaScript. Without it, run <code>gatehouse users add NAME --username NAME --owner</code> on the server.`,
  done: "Done",
  owner: (name: Html) => html`${name} owns this gateway now, and is logged in on this page.`,
  next: "What to do next:",
  login: html`Log in on a socket from a terminal; it asks for the password. In a checkout, <code>gatehouse</code> is <code>node dist/src/cli/main.js</code>:`,
  socket: "Point a client at this address:",
  token: html`Make a long-lived token for a dashboard, on the server. If the gateway runs with <code>--config</code>, <code>--data</code> or <code>--store</code>, give this command the same:`,
};
type Texts = typeof english;

const german: Texts = {
  title: "Gatehouse einrichten",
  intro: "Legen Sie den Besitzer an: die Person, die hier alles darf. Das geht ein einziges Mal.",
  needsScript: html`Diese Seite braucht JavaScript. Ohne das hilft auf dem Server <code>gatehouse users add NAME --username NAME --owner</code>.`,
  done: "Fertig",
  owner: (name) => html`${name} besitzt jetzt dieses Gateway und ist auf dieser Seite angemeldet.`,
  next: "Wie es weitergeht:",
  login: html`Melden Sie sich in einem Terminal an; das Passwort wird erfragt. In einem Checkout ist <code>gatehouse</code> <code>node dist/src/cli/main.js</code>:`,
  socket: "Geben Sie einem Client diese Adresse:",
  token: html`Erzeugen Sie auf dem Server ein langlebiges Token für ein Dashboard. Wenn das Gateway mit <code>--config</code>, <code>--data</code> oder <code>--store</code> läuft, geben Sie das auch hier an:`,
};

const texts: Readonly<Record<Language, Texts>> = { en: english, de: german };

/** Where the owner is created. It says nothing of its request: the script asks the gateway, by the login element. */
export function setupPage(context: PageContext): HttpResponse {
  const words = texts[context.language];
  return htmlPage(context, {
    title: words.title,
    policy: elementPagePolicy,
    scripts: ["login-element.js", "setup.js"],
    body: html`      <p id="intro">${words.intro}</p>
      <noscript><p>${words.needsScript}</p></noscript>
      <div id="place"></div>
      <section id="done" hidden tabindex="-1" aria-labelledby="done-title">
        <h2 id="done-title">${words.done}</h2>
        <p>${words.owner(html`<strong id="done-name"></strong>`)}</p>
        <p>${words.next}</p>
        <ol>
          <li>${words.login}<pre><code id="login-command"></code></pre></li>
          <li>${words.socket}<pre><code id="socket-address"></code></pre></li>
          <li>${words.token}<pre><code id="token-command"></code></pre></li>
        </ol>
      </section>`,
  });
}
