import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { parse } from "yaml";
import { readEnv } from "../../lib/settings/env.ts";
import { serviceNames } from "../../lib/settings/node.ts";
import { settings } from "../../lib/settings/settings.ts";
import { brokerOptions } from "../../moleculer.config.ts";
import { NATS_CONFIG } from "../../tools/chaos/servers.ts";
import { root } from "../support/databases.ts";
import {
	type Container,
	canRender,
	containersOf,
	isWorkload,
	type Manifest,
	matches,
	nameOf,
	type Probe,
	render,
	unknownFields,
	type Workload,
} from "../support/manifests.ts";
import { withReason } from "../support/skip.ts";

/** In CI, the tests fail instead of being skipped. */
const possible = canRender || process.env.CI === "true";
const withKubectl = possible ? describe : describe.skip;
const title = possible
	? "the overlay %s"
	: withReason(
			"the overlay %s",
			"kubectl is not installed (https://kubernetes.io/docs/tasks/tools)",
		);

const text = (file: string) => readFileSync(join(root, file), "utf8");
const services = serviceNames(join(root, "services"));
const overlays = readdirSync(join(root, "k8s/overlays"));
const isShopContainer = ({ image }: Container) => /(^|\/)moleculer-commerce:/.test(image);
const isNode = ({ metadata }: Manifest) =>
	metadata.labels?.["app.kubernetes.io/component"] === "node";
/** Names of manifests that violate a rule. */
const violators = <T extends Manifest>(
	manifests: readonly T[],
	satisfies: (manifest: T) => unknown,
) => manifests.filter((manifest) => !satisfies(manifest)).map(nameOf);

withKubectl.each(overlays)(title, (overlay) => {
	const manifests = canRender ? render(overlay) : [];
	const of = (kind: string) => manifests.filter((manifest) => manifest.kind === kind);
	const workloads = manifests.filter(isWorkload);
	const nodes = workloads.filter(isNode);
	const containers = workloads.flatMap((workload) =>
		containersOf(workload).map((container) => ({ workload, container })),
	);
	const violatingContainers = (satisfies: (container: Container, workload: Workload) => unknown) =>
		containers
			.filter(({ workload, container }) => !satisfies(container, workload))
			.map(({ workload }) => nameOf(workload));
	const named = (kind: string, name: string) =>
		of(kind).find(({ metadata }) => metadata.name === name);

	test("contains only fields that Kubernetes defines", async () => {
		for (const manifest of manifests) {
			const models = await import(`kubernetes-models/${manifest.apiVersion}`);
			const model = new models[manifest.kind](manifest) as { validate(): void };
			expect(() => model.validate()).not.toThrow();
		}
		expect(unknownFields(manifests)).toBe("");
	});

	test("runs each service of the shop in a Deployment with a Service of the same name", () => {
		const namesOf = (manifests: readonly Manifest[]) =>
			[
				...new Set(manifests.map(({ metadata }) => metadata.labels!["app.kubernetes.io/name"]!)),
			].sort();
		const selected = new Map(
			(nodes as Workload[]).map((node) => {
				const [container] = containersOf(node);
				return [namesOf([node])[0]!, settingsOf(container!, node, () => ({})).SERVICES!.split(",")];
			}),
		);
		expect([...selected.values()].flat().sort()).toEqual(services);
		expect([...selected].filter(([name, [first]]) => name !== first)).toEqual([]);
		expect(selected.get("api")).toEqual(["api", "operations"]);
		expect(namesOf(of("Service").filter(isNode))).toEqual(namesOf(nodes));
	});

	test("containers run as a user without privileges, on a read-only file system", () => {
		const satisfies = ({ securityContext: own }: Container, { spec }: Workload) => {
			const { runAsNonRoot, runAsUser, seccompProfile } = spec.template.spec.securityContext ?? {};
			return (
				runAsNonRoot &&
				runAsUser! > 0 &&
				seccompProfile?.type === "RuntimeDefault" &&
				own?.allowPrivilegeEscalation === false &&
				own.readOnlyRootFilesystem &&
				own.capabilities?.drop?.includes("ALL") &&
				!own.capabilities.add
			);
		};
		expect(violatingContainers(satisfies)).toEqual([]);
	});

	test("every container has requests and limits", () => {
		expect(
			violatingContainers(
				({ resources: { limits, requests } = { limits: {}, requests: {} } }) =>
					limits?.memory && limits.cpu && requests?.memory && requests.cpu,
			),
		).toEqual([]);
	});

	test("every image has a version", () => {
		expect(
			violatingContainers(({ image }) => /:[\w.-]+$/.test(image) && !image.endsWith(":latest")),
		).toEqual([]);
	});

	test("pods receive neither an API token nor variables of other services", () => {
		expect(
			violators(
				workloads,
				({ spec: { template } }) => template.spec.automountServiceAccountToken === false,
			),
		).toEqual([]);
		expect(
			violators(workloads, ({ spec: { template } }) => template.spec.enableServiceLinks === false),
		).toEqual([]);
		expect(
			violators(workloads, ({ spec: { template } }) =>
				named("ServiceAccount", template.spec.serviceAccountName!),
			),
		).toEqual([]);
		expect(
			violators(of("ServiceAccount"), (account) => account.automountServiceAccountToken === false),
		).toEqual([]);
	});

	test("every Service selects pods and uses their ports", () => {
		const leads = ({ spec }: Manifest) => {
			const chosen = workloads.filter(({ spec: { template } }) =>
				matches(spec.selector, template.metadata.labels),
			);
			const ports = chosen.flatMap((workload) =>
				containersOf(workload).flatMap(({ ports = [] }) => ports.map(({ name }) => name)),
			);
			return (
				chosen.length === 1 &&
				(spec.ports as { targetPort: string }[]).every(({ targetPort }) =>
					ports.includes(targetPort),
				)
			);
		};
		expect(violators(of("Service"), leads)).toEqual([]);
	});

	test("every port is used by a Service or a probe", () => {
		const unused = containers.flatMap(
			({ workload, container: { name: _, ports = [], ...container } }) => {
				const probed = [
					container.livenessProbe,
					container.readinessProbe,
					container.startupProbe,
				].map(portOf);
				const served = of("Service")
					.filter(({ spec }) => matches(spec.selector, workload.spec.template.metadata.labels))
					.flatMap(({ spec }) =>
						(spec.ports as { targetPort: string }[]).map(({ targetPort }) => targetPort),
					);
				return ports
					.filter(({ name }) => ![...probed, ...served].includes(name))
					.map(({ name }) => `${nameOf(workload)} ${name}`);
			},
		);
		expect(unused).toEqual([]);
	});

	test("the Ingress uses an existing Service and port", () => {
		const [ingress] = of("Ingress");
		const { service } = ingress!.spec.rules[0].http.paths[0].backend;
		expect(named("Service", service.name)!.spec.ports).toContainEqual(
			expect.objectContaining({ name: service.port.name }),
		);
	});

	test("every Ingress has the host of PUBLIC_URL, and its certificate if that is https", () => {
		const addresses = of("ConfigMap").flatMap(({ data }) => data?.PUBLIC_URL ?? []);
		expect(new Set(addresses).size).toBe(1);
		const { hostname, protocol } = new URL(addresses[0]!);
		const tls = [{ hosts: [hostname], secretName: "shop-tls" }];
		for (const { spec } of of("Ingress")) {
			expect(spec.rules.map(({ host }: { host: string }) => host)).toEqual([hostname]);
			expect(spec.tls).toEqual(protocol === "https:" ? tls : undefined);
		}
	});

	test("every key that a container references exists, and every key is referenced", () => {
		const referenced = new Set<string>();
		for (const { container } of containers) {
			for (const { valueFrom = {} } of container.env ?? []) {
				for (const [kind, ref] of [
					["ConfigMap", valueFrom.configMapKeyRef],
					["Secret", valueFrom.secretKeyRef],
				] as const) {
					if (!ref) continue;
					referenced.add(`${ref.name} ${ref.key}`);
					if (!ref.optional) expect(named(kind, ref.name)?.data).toHaveProperty([ref.key]);
				}
			}
			for (const { configMapRef } of container.envFrom ?? []) {
				const keys = Object.keys(named("ConfigMap", configMapRef.name)?.data ?? {});
				expect(keys).not.toEqual([]);
				for (const key of keys) referenced.add(`${configMapRef.name} ${key}`);
			}
		}
		const mounted = workloads.flatMap(({ spec }) =>
			(spec.template.spec.volumes ?? []).map(({ configMap }) => configMap?.name),
		);
		const given = [...of("ConfigMap"), ...of("Secret")]
			.filter(({ metadata }) => !mounted.includes(metadata.name))
			.flatMap(({ metadata, data = {} }) =>
				Object.keys(data).map((key) => `${metadata.name} ${key}`),
			);
		expect(given.filter((key) => !referenced.has(key))).toEqual([]);
		expect(mounted.filter((name) => name && !named("ConfigMap", name))).toEqual([]);
	});

	test("every container has each environment variable once", () => {
		const unique = ({ env = [] }: Container) =>
			new Set(env.map(({ name }) => name)).size === env.length;
		expect(violatingContainers(unique)).toEqual([]);
	});

	test("containers of the shop receive only known and valid settings", () => {
		for (const { workload, container } of containers.filter(({ container }) =>
			isShopContainer(container),
		)) {
			const env = settingsOf(container, workload, (kind, name) => named(kind, name)?.data);
			expect(Object.keys(env).filter((name) => !(name in settings))).toEqual([]);
			expect(() => readEnv(env)).not.toThrow();
		}
	});

	test("payments receive the provider, its optional keys and the shop's address", () => {
		const payments = (nodes as Workload[]).filter(
			({ metadata }) => metadata.labels!["app.kubernetes.io/name"] === "payments",
		);
		expect(payments.length).toBeGreaterThan(0);
		const keys = ["STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET"];
		for (const workload of payments) {
			const [container] = containersOf(workload);
			const env = settingsOf(container!, workload, (kind, name) => named(kind, name)?.data);
			expect(env).toMatchObject({
				PAYMENT_PROVIDER: "simulated",
				PUBLIC_URL: expect.stringMatching(/^https?:/),
			});
			const optional = container!.env!.filter(({ valueFrom }) => valueFrom?.secretKeyRef?.optional);
			expect(optional.map(({ name }) => name)).toEqual(keys);
		}
	});

	test("every node has probes and a sufficient grace period", () => {
		expect(
			violators(nodes, ({ spec }) => containersOf({ spec } as Workload).every(hasProbes)),
		).toEqual([]);
		for (const { spec } of nodes) {
			const [container] = spec.template.spec.containers;
			const drain =
				readEnv(named("ConfigMap", container!.envFrom![0]!.configMapRef.name)!.data!).DRAIN_MS /
				1000;
			const wait = Number(container!.lifecycle!.preStop!.exec.command[1]);
			expect(spec.template.spec.terminationGracePeriodSeconds).toBeGreaterThan(wait + drain + 5);
		}
	});

	test("Prometheus scrapes every node", () => {
		const [documented] = parse(
			/```yaml\n(- job_name: [^`]+)```/.exec(text("docs/operations.md"))![1]!,
		);
		const { scrape_configs } = parse(text("deploy/observability/prometheus.yml"));
		expect(documented.job_name).toBe(scrape_configs[0].job_name);
		expect(documented.relabel_configs).toContainEqual(
			expect.objectContaining({ regex: "health", action: "keep" }),
		);
		for (const { spec } of nodes as Workload[]) {
			const { annotations = {} } = spec.template.metadata;
			const health = containersOf({ spec } as Workload)[0]!.ports!.find(
				({ name }) => name === "health",
			)!;
			expect(annotations).toMatchObject({
				"prometheus.io/scrape": "true",
				"prometheus.io/path": "/metrics",
			});
			expect(annotations["prometheus.io/port"]).toBe(String(health.containerPort));
		}
	});

	test("NATS has the same configuration as in Compose and in tests", () => {
		const [config] = of("ConfigMap").flatMap(({ data }) => data?.["nats.conf"] ?? []);
		expect(config).toBe(text(NATS_CONFIG));
	});

	if (overlay === "dev") return;

	test("every node has at least three pods, of which one may be unavailable", () => {
		for (const node of nodes) {
			const scaler = of("HorizontalPodAutoscaler").find(
				({ spec }) => spec.scaleTargetRef.name === node.metadata.name,
			);
			expect(scaler?.spec.minReplicas).toBeGreaterThanOrEqual(3);
			const labels = node.spec.template.metadata.labels;
			const budgets = of("PodDisruptionBudget").filter(({ spec }) =>
				matches(spec.selector.matchLabels, labels),
			);
			expect(budgets.map(({ spec }) => spec.maxUnavailable)).toEqual([1]);
			const { topologySpreadConstraints = [] } = node.spec.template.spec as {
				topologySpreadConstraints?: Spread[];
			};
			expect(
				topologySpreadConstraints.map(({ labelSelector }) =>
					matches(labelSelector.matchLabels, labels),
				),
			).toEqual([true, true]);
		}
	});

	test("three NATS servers store acknowledged messages on disk", () => {
		const nats = named("StatefulSet", "nats")!;
		expect(nats.spec.replicas).toBe(3);
		const config = (nats as Workload).spec.template.spec.volumes![0]!.configMap!.name;
		const { "nats.conf": one, "cluster.conf": cluster } = named("ConfigMap", config)!.data!;
		expect(one).toMatch(/^\s*sync_interval: always$/m);
		expect(cluster).toMatch(/^include nats\.conf$/m);
		expect((nats as Workload).spec.template.spec.containers[0]).toMatchObject({
			args: ["--config", "/etc/nats/cluster.conf"],
		});
		expect(cluster!.match(/nats:\/\/nats-\d\.nats-peers:6222/g)).toHaveLength(3);
	});

	test("all traffic is denied by default, and every policy selects a workload", () => {
		expect(named("NetworkPolicy", "default-deny")?.spec).toEqual({
			podSelector: {},
			policyTypes: ["Ingress", "Egress"],
		});
		const selects = ({ spec }: Manifest) =>
			workloads.some((it) =>
				matches(spec.podSelector.matchLabels ?? {}, it.spec.template.metadata.labels),
			);
		expect(violators(of("NetworkPolicy"), selects)).toEqual([]);
	});

	test("payments may connect to the provider, and no other node to port 443", () => {
		const open = of("NetworkPolicy").filter(({ spec: { egress = [] } }) =>
			(egress as { ports: { port: number }[] }[]).some(({ ports }) =>
				ports.some(({ port }) => port === 443),
			),
		);
		expect(open.map(({ spec }) => spec.podSelector.matchLabels)).toEqual([
			{ "app.kubernetes.io/name": "payments" },
		]);
	});

	test("the two colors differ only in their name", () => {
		if (overlay !== "blue-green") return;
		const described = (color: string) =>
			JSON.stringify(nodes.filter(({ metadata }) => metadata.labels!.color === color))
				.replaceAll(color, "COLOR")
				.replace(/(COLOR)-[a-z0-9]{10}/g, "$1");
		expect(described("green")).toBe(described("blue"));
		const [blue, green] = ["blue", "green"].map((color) =>
			readEnv(of("ConfigMap").find(({ metadata }) => metadata.labels?.color === color)!.data!),
		);
		expect(brokerOptions(blue!).namespace).not.toBe(brokerOptions(green!).namespace);
		expect({ ...blue, COLOR: "" }).toEqual({ ...green, COLOR: "" });
		expect(["blue", "green"]).toContain(named("Service", "shop")!.spec.selector.color);
	});
});

interface Spread {
	readonly labelSelector: { readonly matchLabels: Record<string, string> };
}
const portOf = (probe?: Probe) => probe?.httpGet?.port ?? probe?.tcpSocket?.port;
const hasProbes = ({
	livenessProbe: live,
	readinessProbe: ready,
	startupProbe: start,
}: Container) =>
	start &&
	live?.periodSeconds === 10 &&
	live.initialDelaySeconds === 10 &&
	ready?.periodSeconds === 5 &&
	ready.initialDelaySeconds === 5;

/** Environment variables of a container. */
function settingsOf(
	{ env = [], envFrom = [] }: Container,
	{ spec }: Workload,
	data: (kind: string, name: string) => Record<string, string> | undefined,
): Record<string, string> {
	const found: Record<string, string> = {};
	for (const { configMapRef } of envFrom)
		Object.assign(found, data("ConfigMap", configMapRef.name));
	for (const { name, value, valueFrom } of env) {
		const { configMapKeyRef: map, secretKeyRef: secret } = valueFrom ?? {};
		if (map) found[name] = data("ConfigMap", map.name)?.[map.key] ?? "";
		else if (secret)
			found[name] = Buffer.from(
				data("Secret", secret.name)?.[secret.key] ?? "",
				"base64",
			).toString();
		else found[name] = value ?? spec.template.metadata.labels["app.kubernetes.io/name"]!;
	}
	return found;
}
