import { devicePage } from "../device-page.ts";
import type { Endpoint } from "../exchange.ts";
import { pageContext } from "../html-page.ts";

/** Longer texts are no code: they are not shown. */
const longestCode = 16;

/** `GET /device`: the page on which a person types the code of a device. */
export function deviceEndpoint({ publicUrl }: { readonly publicUrl: () => string }): Endpoint {
  return ({ request }) => {
    const given = request.url.searchParams.get("user_code") ?? "";
    const userCode = given.length <= longestCode ? given : "";
    return devicePage(pageContext(request), { publicUrl: publicUrl(), userCode });
  };
}
