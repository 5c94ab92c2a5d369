import type { ActionContract } from "../../../lib/contracts/contract.ts";

/** Contract of an action with a route, as the registry transmits it. */
export type Published = ActionContract & { readonly rest: string; readonly name: string };
