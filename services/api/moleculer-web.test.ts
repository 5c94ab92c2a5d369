import { expect, test } from "@jest/globals";
import ApiService from "moleculer-web";
import api from "./api.service.ts";

/** Called by moleculer-web if they exist. */
const HOOKS = ["authenticate", "authorize"];

/** Fails when an upgrade of moleculer-web renames a method or action that the gateway replaces. */
test("the gateway overrides only methods and actions that moleculer-web has", () => {
	const { methods, actions } = ApiService as { methods: object; actions: object };
	const overridden = Object.keys(api.methods!).filter((name) => !HOOKS.includes(name));
	expect(Object.keys(methods)).toEqual(expect.arrayContaining(overridden));
	expect(Object.keys(actions)).toEqual(expect.arrayContaining(Object.keys(api.actions!)));
});
