import path from "node:path";
import { pathToFileURL } from "node:url";
import type { TSchema } from "typebox";
import { Compile } from "typebox/compile";

import type { LoginProvider } from "../provider.ts";
import type { ProviderTools } from "../provider-type.ts";
import { guardedProvider, type ModuleEntry, moduleFault, moduleType } from "./provider.ts";
import { type ModuleProvider, moduleTools, type ProviderModule } from "./provider-module.ts";

/** Makes the provider of an entry whose module was loaded and whose options fit. Throws an Error that names the module. */
export type CreateModuleProvider = (tools: Pick<ProviderTools, "credentials" | "users">) => LoginProvider;

/** Loads a module and checks the options. Rejects with an Error that names the module and says what is wrong. */
export async function loadProviderModule(
  entry: ModuleEntry,
  options: Readonly<Record<string, unknown>> | undefined,
): Promise<CreateModuleProvider> {
  const fault = (what: string, cause?: unknown) => moduleFault(entry.path, what, cause);
  const loaded = await import(pathToFileURL(path.resolve(entry.path)).href).catch((cause: unknown) => {
    throw fault("cannot be loaded", cause);
  });
  const provider = moduleIn(loaded);
  if (provider === undefined) throw fault("its default export is not {options?, create}");
  const wrong = optionsProblem(provider.options, options, fault);
  if (wrong !== undefined) throw fault(wrong);
  return (tools) => {
    let made: unknown;
    try {
      made = provider.create(structuredClone(options), moduleTools(tools, moduleType, entry.id));
    } catch (cause) {
      throw fault("create threw", cause);
    }
    if (!isProvider(made)) throw fault("create gave no object with begin and advance");
    return guardedProvider(entry, made);
  };
}

function moduleIn(loaded: unknown): ProviderModule | undefined {
  const found = isObject(loaded) ? loaded.default : undefined;
  if (!isObject(found) || typeof found.create !== "function") return undefined;
  if (found.options !== undefined && !isObject(found.options)) return undefined;
  return found as unknown as ProviderModule;
}

/** What is wrong with the options. Holds the names of options, never their values. */
function optionsProblem(
  schema: ProviderModule["options"],
  options: unknown,
  fault: (what: string, cause: unknown) => Error,
): string | undefined {
  if (schema === undefined) return options === undefined ? undefined : "takes no options";
  try {
    const [error] = Compile(schema as TSchema).Errors(options ?? {});
    return (
      error &&
      `has wrong options: ${error.instancePath.slice(1).replaceAll("/", ".") || "they"} ${error.message}`
    );
  } catch (cause) {
    throw fault("its schema of options cannot be used", cause);
  }
}

function isProvider(made: unknown): made is ModuleProvider {
  if (!isObject(made) || typeof made.begin !== "function" || typeof made.advance !== "function") return false;
  const { upgradeHeaders = [] } = made;
  const areNames = (list: readonly unknown[]) =>
    list.every((name) => typeof name === "string" && /^[a-z0-9-]{1,64}$/.test(name));
  const functions = ["admits", "isOffered", "guessedName", "warnings"];
  return (
    Array.isArray(upgradeHeaders) &&
    areNames(upgradeHeaders) &&
    functions.every((name) => made[name] === undefined || typeof made[name] === "function")
  );
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
