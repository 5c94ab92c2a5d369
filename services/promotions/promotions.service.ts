import type { ServiceSchema } from "moleculer";

export default { name: "promotions" } satisfies ServiceSchema;
