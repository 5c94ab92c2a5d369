import type { ServiceBroker } from "moleculer";
import type { Shape } from "./schema.ts";

/** Compiles a shape to a check of data: true, or the violations. The check fills in defaults. */
export function compileShape(
	{ validator }: ServiceBroker,
	shape: Shape,
): (data: object) => true | object[] {
	const { compile } = validator as unknown as {
		compile(shape: object): (data: object) => true | object[];
	};
	return compile.call(validator, { $$strict: true, ...shape });
}
