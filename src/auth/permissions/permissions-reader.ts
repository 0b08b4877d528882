import type { Principal, User } from "../model.ts";
import type { Revocation } from "../revocation/revocation.ts";
import type { SecurityEvent } from "../revocation/security-events.ts";
import { type CallerPermissions, noPermissions, type Standing, standingOf } from "./caller-permissions.ts";
import type { Permissions, PermissionsReader, PermissionsWatch } from "./permissions.ts";

export interface PermissionsReaderOptions {
  readonly users: { current(userId: string): Promise<User | undefined> };
  readonly callers: CallerPermissions;
  readonly revocation: Pick<Revocation, "onSecurityEvent" | "onRecovery">;
  /** Called if the user of a watch could not be read again. They may do nothing until they could. */
  readonly onFault?: ((error: unknown) => void) | undefined;
}

/** How long after a failure the user is read again, ms. */
const retryMs = 1_000;

/** Where one user stands, and who wants to know. All watches of a user share one. */
interface Person {
  /** Undefined: gone, or not known. */
  standing: Standing | undefined;
  /** The read under way. */
  reading: Promise<void> | undefined;
  isKnown: boolean;
  /** Rises with every event of the user, so that a read that began before it does not count. */
  events: number;
  readonly watches: Set<Watch>;
}

interface Watch extends PermissionsWatch {
  update(): void;
}

export function createPermissionsReader(options: PermissionsReaderOptions): PermissionsReader {
  const { users, callers, revocation } = options;
  const people = new Map<string, Person>();

  /** Repeats until nothing has happened to the user meanwhile. */
  const load = async (userId: string, person: Person) => {
    for (;;) {
      const before = person.events;
      const user = await users.current(userId);
      if (person.events !== before) continue;
      person.standing = standingOf(user);
      person.isKnown = true;
      return;
    }
  };
  const read = (userId: string, person: Person): Promise<void> => {
    person.reading ??= load(userId, person).finally(() => ended(person));
    return person.reading;
  };
  const readAgain = (userId: string, person: Person) => {
    read(userId, person).then(
      () => updateAll(person),
      (error: unknown) => {
        options.onFault?.(error);
        setTimeout(() => {
          if (person.watches.size > 0) readAgain(userId, person);
        }, retryMs).unref();
      },
    );
  };
  /** Nobody knows what the user may do now, so they may do nothing until their record was read. */
  const forget = (userId: string, person: Person) => {
    person.isKnown = false;
    person.standing = undefined;
    updateAll(person);
    readAgain(userId, person);
  };
  const changed = (userId: string, change: (person: Person) => void) => {
    const person = people.get(userId);
    if (person === undefined) return;
    person.events += 1;
    change(person);
  };

  revocation.onSecurityEvent((event) => {
    if (event.kind === "group_changed") groupChanged(event.group.id, people);
    // The table has applied it before. Only those change whose rules ask for devices or areas.
    else if (event.kind === "resources_changed") for (const person of people.values()) updateAll(person);
    else applyEvent(event, changed, forget);
    return 0;
  });

  // An entry may have been missed. Nobody is served before all of them were read again.
  revocation.onRecovery(async () => {
    const readOne = async ([userId, person]: readonly [string, Person]) => {
      person.events += 1;
      await read(userId, person);
      updateAll(person);
    };
    await Promise.all([...people].map(readOne));
  });

  return {
    async of({ userId, ...token }, user) {
      return callers.of(standingOf(user ?? (await users.current(userId))), token);
    },
    async watch(principal, onChange) {
      const { userId } = principal;
      const person = people.get(userId) ?? newPerson();
      people.set(userId, person);
      const watch = createWatch(person, principal, callers, onChange, () => {
        person.watches.delete(watch);
        if (person.watches.size === 0 && people.get(userId) === person) people.delete(userId);
      });
      person.watches.add(watch);
      try {
        if (!person.isKnown) await read(userId, person);
      } catch (error) {
        watch.end();
        throw error;
      }
      watch.begin();
      return watch;
    },
  };
}

/** The table has applied it before. Permissions that stay the same stay the same object. */
function groupChanged(groupId: string, people: ReadonlyMap<string, Person>): void {
  for (const person of people.values()) if (person.standing?.groupIds.includes(groupId)) updateAll(person);
}

type Changed = (userId: string, change: (person: Person) => void) => void;

function applyEvent(
  event: SecurityEvent,
  changed: Changed,
  forget: (userId: string, person: Person) => void,
): void {
  switch (event.kind) {
    case "user_changed":
      changed(event.userId, (person) => {
        const { change, rights } = event;
        if (change === "removed") settle(person, undefined);
        else if (rights !== undefined && person.isKnown)
          settle(person, standingOf({ ...rights, isOwner: person.standing?.isOwner ?? false }));
        else if (!event.keepsRights) forget(event.userId, person);
      });
      return;
    case "owner_changed":
      changed(event.previousId, (person) => setOwner(person, false));
      changed(event.userId, (person) => setOwner(person, true));
      return;
    default:
  }
}

/** Of a user who is not known the record says it. */
function setOwner(person: Person, isOwner: boolean): void {
  if (person.standing !== undefined) settle(person, { ...person.standing, isOwner });
}

function settle(person: Person, standing: Standing | undefined): void {
  person.standing = standing;
  updateAll(person);
}

function updateAll({ watches }: Person): void {
  for (const watch of [...watches]) watch.update();
}

function ended(person: Person): void {
  person.reading = undefined;
}

function newPerson(): Person {
  return { standing: undefined, reading: undefined, isKnown: false, events: 0, watches: new Set() };
}

function createWatch(
  person: Person,
  principal: Principal,
  callers: CallerPermissions,
  onChange: () => void,
  end: () => void,
): Watch & { begin(): void } {
  let permissions: Permissions = noPermissions;
  // Until the watch is handed out nobody is called.
  let isBegun = false;
  const look = () => {
    const next = callers.of(person.standing, principal);
    const isOther = next !== permissions;
    permissions = next;
    return isOther;
  };
  return {
    get permissions() {
      return permissions;
    },
    begin() {
      look();
      isBegun = true;
    },
    update() {
      if (isBegun && look()) onChange();
    },
    end,
  };
}
