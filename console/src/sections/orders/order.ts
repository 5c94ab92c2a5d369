import type { ResultOf } from "../../../../clients/typescript/src/index.ts";

export type Order = ResultOf<"orders.get">;
