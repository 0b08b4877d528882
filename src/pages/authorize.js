// Takes the code back to the app. The server has checked where that is, and wrote it into the page.

const login = document.querySelector("gatehouse-login");
const parameters = new URLSearchParams(location.search);
/** Of a pushed request, which the address does not show, or of the address. */
const state = parameters.has("request_uri") ? login.getAttribute("state") : parameters.get("state");

/** Home Assistant's form of the address, and the issuer (RFC 9207). */
function addressWith(code) {
  const uri = login.getAttribute("redirect-uri");
  const joint = uri.includes("?") ? (/[?&]$/.test(uri) ? "" : "&") : "?";
  const parts = [`code=${encodeURIComponent(code)}`];
  if (state) parts.push(`state=${encodeURIComponent(state)}`);
  if (document.getElementById("store-token")?.checked) parts.push("storeToken=true");
  parts.push(`iss=${encodeURIComponent(login.dataset.issuer)}`);
  return uri + joint + parts.join("&");
}

login.addEventListener("gatehouse-code", ({ detail }) => {
  const address = addressWith(detail.code);
  // Browsers open another app only soon after a click. If it was long ago, the person clicks once more.
  const back = document.getElementById("back");
  back.querySelector("a").href = address;
  back.hidden = false;
  // This page is of no more use, so the browser's way back does not lead here.
  location.replace(address);
});
