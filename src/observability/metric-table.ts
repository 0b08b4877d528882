/** Every metric by its name; each is also in the README of whoever watches, so names do not change lightly. */
export interface MetricRow {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
}

const row = (name: string, help: string, ...labels: string[]): MetricRow => ({
  name: `gatehouse_${name}`,
  help,
  labels,
});

export const counters = {
  upgradesRefused: row("upgrades_refused_total", "Upgrades that were answered without a socket.", "reason"),
  strangersRefused: row(
    "unauthenticated_refused_total",
    "What was refused because its address had its share of the event loop's time or of requests.",
    "work",
    "share",
  ),
  socketsOpened: row("sockets_opened_total", "Sockets that were opened.", "codec"),
  socketsClosed: row(
    "sockets_closed_total",
    "Sockets that ended, by this side's close name.",
    "close",
    "authenticated",
  ),
  authentications: row("authentications_total", "Decisions on sockets; `ok` or why not.", "result"),
  logins: row("logins_total", "Decisions on logins; `ok`, or why not.", "result"),
  commands: row("commands_total", "Answered messages.", "type", "outcome"),
  stepUps: row(
    "step_ups_total",
    "Commands that wait until their person logs in again (`required`), logins that let them run, and those that did not.",
    "result",
  ),
  httpRequests: row("http_requests_total", "Answered HTTP requests.", "method", "route", "status"),
  tokens: row("token_requests_total", "Decisions at the token endpoint.", "grant", "result"),
  revocations: row("revocations_total", "Cut-offs that this node applied.", "kind", "cause"),
  socketsCut: row("sockets_cut_total", "Sockets that a cut-off closed here."),
  lapses: row("suspensions_total", "Times that sockets were suspended: what was revoked was not known."),
  socketsReviewed: row(
    "sockets_reviewed_total",
    "Sockets that were looked at again after a suspension.",
    "result",
  ),
  clockDoubts: row(
    "clock_doubts_total",
    "Times that this machine's clock, the store's and the time that was known before disagreed.",
  ),
  logEntriesRefused: row(
    "revocation_log_entries_refused_total",
    "Entries of the revocation log without a MAC of this installation.",
  ),
  logBreaks: row("revocation_log_breaks_total", "Times that the log had lost or skipped entries.", "break"),
  leaseLapses: row("revocation_lease_lapses_total", "Times that the revocation lease ended."),
  revocationsReasserted: row(
    "revocations_reasserted_total",
    "Revocations that were written again after the store had lost writes.",
  ),
  topicMessagesPublished: row(
    "topic_messages_published_total",
    "Messages and events that were published here.",
  ),
  topicMessagesDelivered: row(
    "topic_messages_delivered_total",
    "Messages and events that were handed to sockets.",
  ),
  topicMessagesDropped: row(
    "topic_messages_dropped_total",
    "Messages that did not reach a subscription: its client does not keep up (`lost`), or wants only the newest (`conflated`).",
    "why",
  ),
  topicGaps: row("topic_gaps_total", "Times that a client was told that it has lost messages."),
  topicPermissionsLost: row(
    "topic_subscriptions_ended_total",
    "Subscriptions that ended because their user may not read them any more.",
  ),
  storeErrors: row("store_errors_total", "Store calls that failed.", "operation"),
  forwardingIgnored: row(
    "forwarding_ignored_total",
    "Requests with forwarding headers that were not consistentRead.",
  ),
  defects: row("defects_total", "Failures that nobody foresaw.", "where"),
} as const satisfies Record<string, MetricRow>;

export const histograms = {
  authenticationSeconds: row("authentication_seconds", "From the open of a socket to `auth_ok`."),
  httpSeconds: row("http_request_seconds", "Time to answer an HTTP request.", "route"),
  storeSeconds: row("store_call_seconds", "Time of one store call.", "operation"),
} as const satisfies Record<string, MetricRow>;

export const gauges = {
  sockets: row("sockets", "Open sockets."),
  authenticatedSockets: row("sockets_authenticated", "Open sockets that are authenticated."),
  suspendedSockets: row("sockets_suspended", "Open sockets that are suspended."),
  topicSubscriptions: row("topic_subscriptions", "Subscriptions to topics and events."),
  storeUp: row("store_up", "1 when the last health check reached the store."),
  feedFollowing: row("revocation_feed_following", "1 while the revocation log is followed in step."),
  clockDoubted: row("clock_doubted", "1 while clocks disagree: then no session ends by its time."),
  leaseAgeSeconds: row(
    "revocation_lease_age_seconds",
    "Age of what is known of revocations; 3 s is the most on which anybody is served.",
  ),
  passwordsWaiting: row("passwords_waiting", "Passwords that wait for a thread."),
  residentBytes: row("resident_memory_bytes", "Resident memory of the process."),
  cpuSeconds: row("cpu_seconds", "CPU time of the process, user and system."),
  loopDelaySeconds: row(
    "event_loop_delay_p99_seconds",
    "99th percentile of the event loop's delay since the last read.",
  ),
} as const satisfies Record<string, MetricRow>;

/** Seconds: from a look-up in memory to a store that times out. */
export const buckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10] as const;
