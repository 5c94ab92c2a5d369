import { readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "@jest/globals";
import { parse } from "yaml";
import { type Checkout, makeCheckout } from "../support/checkout.ts";
import { root } from "../support/databases.ts";

let checkout: Checkout;
afterEach(() => checkout.remove());

describe("scripts/deploy.sh on one host", () => {
	const services = ["api", "orders", "users"];
	const deployed = (tag: string) => ({ api_1: tag, edge_1: tag, orders_1: tag, users_1: tag });
	const onHost = (programs = ["docker", "docker-compose"]) => {
		checkout = makeCheckout(programs, services, ["operations"]);
		return (tag: string, env = {}) => checkout.run("deploy.sh", [], { IMAGE_TAG: tag, ...env });
	};

	test.each([
		["the compose plugin", {}],
		["docker-compose", { NO_PLUGIN: "1" }],
	])("starts all services the first time and keeps its secrets, with %s", (_, env) => {
		const deploy = onHost();
		const first = deploy("v1", env);
		expect(first).toMatchObject({ code: 0, errors: "" });
		expect(first.calls.slice(0, 3)).toEqual([
			"compose build migrate",
			"compose ps -q api",
			"compose up -d --no-build",
		]);
		expect(checkout.containers()).toEqual(deployed("v1"));
		expect(statSync(join(checkout.folder, "secrets")).mode & 0o777).toBe(0o700);
		const password = checkout.read("secrets/postgres_password");
		expect(password).toMatch(/^[0-9a-f]{64}$/);
		expect(checkout.read("secrets/database_admin_url")).toBe(
			`postgres://postgres:${password}@postgres:5432/postgres`,
		);

		expect(deploy("v2", env).output).not.toContain("made secrets");
		expect(checkout.read("secrets/postgres_password")).toBe(password);
	});

	test("creates every secret of production", () => {
		onHost()("v1");
		const { secrets } = parse(readFileSync(join(root, "docker-compose.prod.yml"), "utf8"), {
			merge: true,
		});
		expect(readdirSync(join(checkout.folder, "secrets")).sort()).toEqual(
			Object.keys(secrets).sort(),
		);
	});

	test("migrates, then replaces one service at a time after its successor is healthy", () => {
		const deploy = onHost();
		deploy("v1");
		const { code, calls } = deploy("v2");
		expect(code).toBe(0);
		const steps = calls.map((call) =>
			/--scale (\w+)|^(rm \w+)|run --rm --no-deps (migrate)/.exec(call)?.slice(1).find(Boolean),
		);
		expect(steps.filter(Boolean)).toEqual([
			"migrate",
			"orders",
			"rm orders_1",
			"users",
			"rm users_1",
			"api",
			"rm api_1",
		]);
		expect(checkout.containers()).toEqual({
			api_2: "v2",
			edge_1: "v1",
			orders_2: "v2",
			users_2: "v2",
		});
	});

	test("removes a version that does not become healthy and keeps the running one", () => {
		const deploy = onHost();
		deploy("v1");
		const { code, errors } = deploy("v2", { SICK: "v2" });
		expect({ code, errors }).toEqual({
			code: 1,
			errors: "deploy: the new orders does not become healthy; the old one still runs\n",
		});
		expect(checkout.containers()).toEqual(deployed("v1"));
	});

	test.each([
		["Ctrl-C", "kill -INT $PPID", 130],
		["SIGTERM", "kill -TERM $PPID", 143],
		["a lost connection", "kill -HUP $PPID", 129],
		["a failed start", "exit 1", 1],
	])("removes the new nodes, and only those, after %s", (_, THEN, expected) => {
		const deploy = onHost();
		deploy("v1");
		const { code, calls } = deploy("v2", { AFTER: "--scale orders=2", THEN });
		expect(code).toBe(expected);
		expect(calls.filter((call) => /^(rm|stop)/.test(call))).toEqual(["rm orders_2"]);
		expect(checkout.containers()).toEqual(deployed("v1"));
	});

	test("completes the removal of the old nodes after Ctrl-C", () => {
		const deploy = onHost();
		deploy("v1");
		const { code } = deploy("v2", { AFTER: "stop orders_1", THEN: "kill -INT $PPID" });
		expect(code).toBe(130);
		const { orders_1, ...others } = deployed("v1");
		expect(checkout.containers()).toEqual({ ...others, orders_2: "v2" });
	});

	test("fails if the first version does not become healthy", () => {
		const { code, errors } = onHost()("v1", { SICK: "v1" });
		expect({ code, errors }).toMatchObject({
			code: 1,
			errors: expect.stringMatching(/^deploy: not everything becomes healthy/),
		});
	});

	test("starts the services that a version adds together, before it replaces the others", () => {
		const deploy = onHost();
		deploy("v1");
		for (const service of ["orders", "users"])
			rmSync(join(checkout.folder, `containers/${service}_1`));
		const { code, errors, calls } = deploy("v2");
		expect({ code, errors }).toEqual({ code: 0, errors: "" });
		expect(checkout.containers()).toMatchObject({ orders_1: "v2", users_1: "v2", api_2: "v2" });
		const ups = calls.filter((call) => call.startsWith("compose up") && /orders|api/.test(call));
		expect(ups).toEqual([
			"compose up -d --no-build --no-deps orders users",
			expect.stringContaining("--scale api=2 api"),
		]);
	});

	test("replaces nothing when the migration fails", () => {
		const deploy = onHost();
		deploy("v1");
		const { code, errors } = deploy("v2", { FAILS: "run --rm" });
		expect({ code, errors }).toEqual({
			code: 1,
			errors: "deploy: the migration failed; the nodes run as before\n",
		});
		expect(checkout.containers()).toEqual(deployed("v1"));
	});

	test.each([
		["Docker", [], /^deploy: docker is missing: /, "v1"],
		["compose", ["docker"], /^deploy: docker compose is missing: /, "v1"],
		[
			"a version",
			["docker", "docker-compose"],
			/deploy: this is no checkout of git: set IMAGE_TAG\n$/,
			"",
		],
	])(
		"names the missing prerequisite without %s and does nothing",
		(_, programs, complaint, tag) => {
			const { code, errors } = onHost(programs)(
				tag,
				programs.length === 1 ? { NO_PLUGIN: "1" } : {},
			);
			expect({ code, errors }).toMatchObject({ code: 1, errors: expect.stringMatching(complaint) });
			expect(checkout.containers()).toEqual({});
		},
	);
});

describe("scripts/deploy.sh on Kubernetes", () => {
	const onCluster = (programs = ["kubectl"]) => {
		checkout = makeCheckout(programs);
		return (color: string, env = {}) => checkout.run("deploy.sh", ["--color", color], env);
	};
	const live = () => /color: (\w+)/.exec(checkout.read("k8s/overlays/blue-green/switch.yaml"))![1];
	const applied = (calls: readonly string[]) =>
		calls.flatMap(
			(call) => /^kubectl apply -k k8s\/overlays\/blue-green -l (.*)/.exec(call)?.[1] ?? [],
		);
	const [shared, migration, nodes, customers] = [
		"!color,!switch",
		"color=green,app.kubernetes.io/component!=node",
		"color=green,app.kubernetes.io/component=node",
		"switch",
	];

	test("migrates, starts the color, waits for all its deployments, then switches traffic", () => {
		const { code, errors, calls } = onCluster()("green");
		expect({ code, errors }).toEqual({ code: 0, errors: "" });
		expect(applied(calls)).toEqual([shared, migration, nodes, customers]);
		const step = (text: string) => calls.findIndex((call) => call.includes(text));
		const steps = [
			step("delete job/shop-migrate-green --ignore-not-found"),
			step(migration),
			step("wait --for=condition=complete --timeout=300s job/shop-migrate-green"),
			step(nodes),
			step("rollout status --timeout=300s deployment.apps/api"),
			step("rollout status --timeout=300s deployment.apps/orders"),
			step("-l switch"),
		];
		expect(steps).toEqual(steps.toSorted((a, b) => a - b));
		expect(steps[0]).toBeGreaterThan(-1);
		expect(
			calls
				.filter((call) => !call.includes("apply"))
				.every((call) => call.startsWith("kubectl --namespace shop ")),
		).toBe(true);
		expect(step("scale")).toBe(-1);
		expect(live()).toBe("green");
	});

	test("switches forth and back", () => {
		const deploy = onCluster();
		expect(live()).toBe("blue");
		deploy("green");
		const { code } = deploy("blue");
		expect({ code, live: live() }).toEqual({ code: 0, live: "blue" });
	});

	test("scales up a color that was scaled down or has no replicas", () => {
		const deploy = onCluster();
		for (const REPLICAS of ["0", " "]) {
			const { code, calls } = deploy("green", { REPLICAS });
			const scaled = ["api", "orders"].map(
				(name) => `kubectl --namespace shop scale deployment.apps/${name} --replicas=3`,
			);
			expect({ code, scaled: calls.filter((call) => call.includes("scale")) }).toEqual({
				code: 0,
				scaled,
			});
		}
	});

	test.each([
		["the shared part is rejected", { FAILS: shared }, [shared], /^$/],
		[
			"the migration fails",
			{ FAILS: "wait --for" },
			[shared, migration],
			/the migration with green did not complete .*nothing is switched/,
		],
		[
			"a deployment does not become ready",
			{ FAILS: "status --timeout=300s deployment.apps/orders" },
			[shared, migration, nodes],
			/orders does not become ready; nothing/,
		],
		[
			"the deployments cannot be read",
			{ FAILS: "get deployments" },
			[shared, migration, nodes],
			/^$/,
		],
		[
			"there are no deployments",
			{ DEPLOYMENTS: "" },
			[shared, migration, nodes],
			/green has no deployments; nothing is switched/,
		],
		[
			"the switch is rejected",
			{ FAILS: "-l switch" },
			[shared, migration, nodes, customers],
			/customers still reach blue/,
		],
	])("keeps traffic on the current color when %s", (_, env, upTo, complaint) => {
		const { code, errors, calls } = onCluster()("green", env);
		expect({ code, applied: applied(calls), live: live() }).toEqual({
			code: 1,
			applied: upTo,
			live: "blue",
		});
		expect(errors).toMatch(complaint);
	});

	test("names the missing prerequisite without kubectl or secrets", () => {
		expect(onCluster([])("green")).toMatchObject({
			code: 1,
			errors: expect.stringMatching(/^deploy: kubectl is missing: /),
			calls: [""],
		});
		checkout.remove();
		const deploy = onCluster();
		rmSync(join(checkout.folder, "k8s/overlays/blue-green/secrets.env"));
		expect(deploy("green")).toMatchObject({
			code: 1,
			errors: expect.stringContaining("secrets.env is missing: copy"),
			calls: [""],
		});
	});

	test.each([
		[["--color"]],
		[["--color", "red"]],
		[["--color=green"]],
		[["green"]],
		[["--colour", "green"]],
	])("rejects %j", (args) => {
		checkout = makeCheckout(["kubectl", "docker", "docker-compose"]);
		const reason = `unknown arguments "${args.join(" ")}"`;
		const message = `deploy: ${reason}; "scripts/deploy.sh --help" lists them\n`;
		expect(checkout.run("deploy.sh", args)).toMatchObject({
			code: 1,
			errors: message,
			calls: [""],
		});
	});
});
