import type { ResultOf } from "../../../../clients/typescript/src/index.ts";

export type User = ResultOf<"users.get">;
