/** What becomes of sockets while the view is not trusted; see the option `revocation.policy`. */
export type RevocationPolicy = "suspend" | "close" | "serve_until_exp";
