import { expect, test } from "@jest/globals";
import { contract } from "./contract.ts";

const id = { type: "uuid" } as const;

test("a contract and the rules that it shares with others cannot be changed", () => {
	const { actions } = contract({
		name: "letters",
		actions: { get: { params: { id }, returns: { type: "object", props: { id } } } },
	});
	expect(() => Object.assign(actions.get.params.id, { nullable: false })).toThrow(TypeError);
	expect(() => Object.assign(actions.get.returns.props.id, { optional: true })).toThrow(TypeError);
	expect(() => Object.assign(actions, { list: actions.get })).toThrow(TypeError);
	expect(id).toEqual({ type: "uuid" });
});
