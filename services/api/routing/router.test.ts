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

test("a fixed segment wins over a parameter, whichever was added first", () => {
	expect(router().find("GET", "/users/me")).toEqual({ target: "GET /users/me", params: {} });
	expect(router().find("GET", "/users/you")).toEqual({
		target: "GET /users/:id",
		params: { id: "you" },
	});
});

test("a fixed segment that leads nowhere further is taken for a parameter", () => {
	expect(router().find("POST", "/users/me/password")).toEqual({
		target: "POST /users/:id/password",
		params: { id: "me" },
	});
});

test("parameters come by their names, decoded, and may hold an encoded slash", () => {
	expect(router().find("GET", "/products/a%2Fb/reviews/%C3%A9%20x").params).toEqual({
		product_id: "a/b",
		id: "é x",
	});
});

test("HEAD finds what GET finds", () => {
	expect(router().find("HEAD", "/users").target).toBe("GET /users");
});

test("a known path with another method says which ones it takes", () => {
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
])("%p leads nowhere", (path) => {
	expect(() => router().find("GET", path)).toThrow(
		expect.objectContaining({ type: "ROUTE_NOT_FOUND", code: 404 }),
	);
});

test("methods that every object has are no methods of a path", () => {
	for (const method of ["constructor", "__proto__", "toString", "get"]) {
		expect(() => router().find(method, "/users")).toThrow(
			expect.objectContaining({ type: "METHOD_NOT_ALLOWED" }),
		);
	}
});

test("the root is a path like others", () => {
	expect(router().find("GET", "/").target).toBe("GET /");
});

test("what was there first keeps its place", () => {
	const made = router();
	expect(made.add("GET", "/users/:user", "another")).toBe(false);
	expect(made.find("GET", "/users/1")).toEqual({ target: "GET /users/:id", params: { id: "1" } });
});
