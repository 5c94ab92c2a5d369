import type { ServiceSchema } from "moleculer";

export default { name: "tax" } satisfies ServiceSchema;
