import type { ServiceSchema } from "moleculer";

export default { name: "carts" } satisfies ServiceSchema;
