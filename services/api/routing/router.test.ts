import { expect, test } from "@jest/globals";
import { Router } from "./router.ts";

function router() {
	const made = new Router<string>();
	for (const route of [
		"GET /users",
		"POST /users",
		"GET /users/:id",
		"PATCH /users/:id",
		"POST /users/:id/password",
		"GET /users/me",
		"GET /products/:product_id/reviews/:id",
		"GET /",
	]) {
		const [method, path] = route.split(" ") as [string, string];
		made.add(method, path, route);
	}
	return made;
}

test("prefers a static segment to a parameter, whichever was added first", () => {
	expect(router().find("GET", "/users/me")).toEqual({ target: "GET /users/me", params: {} });
	expect(router().find("GET", "/users/you")).toEqual({
		target: "GET /users/:id",
		params: { id: "you" },
	});
});

test("falls back to a parameter if a static segment has no matching continuation", () => {
	expect(router().find("POST", "/users/me/password")).toEqual({
		target: "POST /users/:id/password",
		params: { id: "me" },
	});
});

test("returns decoded parameters by name, also with an encoded slash", () => {
	expect(router().find("GET", "/products/a%2Fb/reviews/%C3%A9%20x").params).toEqual({
		product_id: "a/b",
		id: "é x",
	});
});

test("finds the target of GET for HEAD", () => {
	expect(router().find("HEAD", "/users").target).toBe("GET /users");
});

test("names the allowed methods of a path when the method is not allowed", () => {
	const refusal = {
		type: "METHOD_NOT_ALLOWED",
		data: { allow: ["GET", "HEAD", "POST", "OPTIONS"] },
	};
	expect(() => router().find("DELETE", "/users")).toThrow(expect.objectContaining(refusal));
	expect(() => router().find("PATCH", "/users/me")).toThrow(
		expect.objectContaining({ data: { allow: ["GET", "HEAD", "OPTIONS"] } }),
	);
	expect(router().allow("/users/x")).toEqual(["GET", "HEAD", "PATCH", "OPTIONS"]);
});

test.each([
	"",
	"*",
	"/nothing",
	"/users/",
	"/users//",
	"/users//password",
	"//users",
	"/users/a/b",
	"/users/%zz",
	"/users/%",
	"/users/%ff",
	"/products",
	"/products/1",
	"/__proto__",
	"/constructor/prototype",
	"http://elsewhere/users",
])("rejects %p as an unknown path", (path) => {
	expect(() => router().find("GET", path)).toThrow(
		expect.objectContaining({ type: "ROUTE_NOT_FOUND", code: 404 }),
	);
});

test("does not accept names of Object.prototype as methods", () => {
	for (const method of ["constructor", "__proto__", "toString", "get"]) {
		expect(() => router().find(method, "/users")).toThrow(
			expect.objectContaining({ type: "METHOD_NOT_ALLOWED" }),
		);
	}
});

test("finds the target of the root path", () => {
	expect(router().find("GET", "/").target).toBe("GET /");
});

test("keeps the first of two targets with the same method and path", () => {
	const made = router();
	expect(made.add("GET", "/users/:user", "another")).toBe(false);
	expect(made.find("GET", "/users/1")).toEqual({ target: "GET /users/:id", params: { id: "1" } });
});
