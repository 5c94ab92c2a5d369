import { readFileSync, statSync } from "node:fs";
import { join, matchesGlob } from "node:path";
import { expect, test } from "@jest/globals";

import { parse, parseAllDocuments } from "yaml";
import { MEMORY } from "../../lib/persistence/embedded-postgres/spawn.ts";
import { readEnv } from "../../lib/settings/env.ts";
import { hasDatabase, serviceNames } from "../../lib/settings/node.ts";
import { settings } from "../../lib/settings/settings.ts";
import { NATS_CONFIG } from "../../tools/chaos/servers.ts";
import { root } from "../support/databases.ts";
import { filesIn, importsOf } from "../support/imports.ts";

interface ComposeService {
	readonly image?: string;
	readonly build?: string;
	readonly pull_policy?: string;
	readonly command?: readonly string[];
	readonly environment?: Record<string, string>;
	readonly depends_on?: Record<string, { condition: string }>;
	readonly ports?: readonly string[];
	readonly volumes?: readonly string[];
	readonly secrets?: readonly string[];
	readonly profiles?: readonly string[];
	readonly healthcheck?: object;
	readonly restart?: string;
	readonly read_only?: boolean;
	readonly cap_drop?: readonly string[];
	readonly mem_limit?: string;
	readonly container_name?: string;
	readonly scale?: number;
}
interface Compose {
	readonly services: Record<string, ComposeService>;
	readonly secrets?: Record<string, { file: string }>;
	readonly volumes?: Record<string, null>;
}

const read = (file: string) => readFileSync(join(root, file), "utf8");
/** Replaces variables by the given value, the default, or an example if there is no default. */
const compose = (file: string, given: Readonly<Record<string, string>> = {}) =>
	parse(
		read(file).replace(
			/\$\{(\w+)(?::-([^}]*)|:\?[^}]*)?\}/g,
			(_, name: string, or?: string) => given[name] ?? or ?? "http://given.example.com",
		),
		{ merge: true },
	) as Compose;

const plain = compose("docker-compose.yml");
const production = compose("docker-compose.prod.yml");
const dockerfile = read("Dockerfile");
const domains = serviceNames(join(root, "services"));
/** Services that a container runs. */
const servicesOf = ({ environment }: ComposeService) => environment?.SERVICES?.split(",") ?? [];
/** Services outside profiles. */
const running = Object.entries(plain.services).filter(([, { profiles }]) => !profiles);
const shopServices = running.filter(([, { image }]) => image?.startsWith("moleculer-commerce:"));
const names = (found: readonly (readonly [string, unknown])[]) => found.map(([name]) => name);
const violators = (
	services: typeof running,
	satisfies: (service: ComposeService, name: string) => unknown,
) => names(services.filter(([name, service]) => !satisfies(service, name)));
/** Settings of the image. */
const inImage: Record<string, string> = Object.fromEntries(
	[...dockerfile.matchAll(/^ENV (.*)$/gm)].flatMap(([, line]) =>
		line!.split(" ").map((pair) => pair.split("=")),
	),
);

test("one container runs each service of the shop, and has the name of its first service", () => {
	expect(shopServices.flatMap(([, service]) => servicesOf(service)).sort()).toEqual(domains);
	expect(
		violators(
			shopServices,
			(service, name) => name === "migrate" || servicesOf(service)[0] === name,
		),
	).toEqual([]);
	expect(servicesOf(plain.services.api!)).toEqual(["api", "operations"]);
});

test.each([
	["docker-compose.yml", plain.services],
	["docker-compose.prod.yml on top of it", overlaid()],
])("%s contains only known and valid settings", (_, services) => {
	for (const [name] of shopServices) {
		const { environment = {} } = services[name]!;
		const unknown = Object.keys({ ...inImage, ...environment }).filter(
			(key) => !(key.replace(/_FILE$/, "") in settings),
		);
		expect(unknown).toEqual([]);
		const direct = Object.entries({ ...inImage, ...environment }).filter(
			([key]) => !key.endsWith("_FILE"),
		);
		expect(() => readEnv(Object.fromEntries(direct))).not.toThrow();
	}
});

/** Settings that the files determine, or that serve other ways of running the shop. */
const DETERMINED = [
	"CACHER",
	"COLOR",
	"DATABASE_ADMIN_URL",
	"DATABASE_URL",
	"DATA_DIR",
	// Limited by stop_grace_period.
	"DRAIN_MS",
	// There is one NATS server.
	"EVENT_REPLICAS",
	"HEALTH_PORT",
	"HOST",
	"NAMESPACE",
	"NODEID",
	"NODE_ENV",
	// By default, each service has its own.
	"OTEL_SERVICE_NAME",
	"PORT",
	"SERVICES",
	"STRIPE_API_URL",
	"TRANSPORTER",
];
test("every other setting can be given in the environment or in .env", () => {
	const given = Object.fromEntries(Object.keys(settings).map((name) => [name, `value of ${name}`]));
	const passed = new Set(
		Object.values(compose("docker-compose.yml", given).services).flatMap(({ environment = {} }) =>
			Object.keys(environment).filter((name) => environment[name] === given[name]),
		),
	);
	expect(
		Object.keys(given)
			.filter((name) => !passed.has(name))
			.sort(),
	).toEqual(DETERMINED.sort());
});

test("all containers use the image that migrate builds, and none is pulled", () => {
	expect(
		violators(shopServices, ({ pull_policy, build }, name) =>
			name === "migrate" ? build : pull_policy === "never",
		),
	).toEqual([]);
	expect(new Set(shopServices.map(([, { image }]) => image)).size).toBe(1);
});

/** Source files in the image. */
function filesInImage(): string[] {
	const ignored = read(".dockerignore")
		.split("\n")
		.filter((line) => line.startsWith("scripts/"));
	const inside = (file: string) =>
		!/(^|\/)test\/|\.test\.ts$/.test(file) &&
		!ignored.some((pattern) => matchesGlob(file, pattern));
	const folders = [...dockerfile.matchAll(/^COPY (\w+) \.\/\1$/gm)].map(([, folder]) => folder!);
	expect(folders).toContain("scripts");
	return ["moleculer.config.ts", ...folders.flatMap((folder) => filesIn(root, folder))].filter(
		(file) => inside(file),
	);
}
/** Imports of values in the image. */
const importsInImage = () =>
	filesInImage().flatMap((file) =>
		importsOf(file, read(file))
			.filter(({ typeOnly }) => !typeOnly)
			.map((found) => ({ file, ...found })),
	);

test("the image contains every file that its files import", () => {
	const files = [...filesInImage(), "package.json"];
	const missing = importsInImage()
		.filter(({ target, kind }) => kind === "file" && !files.includes(target))
		.map(({ file, target }) => `${file}: ${target}`);
	expect(missing).toEqual([]);
});

test("npm ci --omit=dev installs every package that the image imports", () => {
	const { dependencies, optionalDependencies } = JSON.parse(read("package.json")) as Record<
		string,
		object
	>;
	const installed = { ...dependencies, ...optionalDependencies };
	const missing = importsInImage()
		.filter(({ target, kind }) => kind === "package" && !(target in installed))
		.map(({ file, target }) => `${file}: ${target}`);
	expect(missing).toEqual([]);
});

test("the image contains the built console", () => {
	expect(dockerfile).toMatch(/^RUN node console\/build.js$/m);
	expect(dockerfile).toMatch(/^COPY --from=console \/app\/console\/dist \.\/console\/dist$/m);
	for (const folder of ["console", "clients/typescript/src"])
		expect(read(".dockerignore").split("\n")).toContain(`!${folder}`);
});

test("only the edge publishes a port, and no container has a fixed name", () => {
	expect(names(running.filter(([, { ports }]) => ports))).toEqual(["edge"]);
	expect(names(Object.entries(production.services).filter(([, { ports }]) => ports))).toEqual([]);
	expect(
		violators(Object.entries(plain.services), ({ container_name }) => !container_name),
	).toEqual([]);
	const local = (port: string) => port.startsWith("127.0.0.1:");
	expect(
		violators(
			Object.entries(plain.services),
			({ ports = [] }, name) => name === "edge" || ports.every(local),
		),
	).toEqual([]);
});

test("every container has a health check and starts after its dependencies", () => {
	expect(
		violators(running, ({ healthcheck }, name) => healthcheck || domains.includes(name)),
	).toEqual([]);
	expect(dockerfile).toMatch(/^HEALTHCHECK /m);
	for (const [, { depends_on = {} }] of running) {
		for (const [name, { condition }] of Object.entries(depends_on)) {
			expect(Object.keys(plain.services)).toContain(name);
			expect(condition).toBe(
				name === "migrate" ? "service_completed_successfully" : "service_healthy",
			);
		}
	}
	expect(
		violators(shopServices, ({ depends_on }, name) => name === "migrate" || depends_on?.migrate),
	).toEqual([]);
});

test("every image has a version, and every mounted file and volume exists", () => {
	const images = [
		...Object.values(plain.services).map(({ image = "" }) => image),
		...[...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, image]) => image!),
	];
	expect(
		images.filter((image) => !/:[\w.${}:-]+$/.test(image) || image.endsWith(":latest")),
	).toEqual([]);
	for (const [source = ""] of Object.values(plain.services).flatMap(({ volumes = [] }) =>
		volumes.map((volume) => volume.split(":")),
	)) {
		if (source.startsWith("./")) expect(statSync(join(root, source)).size).toBeGreaterThan(0);
		else expect(Object.keys(plain.volumes!)).toContain(source);
	}
});

test("containers of the shop are unprivileged, read-only and forward signals", () => {
	expect(
		violators(
			shopServices,
			({ read_only, cap_drop }, name) =>
				name === "migrate" || (read_only && cap_drop?.includes("ALL")),
		),
	).toEqual([]);
	expect(dockerfile).toMatch(/^USER 1000:1000$/m);
	expect(dockerfile).toMatch(/^CMD \["node", "scripts\/start.js", "--quiet"\]$/m);
	expect(inImage).toMatchObject({ NODE_ENV: "production", HOST: "0.0.0.0" });
});

test("the edge uses the gateway's port, and the image exposes its ports", () => {
	expect(read("deploy/nginx.conf")).toContain(`http://api:${inImage.PORT}`);
	expect(dockerfile).toContain(`EXPOSE ${inImage.PORT} ${inImage.HEALTH_PORT}`);
});

test("observability is an optional profile, and has limits in production", () => {
	const profile = Object.entries(plain.services).filter(([, { profiles }]) =>
		profiles?.includes("observability"),
	);
	expect(names(profile).sort()).toEqual(["grafana", "jaeger", "prometheus"]);
	expect(violators(profile, (_, name) => production.services[name]?.mem_limit)).toEqual([]);
	const { scrape_configs } = parse(read("deploy/observability/prometheus.yml"));
	const [nodes] = scrape_configs[0].dns_sd_configs;
	const containers = names(shopServices).filter((name) => name !== "migrate");
	expect(nodes.names.toSorted()).toEqual(containers.toSorted());
	expect(String(nodes.port)).toBe(inImage.HEALTH_PORT);
});

test("NATS acknowledges an event only after it is on disk", () => {
	expect(read(NATS_CONFIG)).toMatch(/^\s*sync_interval: always$/m);
});

test("Compose, Kubernetes, tests and tools share one NATS configuration", () => {
	const { command, volumes } = plain.services.nats!;
	expect(volumes).toContain(`./${NATS_CONFIG}:${command!.at(-1)}:ro`);
	const setters = filesIn(root, "deploy", "k8s").filter((file) =>
		/^\s*max_payload/m.test(read(file)),
	);
	expect(setters).toEqual([NATS_CONFIG]);
});

test("production containers have limits, restart automatically and read secrets from files", () => {
	const services = overlaid();
	const lasting = running
		.filter(([name]) => name !== "migrate")
		.map(([name]) => [name, services[name]!] as [string, ComposeService]);
	expect(
		violators(lasting, ({ mem_limit, restart }) => mem_limit && restart === "unless-stopped"),
	).toEqual([]);
	expect(
		violators(lasting, ({ scale = 1 }, name) => scale >= 2 || !domains.includes(name)),
	).toEqual([]);
	for (const [, { environment = {}, secrets = [] }] of Object.entries(services)) {
		for (const [key, path] of Object.entries(environment).filter(([key]) =>
			key.endsWith("_FILE"),
		)) {
			expect(secrets).toContain(path.replace("/run/secrets/", ""));
			expect(environment[key.replace(/_FILE$/, "")]).toBe("");
		}
		expect(secrets.filter((name) => !production.secrets?.[name])).toEqual([]);
	}
	const withDatabase = domains.filter((name) => hasDatabase(root, name));
	expect(withDatabase.filter((name) => !services[name]!.environment?.DATABASE_URL_FILE)).toEqual(
		[],
	);
	expect(
		violators(
			lasting,
			({ environment = {} }) =>
				!Object.values(environment).some((value) => /:\/\/[^/]*:[^/]+@/.test(value)),
		),
	).toEqual([]);
});

test("TRUST_PROXY is the operator's value, or 1 for the edge", () => {
	const trusted = (services: Record<string, ComposeService>) =>
		readEnv({ TRUST_PROXY: services.api!.environment!.TRUST_PROXY }).TRUST_PROXY;
	const given = { TRUST_PROXY: "2" };
	expect([trusted(plain.services), trusted(overlaid())]).toEqual([1, 1]);
	expect([
		trusted(compose("docker-compose.yml", given).services),
		trusted(overlaid(given)),
	]).toEqual([2, 2]);
	expect(read("deploy/nginx.conf")).toContain(
		"proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
	);
});

test("payments receive the operator's provider, its secrets and the shop's address", () => {
	const given = {
		PAYMENT_PROVIDER: "stripe",
		PAYMENT_WINDOW_MINUTES: "5",
		PUBLIC_URL: "https://shop.example.com",
	};
	const secrets = { STRIPE_SECRET_KEY: "sk_test_1", STRIPE_WEBHOOK_SECRET: "whsec_1" };
	const received = { ...given, PAYMENT_WINDOW_MINUTES: 5 };
	expect(
		compose("docker-compose.yml", { ...given, ...secrets }).services.payments!.environment,
	).toMatchObject({ ...received, ...secrets });
	expect(overlaid({ ...given, ...secrets }).payments!.environment).toMatchObject({
		...received,
		STRIPE_SECRET_KEY_FILE: "/run/secrets/stripe_secret_key",
		STRIPE_WEBHOOK_SECRET_FILE: "/run/secrets/stripe_webhook_secret",
	});
	expect(readEnv(plain.services.payments!.environment).PAYMENT_PROVIDER).toBe("simulated");
});

test("the edge passes the scheme of the client on, and can terminate TLS as documented", () => {
	const config = read("deploy/nginx.conf");
	const [, header] = /proxy_set_header X-Forwarded-Proto (\$\w+);/.exec(config)!;
	expect(config.replace(/\s+/g, " ")).toContain(
		`map $http_x_forwarded_proto ${header} { default $http_x_forwarded_proto; "" $scheme; }`,
	);
	const [folder] = /(?<=include )\/\S+(?=\/\*\.conf;)/.exec(config)!;
	const text = read("docs/running.md");
	const { edge } = parse(/```yaml\n([^`]*443:443[^`]*)```/.exec(text)![1]!).services;
	expect(edge).toEqual({ ports: ["443:443"], volumes: [`./secrets/tls:${folder}:ro`] });
	expect(text.match(/(?<=ssl_certificate\w* ).+(?=\/\w+\.pem;)/g)).toEqual([folder, folder]);
});

/** Services after merging both files. */
function overlaid(given: Readonly<Record<string, string>> = {}): Record<string, ComposeService> {
	const production = compose("docker-compose.prod.yml", given);
	const merged = Object.entries(compose("docker-compose.yml", given).services).map(
		([name, service]) => {
			const over = production.services[name];
			return [
				name,
				{ ...service, ...over, environment: { ...service.environment, ...over?.environment } },
			] as const;
		},
	);
	return Object.fromEntries(merged);
}

test("Redis evicts only keys with a TTL, with the same arguments in Compose and Kubernetes", () => {
	const [deployment] = parseAllDocuments(read("k8s/components/redis/redis.yaml")).map((document) =>
		document.toJS(),
	);
	const { command } = plain.services.redis!;
	expect(command).toEqual(deployment.spec.template.spec.containers[0].args);
	expect(command!.join(" ")).toContain("--maxmemory 128mb --maxmemory-policy volatile-lru");
});

test("Postgres keeps as much free memory as the embedded one", () => {
	expect(plain.services.postgres?.environment).toMatchObject(MEMORY);
});
