/*
 * The barrier lease (src/auth/revocation/lease.ts) through one isolation of the primary and a failover that may lose writes.
 *
 * A tick is a heartbeat, 0.75 s. Nodes follow the log of the primary that they talk to; each writes heartbeats to it and
 * trusts its view for LEASE ticks from the moment at which it *sent* the one that it read back. The old primary is 0, the
 * one that is promoted is 1. A step of a process may come arbitrarily late, so a stopped process and a slow network need no
 * step of their own. Times are ages, in ticks, which stop growing where a larger one means nothing more.
 *
 * Checked: nobody is served more than BOUND ticks after a revoke was acknowledged, unless the store lost it; and what the store
 * lost is in force again once a node that had applied it has resynchronised. Each protection can be switched off (-D...), and
 * then one of the two must fail: revocation.test.ts runs them all.
 */

#ifndef NODES
#define NODES 1
#endif
#ifndef LEASE
#define LEASE    4   /* 3 s */
#endif
#define ACCEPTS  4   /* min-replicas-max-lag 2 s and its check: an isolated primary takes writes for so long, at most */
#define PROMOTED 1   /* down-after-milliseconds, at least 1 s: no other is promoted before */
#ifndef BOUND
#define BOUND    (LEASE + ACCEPTS - PROMOTED - 1) /* whole ticks that have passed: less than 7, 5.25 s */
#endif

/* From the isolation on, and from the acknowledged commit on. */
bool isolated = false, promoted = false, committed = false, quiet = false;
byte isolatedFor = 0, committedFor = 0, over = 0;

#ifdef UNBOUNDED_PRIMARY /* min-replicas-to-write 0, and no majority of Sentinels is asked */
#define TAKES(p) (p == 0 || promoted)
#else
#define TAKES(p) ((p == 0 && isolatedFor <= ACCEPTS) || (p == 1 && promoted))
#endif

/* Whether the one revocation is in a primary's log, and in what the replica has of it. */
bool logged[2];
bool replicated = false;

typedef Node {
  byte primary;
  byte age;            /* since the sending of the heartbeat that came back last */
  bool beating;        /* one is under way, sent so long ago: */
  byte sentFor;
  bool behindRevoke;   /* the revocation is before it in the log */
  bool cut;            /* this node has applied the revocation */
  bool trusted;        /* for TIMER_ONLY: what a timer found last */
}
Node node[NODES];

#define LOST (logged[0] && !replicated && promoted)
#define WITHIN(n) (node[n].age < LEASE)

inline older(ticks, most) { ticks = (ticks < most -> ticks + 1 : ticks) }

inline tick() {
  if :: isolated -> older(isolatedFor, ACCEPTS + 1) :: else fi;
  if :: committed -> older(committedFor, BOUND + 1) :: else fi;
  k = 0;
  do
  :: k < NODES ->
     older(node[k].age, LEASE);
     if :: node[k].beating -> older(node[k].sentFor, LEASE) :: else fi;
     k++
  :: else -> break
  od;
  k = 0
}

active proctype Clock() {
  byte k = 0;
  do
  :: d_step { !quiet -> tick() }
  :: quiet -> break
  od
}

/* The primary is cut off, together with whoever still talks to it; another one is promoted from what it had copied. */
active proctype Network() {
  if
  :: isolated = true
  :: goto done
  fi;
  if
  :: d_step { isolatedFor >= PROMOTED -> logged[1] = replicated; promoted = true }
  :: skip
  fi;
done:
  quiet = true
}

active proctype Replication() {
end: d_step { logged[0] && !isolated -> replicated = true }
}

/* One revoke, at any time, on whichever side takes it. */
active proctype Revoker() {
end:
  if
  :: d_step { TAKES(0) && !quiet -> logged[0] = true; committed = true }
  :: d_step { TAKES(1) && !quiet -> logged[1] = true; committed = true }
  fi
}

/* The log of the new primary lacks what was delivered: what is remembered is asserted there before the next heartbeat. */
inline meetsNewPrimary(n) {
  node[n].primary = 1;
  node[n].beating = false;
#ifndef NO_REASSERTION
  logged[1] = logged[1] || node[n].cut
#endif
}

inline serve() { assert(!committed || LOST || committedFor <= BOUND) }

active [NODES] proctype Gateway() {
  byte n = _pid % NODES;
  do
  :: quiet -> break
  /* The tail brings the revocation by itself. */
  :: d_step { logged[node[n].primary] && !node[n].cut -> node[n].cut = true }
  /* A heartbeat is written through the same path as a revocation. */
  :: d_step { !node[n].beating && TAKES(node[n].primary) ->
       node[n].beating = true; node[n].sentFor = 0; node[n].behindRevoke = logged[node[n].primary] }
  /* It is read back: everything before it has been applied. */
  :: d_step { node[n].beating ->
       node[n].beating = false;
#ifndef NO_BARRIER
       node[n].cut = node[n].cut || node[n].behindRevoke;
#endif
#ifdef RENEWED_AT_RECEIPT
       node[n].age = 0
#else
       node[n].age = node[n].sentFor
#endif
     }
  :: d_step { node[n].primary == 0 && promoted -> meetsNewPrimary(n) }
#ifdef TIMER_ONLY
  :: d_step { node[n].trusted != WITHIN(n) -> node[n].trusted = WITHIN(n) }
  :: d_step { !node[n].cut && node[n].trusted -> serve() }
#else
  /* Looked at with every frame, in or out. */
  :: d_step { !node[n].cut && WITHIN(n) -> serve() }
#endif
  od;
  /* All is healed: everybody talks to the one that was promoted. */
  if
  :: d_step { promoted -> meetsNewPrimary(n) }
  :: !promoted
  fi;
  over++
}

/* After everybody: a revocation that any node had applied is in the log from which all of them go on. */
active proctype Judge() {
  byte k;
end:
  d_step { over == NODES -> k = 0 }
  do
  :: d_step { k < NODES -> assert(!promoted || !node[k].cut || logged[1]); k++ }
  :: k >= NODES -> break
  od
}
