/** Every text of the element. `{name}` is filled in by `fill`. */
const english = {
  title: "Log in",
  titleWith: "Log in with {provider}",
  loading: "Connecting…",
  choose: "How do you want to log in?",
  submit: "Log in",
  next: "Continue",
  working: "One moment…",
  proving: "Your password is checked without being sent",
  waitSeconds: "Wait {seconds} s",
  otherWay: "Log in another way",
  again: "Start again",
  tryNow: "Try now",
  retrying: "Trying again in {seconds} s.",
  external: "Log in at {provider}. Then this page goes on by itself.",
  open: "Open {provider}",
  newTab: "opens a new tab",
  codeToCompare: "Go on there only if you see this code:",
  approval: "Somebody has to let you in first. Then this page goes on by itself.",
  approvalCode: "Tell them this code, so that they know that it is you:",
  progress: "Something else has to happen first. Then this page goes on by itself.",
  confirm: "You are known here already. Go on to {host}?",
  confirmYes: "Go on to {host}",
  setup: "This gateway has no owner yet. It has to be set up first.",
  setupTitle: "Create the owner",
  stepUpTitle: "Log in again",
  createOwner: "Create the owner",
  noProviders: "You cannot log in from here.",
  factorChoice: "Which second factor do you want to use?",
  factorCode: "Enter a code: {factor}.",
  factorSetupChoice: "You need a second factor. Which one do you want to set up?",
  factorSetup:
    "You need a second factor. Scan this with an authenticator app, then enter the code that the app shows.",
  factorTarget: "You need a second factor. Where do you want to get codes?",
  qrCode: "QR code for the authenticator app",
  factorSecret: "Or give the app this key:",
  factorLink: "Open the authenticator app on this device",
  passkey: "Confirm with your passkey or security key.",
  passkeySetup: "You need a second factor. Set up a passkey or security key for this.",
  usePasskey: "Ask the browser for it",
  recovery:
    "Keep these codes in a safe place. Each lets you in once if you lose your second factor. They are not shown again.",
  recoveryKept: "I have kept them",
  done: "You are logged in.",
  missing: "Fill this in.",
  notANumber: "Enter a whole number.",
  shortPassword: "Use at least {count} characters.",
  optional: "optional",
  fields: {
    username: "User name",
    password: "Password",
    new_password: "New password",
    new_password_again: "New password, again",
    setup_code: "Set-up code",
    user: "User",
    name: "Name",
    code: "Code",
    pin: "PIN",
    multi_factor_auth_module: "Second factor",
    target: "Where to",
  },
  hints: {
    setup_code: "The gateway printed a link that ends with it when it started.",
  },
  problems: {
    invalid_auth: "That was not accepted.",
    wrong_password: "User name or password is wrong.",
    invalid_code: "The code is wrong.",
    invalid_target: "No code can be sent there.",
    invalid_passkey: "This key was not accepted.",
    passkey_failed: "The browser gave no key. Try again.",
    passkey_not_here: "Browsers give this page no key, because of its address. Choose another way.",
    rate_limited: "Too many tries. Wait a little, then try again.",
    overloaded: "The gateway is busy. Try again in a moment.",
    unavailable: "The gateway cannot answer at the moment. Try again soon.",
    cannot_connect: "The gateway cannot be reached.",
    connection_lost: "The connection was lost. Try again.",
    call_timeout: "The gateway did not answer in time. Try again.",
    invalid_client: "The app that sent you here is not set up correctly.",
    invalid_redirect_uri: "The app that sent you here is not set up correctly.",
    provider_unavailable: "This way to log in does not work at the moment.",
    invalid_username: "This cannot be a user name.",
    invalid_password: "Choose a longer password, which is not well known and not the user name.",
    passwords_differ: "The two passwords differ.",
    invalid_setup_code: "That is not the set-up code.",
    server_not_trusted:
      "This gateway could not prove that it is the right one. Your password was not sent. Tell whoever runs it.",
    proof_failed: "Your password could not be checked on this device.",
    not_supported: "This gateway has no logins with a password, so an owner cannot be created here.",
    other: "That did not work ({code}).",
  },
  reasons: {
    login_expired: "That took too long.",
    too_many_retry: "Too many wrong answers.",
    not_allowed: "You may not log in here.",
    cancelled: "The login was cancelled.",
    ended_elsewhere: "This login was ended somewhere else.",
    approvals_full: "Too many people are waiting already. Try again later.",
    not_approved: "You were not let in.",
    too_many_messages: "Too many codes were sent. Try again later.",
    not_enrolled: "This second factor was removed.",
    second_factor_required: "You need a second factor for this. Set one up first.",
    identity_missing: "Your identity did not arrive. Ask whoever runs this gateway.",
    identity_invalid: "Your identity could not be read. Ask whoever runs this gateway.",
    refused_by_person: "You refused the login.",
    provider_refused: "The login was refused there.",
    provider_error: "The login did not work there.",
    provider_unavailable: "This way to log in does not work at the moment.",
    downgrade_detected: "Somebody interferes with your connection. The login was stopped.",
    onboarding_done: "This gateway has an owner already. There is nothing to set up.",
    other: "The login ended ({code}).",
  },
};

/** English has every text; its keys are those of each language. */
export type Texts = typeof english;

const german: Texts = {
  title: "Anmelden",
  titleWith: "Anmelden mit {provider}",
  loading: "Verbindung wird aufgebaut…",
  choose: "Wie möchten Sie sich anmelden?",
  submit: "Anmelden",
  next: "Weiter",
  working: "Einen Moment…",
  proving: "Ihr Passwort wird geprüft, ohne es zu senden",
  waitSeconds: "Noch {seconds} s",
  otherWay: "Anders anmelden",
  again: "Neu beginnen",
  tryNow: "Jetzt versuchen",
  retrying: "Neuer Versuch in {seconds} s.",
  external: "Melden Sie sich bei {provider} an. Danach geht es hier von selbst weiter.",
  open: "{provider} öffnen",
  newTab: "öffnet einen neuen Tab",
  codeToCompare: "Machen Sie dort nur weiter, wenn Sie diesen Code sehen:",
  approval: "Jemand muss Sie erst zulassen. Danach geht es hier von selbst weiter.",
  approvalCode: "Nennen Sie dabei diesen Code, damit klar ist, dass Sie es sind:",
  progress: "Zuerst muss noch etwas anderes geschehen. Danach geht es hier von selbst weiter.",
  confirm: "Sie sind hier schon bekannt. Weiter zu {host}?",
  confirmYes: "Weiter zu {host}",
  setup: "Dieses Gateway hat noch keinen Besitzer. Es muss zuerst eingerichtet werden.",
  setupTitle: "Besitzer anlegen",
  stepUpTitle: "Noch einmal anmelden",
  createOwner: "Besitzer anlegen",
  noProviders: "Von hier aus können Sie sich nicht anmelden.",
  factorChoice: "Welchen zweiten Faktor möchten Sie verwenden?",
  factorCode: "Geben Sie einen Code ein: {factor}.",
  factorSetupChoice: "Sie brauchen einen zweiten Faktor. Welchen möchten Sie einrichten?",
  factorSetup:
    "Sie brauchen einen zweiten Faktor. Scannen Sie dies mit einer Authenticator-App und geben Sie den Code ein, den sie anzeigt.",
  factorTarget: "Sie brauchen einen zweiten Faktor. Wohin sollen Codes geschickt werden?",
  qrCode: "QR-Code für die Authenticator-App",
  factorSecret: "Oder geben Sie der App diesen Schlüssel:",
  factorLink: "Authenticator-App auf diesem Gerät öffnen",
  passkey: "Bestätigen Sie mit Ihrem Passkey oder Sicherheitsschlüssel.",
  passkeySetup:
    "Sie brauchen einen zweiten Faktor. Richten Sie dafür einen Passkey oder Sicherheitsschlüssel ein.",
  usePasskey: "Den Browser danach fragen",
  recovery:
    "Bewahren Sie diese Codes sicher auf. Mit jedem kommen Sie einmal hinein, wenn Sie den zweiten Faktor verlieren. Sie werden nicht noch einmal angezeigt.",
  recoveryKept: "Ich habe sie aufbewahrt",
  done: "Sie sind angemeldet.",
  missing: "Bitte ausfüllen.",
  notANumber: "Bitte eine ganze Zahl eingeben.",
  shortPassword: "Verwenden Sie mindestens {count} Zeichen.",
  optional: "freiwillig",
  fields: {
    username: "Benutzername",
    password: "Passwort",
    new_password: "Neues Passwort",
    new_password_again: "Neues Passwort, noch einmal",
    setup_code: "Einrichtungscode",
    user: "Benutzer",
    name: "Name",
    code: "Code",
    pin: "PIN",
    multi_factor_auth_module: "Zweiter Faktor",
    target: "Wohin",
  },
  hints: {
    setup_code: "Das Gateway hat beim Start einen Link ausgegeben, der damit endet.",
  },
  problems: {
    invalid_auth: "Das wurde nicht angenommen.",
    wrong_password: "Benutzername oder Passwort ist falsch.",
    invalid_code: "Der Code ist falsch.",
    invalid_target: "Dorthin kann kein Code geschickt werden.",
    invalid_passkey: "Dieser Schlüssel wurde nicht angenommen.",
    passkey_failed: "Der Browser hat keinen Schlüssel geliefert. Versuchen Sie es noch einmal.",
    passkey_not_here:
      "Browser geben dieser Seite wegen ihrer Adresse keinen Schlüssel. Wählen Sie einen anderen Weg.",
    rate_limited: "Zu viele Versuche. Warten Sie ein wenig und versuchen Sie es dann noch einmal.",
    overloaded: "Das Gateway ist ausgelastet. Versuchen Sie es gleich noch einmal.",
    unavailable: "Das Gateway kann gerade nicht antworten. Versuchen Sie es bald noch einmal.",
    cannot_connect: "Das Gateway ist nicht erreichbar.",
    connection_lost: "Die Verbindung ist abgebrochen. Versuchen Sie es noch einmal.",
    call_timeout: "Das Gateway hat nicht rechtzeitig geantwortet. Versuchen Sie es noch einmal.",
    invalid_client: "Die App, von der Sie kommen, ist nicht richtig eingerichtet.",
    invalid_redirect_uri: "Die App, von der Sie kommen, ist nicht richtig eingerichtet.",
    provider_unavailable: "Diese Anmeldung funktioniert gerade nicht.",
    invalid_username: "Das kann kein Benutzername sein.",
    invalid_password:
      "Wählen Sie ein längeres Passwort, das nicht allgemein bekannt und nicht der Benutzername ist.",
    passwords_differ: "Die beiden Passwörter sind verschieden.",
    invalid_setup_code: "Das ist nicht der Einrichtungscode.",
    server_not_trusted:
      "Dieses Gateway konnte nicht beweisen, dass es das richtige ist. Ihr Passwort wurde nicht gesendet. Sagen Sie es denen, die es betreiben.",
    proof_failed: "Ihr Passwort konnte auf diesem Gerät nicht geprüft werden.",
    not_supported:
      "Dieses Gateway kennt keine Anmeldung mit Passwort, daher kann hier kein Besitzer angelegt werden.",
    other: "Das hat nicht funktioniert ({code}).",
  },
  reasons: {
    login_expired: "Das hat zu lange gedauert.",
    too_many_retry: "Zu viele falsche Antworten.",
    not_allowed: "Sie dürfen sich hier nicht anmelden.",
    cancelled: "Die Anmeldung wurde abgebrochen.",
    ended_elsewhere: "Diese Anmeldung wurde an anderer Stelle beendet.",
    approvals_full: "Es warten schon zu viele. Versuchen Sie es später noch einmal.",
    not_approved: "Sie wurden nicht zugelassen.",
    too_many_messages: "Es wurden zu viele Codes geschickt. Versuchen Sie es später noch einmal.",
    not_enrolled: "Dieser zweite Faktor wurde entfernt.",
    second_factor_required: "Dafür brauchen Sie einen zweiten Faktor. Richten Sie zuerst einen ein.",
    identity_missing: "Ihre Identität wurde nicht übermittelt. Fragen Sie, wer dieses Gateway betreibt.",
    identity_invalid: "Ihre Identität war nicht lesbar. Fragen Sie, wer dieses Gateway betreibt.",
    refused_by_person: "Sie haben die Anmeldung abgelehnt.",
    provider_refused: "Die Anmeldung wurde dort abgelehnt.",
    provider_error: "Die Anmeldung hat dort nicht funktioniert.",
    provider_unavailable: "Diese Anmeldung funktioniert gerade nicht.",
    downgrade_detected: "Jemand greift in Ihre Verbindung ein. Die Anmeldung wurde abgebrochen.",
    onboarding_done: "Dieses Gateway hat schon einen Besitzer. Es gibt nichts einzurichten.",
    other: "Die Anmeldung ist beendet ({code}).",
  },
};

const languages = { en: english, de: german } as const;
export type Language = keyof typeof languages;

/** The language of the nearest `lang` attribute, else of the browser. English if there are no texts in it. */
export function languageOf(element: Element): Language {
  const tag = element.closest("[lang]")?.getAttribute("lang") || navigator.language;
  const primary = tag.toLowerCase().split("-")[0] ?? "";
  return Object.hasOwn(languages, primary) ? (primary as Language) : "en";
}

export function textsIn(language: Language): Texts {
  return languages[language];
}

export function fill(text: string, values: Readonly<Record<string, string | number>>): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

/** The text of a code. Codes that have none of their own are shown themselves. */
export function textOfCode(
  table: Readonly<Record<string, string>> & { other: string },
  code: string,
): string {
  const own = Object.hasOwn(table, code) && code !== "other" ? table[code] : undefined;
  return own ?? fill(table.other, { code });
}

/** What the person has to know to fill in a field, if we have a text for it. */
export function fieldHint({ hints }: Texts, name: string): string | undefined {
  const known: Readonly<Record<string, string>> = hints;
  return Object.hasOwn(known, name) ? known[name] : undefined;
}

/** `pin_code` of a provider that we have no text for is "Pin code". */
export function fieldLabel({ fields }: Texts, name: string): string {
  const known: Readonly<Record<string, string>> = fields;
  if (Object.hasOwn(known, name)) return known[name] ?? name;
  const words = name.replaceAll("_", " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}
